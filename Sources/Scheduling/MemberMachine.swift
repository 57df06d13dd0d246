public import Domain

/// What a member sends another one about a cell of the vector.
public enum PeerCell: Hashable, Sendable {
  /// The sum over a subtree of virtual ranks, to who adds it to another one.
  case partial(TreeNode)
  /// The finished sum, to those who keep the segment, too.
  case sum
  /// A part of the state after `step` steps.
  case state(StatePart, step: Int)
  /// What the last of `step` steps adds to the weights.
  case change(step: Int)
}

/// The decisions of one member of a training's steps: what it has of which step, what is missing,
/// what follows from what comes. It does no arithmetic and moves nothing itself; the worker and the
/// simulation both run it.
///
/// Weights and moments have versions: the number of steps in them. A sum belongs to an epoch on its
/// way, and to its step once it is whole: it has the same bits in every attempt. In bf16 members
/// are sent what a step adds to their weights, which fits those of the step before alone; who has
/// others asks for the weights themselves.
public struct MemberMachine<Value> {
  public enum Action {
    /// All weights of the step are here: compute.
    case compute([ReductionInstruction])
    /// `value` is nil where the cell is to be read from the state.
    case send(PeerCell, cell: Int, Value?, to: [Int])
    /// Ask a member for a segment's part of the state after `step` steps; of moments, for both.
    case ask(StatePart, segment: Int, step: Int, of: Int)
    /// Get the moments of a segment from the plan's base, then say `loaded`.
    case load(segment: Int)
    /// Put values into the state.
    case write(StatePart, cell: Int, Value)
    /// Add values to the weights.
    case add(cell: Int, Value)
    /// This member keeps the segment no more: its moments may be forgotten.
    case forget(segment: Int)
    /// Holds the sums of these segments and could apply them.
    case vote(segments: [Int])
    /// Cannot do what the plan says.
    case fail(String)
  }

  struct Ask {
    var part: StatePart
    var segment: Int
    var step: Int
    var from: WorkerID
  }

  struct Early {
    var step: Int
    var isChange: Bool
    var value: Value
  }

  struct Round {
    let plan: StepPlan
    let me: Int
    let reduction: ReductionPlan?
    var open: [Int: CellSum<Value>] = [:]
    var statistics: [RankStatistics?]
    var voted: [Int]?
    /// How many of those it waits for, from the first, are known to be ready.
    var ready = 0
    var isComputing = false
    /// Cells of its own sums that it has computed.
    var computed = 0
    /// Segments to be had before it may vote, and those that it votes for when it has them.
    let keeps: [Int]
    let acquires: [Int]
  }

  public let grid: VectorGrid
  public let lineage: UInt64
  public let wire: WirePrecision
  /// Committed steps, as this member knows.
  public private(set) var step: Int
  var weights: [Int]
  /// Cells whose weights are not of `step`.
  var staleCells = 0
  var moments: [Int]
  /// Parts of moments that have come, by cell.
  var arrived: [Int: Set<StatePart>] = [:]
  var sums: [Value?]
  var round: Round?
  /// Weights of steps of whose commit others have heard before this one: of each cell the newest.
  var early: [Int: Early] = [:]
  /// Cells that the worker is updating: what others send of them is not wanted.
  var updating: Set<Int> = []
  var asks: [Ask] = []
  let add: (Value, Value) -> Value

  /// A member that has weights and no moments.
  ///
  /// - Parameters:
  ///   - step: of the weights.
  ///   - add: the sum of two halves, in either order.
  public init(
    grid: VectorGrid, lineage: UInt64, wire: WirePrecision, step: Int,
    add: @escaping (Value, Value) -> Value
  ) {
    self.grid = grid
    self.lineage = lineage
    self.wire = wire
    self.add = add
    self.step = step
    weights = Array(repeating: step, count: grid.cells.count)
    moments = Array(repeating: -1, count: grid.cells.count)
    sums = Array(repeating: nil, count: grid.cells.count)
  }

  // MARK: What it is and has

