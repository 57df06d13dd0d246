public import Domain

/// An instruction that has no number yet.
public struct InstructionDraft: Hashable, Sendable {
  public var image: Digest?
  public var text: String
  public var task: TaskType
  public var lineage: Lineage
  public init(image: Digest?, text: String, task: TaskType, lineage: Lineage) {
    self.image = image
    self.text = text
    self.task = task
    self.lineage = lineage
  }

  func numbered(_ id: InstructionID) -> Instruction {
    Instruction(id: id, image: image, text: text, task: task, lineage: lineage)
  }
}

/// The instruction tuning pool `D_T` and the instruction cache pool `D_C`.
///
/// Both start as the same questions, answers removed: `D_T = D_C = {(V_k, X_k)}` (eq. 4). New
/// instructions **replace** the tuning pool and **join** the cache pool, so the tuning pool is
/// always the newest stretch of the cache pool.
///
/// - Source: Li et al. 2024, eq. 4, sections 3.3.2 and 3.3.3.
public struct Pools: Hashable, Sendable {
  /// `D_C`: everything so far; instruction `n` is at `n - 1`.
  public private(set) var cache: [Instruction]
  private var tuningStart: Int

  /// `D_T` of the current iteration, in id order; empty when a round admitted nothing.
  public var tuning: ArraySlice<Instruction> { cache[tuningStart...] }

  /// Both pools from the imported questions, numbered from 1 in their order.
  public init(imported drafts: [InstructionDraft]) {
    cache = drafts.enumerated().map { $1.numbered(InstructionID(Int64($0 + 1))) }
    tuningStart = 0
  }

  /// The pools as a store kept them.
  ///
  /// - Parameters:
  ///   - instructions: the cache pool, in id order from 1.
  ///   - tuningIteration: for each, the iteration in whose tuning pool it is.
  ///   - iteration: the current one.
  /// - Precondition: ids are 1, 2, 3, … and `tuningIteration` is parallel and never falls.
  public init(restoring instructions: [Instruction], tuningIteration: [Int], iteration: Int) {
    precondition(instructions.count == tuningIteration.count, "one iteration per instruction")
    for (index, instruction) in instructions.enumerated() {
      precondition(
        instruction.id.number == Int64(index + 1), "\(instruction.id) at place \(index)")
      precondition(
        index == 0 || tuningIteration[index - 1] <= tuningIteration[index],
        "\(instruction.id) is of an older iteration than the one before it")
    }
    cache = instructions
    tuningStart = tuningIteration.firstIndex { $0 >= iteration } ?? instructions.count
  }

  /// The instruction of this id, or nil.
  public subscript(_ id: InstructionID) -> Instruction? {
    let index = Int(id.number) - 1
    return cache.indices.contains(index) ? cache[index] : nil
  }

  /// The id that the next instruction will get.
  public var nextID: InstructionID { InstructionID(Int64(cache.count + 1)) }

  /// The new instructions take the tuning pool's place and join the cache pool.
  ///
  /// - Returns: the same instructions with their ids, in the order given.
  @discardableResult
  public mutating func refresh(with drafts: [InstructionDraft]) -> [Instruction] {
    tuningStart = cache.count
    for draft in drafts { cache.append(draft.numbered(nextID)) }
    return Array(tuning)
  }
}