  // Where these are inlined, Swift 6.3.1's optimizer makes code that its own verifier refuses.
  @inline(never) public var plan: StepPlan? { round?.plan }
  @inline(never) public var place: Int? { round?.me }
  public var isWhole: Bool { staleCells == 0 }
  /// Of the open step; nil for a rank that nobody has told about.
  @inline(never) public var statistics: [RankStatistics?] { round?.statistics ?? [] }
  /// Segments that it has voted for in this step; nil before it has.
  @inline(never) public var voted: [Int]? { round?.voted }

  public func sum(of cell: Int) -> Value? { sums[cell] }

  public var progress: TrainingProgress {
    let segments = grid.cellsOfSegment.count
    var kept = PieceSet(none: segments)
    for segment in 0..<segments where hasAll(of: segment) { kept.insert(segment) }
    var summed: PieceSet?
    if let voted = round?.voted, round?.plan.step == step {
      summed = PieceSet(none: segments)
      for segment in voted { summed?.insert(segment) }
    }
    return TrainingProgress(
      lineage: lineage, elements: grid.count, step: step, isWhole: isWhole, kept: kept,
      summed: summed)
  }

  /// Whether it has the moments of a segment after `step` steps.
  func keeps(_ segment: Int) -> Bool {
    grid.cellsOfSegment[segment].allSatisfy { moments[$0] == step }
  }

  /// Whether others can get all of a segment's state here, at the latest when the committed step is
  /// applied, which nothing can come between. Moments may be here before the weights are.
  func hasAll(of segment: Int) -> Bool {
    grid.cellsOfSegment[segment].allSatisfy { cell in
      updating.contains(cell) || moments[cell] == step && weights[cell] == step
    }
  }

  // MARK: A step

  /// Opens a step. The one before it has been committed here, if this member has its sums.
  public mutating func open(_ plan: StepPlan, me: WorkerID) -> [Action] {
    guard let place = plan.members.firstIndex(where: { $0.worker == me }) else {
      round = nil
      return []
    }
    let last = round
    var actions = plan.step > step ? skip(to: plan.step) : []
    guard plan.step == step, plan.segments.count == grid.cellsOfSegment.count else {
      round = nil
      return [.fail("holds the state of step \(step), not of \(plan.step)")]
    }
    let ranks = plan.rankOwners
    let reduction =
      ranks.isEmpty
      ? nil
      : ReductionPlan(
        rankOwners: ranks, segmentOwners: plan.segments.map(\.owner),
        members: plan.members.count)
    round = Round(
      plan: plan, me: place, reduction: reduction,
      statistics: Array(repeating: nil, count: ranks.count),
      keeps: plan.segments.indices.filter { plan.segments[$0].keepers.contains(place) },
      acquires: plan.segments.indices.filter { plan.segments[$0].newcomer == place })
    actions += gatherMoments()
    actions += gatherWeights(after: last?.plan)
    return actions + begin() + voteIfReady() + answer()
  }

  /// What it has of earlier steps is of no use any more.
  mutating func skip(to new: Int) -> [Action] {
    step = new
    staleCells = weights.count { $0 != new }
    sums = Array(repeating: nil, count: sums.count)
    arrived = [:]
    return takeEarly()
  }

  mutating func gatherMoments() -> [Action] {
    guard let round else { return [] }
    arrived = [:]
    var actions: [Action] = []
    for segment in round.plan.segments.indices {
      let keepers = round.plan.segments[segment]
      let isMine = keepers.keepers.contains(round.me) || keepers.newcomer == round.me
      if isMine {
        if keeps(segment) { continue }
        if round.plan.base != nil {
          actions.append(.load(segment: segment))
        } else if keepers.owner != round.me {
          actions.append(
            .ask(.firstMoment, segment: segment, step: step, of: keepers.owner))
        } else {
          actions.append(.fail("does not have the moments of segment \(segment), which it owns"))
        }
      } else if grid.cellsOfSegment[segment].contains(where: { moments[$0] >= 0 }),
        !keeps(segment)
      {
        // Moments of this step's state are not given up before the step counts: in another attempt
        // this member may be who has them.
        for cell in grid.cellsOfSegment[segment] { moments[cell] = -1 }
        actions.append(.forget(segment: segment))
      }
    }
    return actions
  }

  /// Asks for weights that nobody is about to send: those of an owner that is no member any more.
  ///
  /// Who computes nothing has the time to wait for what all are sent, but for what it is to vote
  /// for; in bf16 all are sent changes, which are no weights.
  func gatherWeights(after last: StepPlan?) -> [Action] {
    guard let round else { return [] }
    let ranks = round.plan.rankOwners
    let isPatient = !ranks.isEmpty && !ranks.contains(round.me) && wire == .f32
    let voted = round.keeps + round.acquires
    let wanted = isPatient ? voted : Array(round.plan.segments.indices)
    let members = Set(round.plan.members.map(\.worker))
    return wanted.compactMap { segment in
      let oldest = grid.cellsOfSegment[segment].map { weights[$0] }.min() ?? step
      if oldest == step { return nil }
      if let last, last.step == step - 1, last.segments.count == round.plan.segments.count,
        wire == .f32 || oldest == step - 1,
        members.contains(last.members[last.segments[segment].owner].worker)
      {
        return nil
      }
      return ask(segment, round)
    }
  }

  func ask(_ segment: Int, _ round: Round) -> Action? {
    let owner = round.plan.segments[segment].owner
    return owner == round.me ? nil : .ask(.weights, segment: segment, step: step, of: owner)
  }

  /// Asks again for what has not come, after a while.
  public func askAgain() -> [Action] {
    guard let round, round.plan.step == step else { return [] }
    var actions: [Action] = []
    for segment in round.plan.segments.indices {
      let cells = grid.cellsOfSegment[segment]
      if cells.contains(where: { weights[$0] != step }) {
        ask(segment, round).map { actions.append($0) }
      }
      let owner = round.plan.segments[segment].owner
      if round.keeps.contains(segment) || round.acquires.contains(segment), owner != round.me,
        round.plan.base == nil, cells.contains(where: { moments[$0] != step })
      {
        actions.append(.ask(.firstMoment, segment: segment, step: step, of: owner))
      }
    }
    return actions
  }

  /// Begins to compute when all weights are here.
  mutating func begin() -> [Action] {
    guard let round, let reduction = round.reduction, !round.isComputing, isWhole,
      !reduction.contributions[round.me].isEmpty
    else { return [] }
    self.round?.isComputing = true
    return [.compute(reduction.localProgram(member: round.me))]
  }

  // MARK: The commit

  /// The step is durable. The worker updates these cells, in order, and says `updated`; what is
  /// still to be sent of older state must not be any more.
  public mutating func commit(step committed: Int) -> [Int] {
    guard committed == step else { return [] }
    let cells = grid.cells.indices.filter(canUpdate)
    step += 1
    staleCells = weights.count
    arrived = [:]
    updating = Set(cells)
    return cells
  }

  /// Weights and moments of these cells are of the new step; their sums are used up.
  ///
  /// - Parameter changes: by cell, what the step added to the weights; empty in f32.
  public mutating func updated(_ cells: [Int], changes: [Int: Value] = [:]) -> [Action] {
    var actions: [Action] = []
    for cell in cells {
      moments[cell] = step
      if weights[cell] != step { staleCells -= 1 }
      weights[cell] = step
      guard let round, round.plan.step == step - 1 else { continue }
      let segment = round.plan.segments[grid.segmentOfCell[cell]]
      guard segment.owner == round.me else { continue }
      let others = round.plan.members.indices.filter { !segment.keepers.contains($0) }
      let what: PeerCell =
        changes[cell] == nil ? .state(.weights, step: step) : .change(step: step)
      if !others.isEmpty { actions.append(.send(what, cell: cell, changes[cell], to: others)) }
    }
    return actions
  }

  /// All cells of the commit are updated: what waited for that is done.
  public mutating func settled() -> [Action] {
    sums = Array(repeating: nil, count: sums.count)
    updating = []
    return takeEarly() + answer()
  }
}
