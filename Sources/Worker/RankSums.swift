import Domain
import Foundation
import Kernels
import Scheduling

/// The sums of virtual ranks that this member makes in one step, and the vectors they are made in.
struct RankSums {
  struct Sum {
    var values: Floats
    var ranks: [RankStatistics]
  }

  /// What was finished in this step, in an earlier attempt, too. It may be on its way to others: it
  /// is not written.
  private(set) var known: [TreeNode: Sum] = [:]
  /// Whole subtrees' sums on the stack of an attempt that is over. Nobody else has seen them: they
  /// may be written.
  private var begun: [TreeNode: Sum] = [:]
  private var stack: [Sum] = []
  /// Vectors that are made once and used again.
  private(set) var free: [Floats] = []
  /// Elements of a vector.
  private let count: Int
  private let wire: WirePrecision

  init(count: Int, _ wire: WirePrecision) {
    self.count = count
    self.wire = wire
  }

  /// Nodes whose sums need not be computed.
  var nodes: Set<TreeNode> { Set(known.keys).union(begun.keys) }

  /// Makes some vectors, for which the operating system clears memory while others compute.
  mutating func reserve(_ vectors: Int) {
    let new = (free.count..<max(free.count, vectors)).map { _ in Floats(zeros: count) }
    if new.isEmpty { return }
    free += new
    Thread.detachNewThread { for vector in new.reversed() { vector.takeMemory() } }
  }

  private mutating func borrow() -> Floats { free.popLast() ?? Floats(zeros: count) }

  mutating func recall(_ node: TreeNode) {
    if let sum = begun.removeValue(forKey: node) ?? known[node] { stack.append(sum) }
  }

  /// Begins the sum of the next rank's gradient and of the last `additions` sums of the stack, in
  /// the order of the tree.
  mutating func begin(additions: Int) -> GradientSum {
    var sum: GradientSum
    var additions = additions
    if additions > 0, let left = stack.last, !isKnown(left.values) {
      stack.removeLast()
      sum = GradientSum(into: left.values, ranksBefore: left.ranks, wire)
      additions -= 1
    } else {
      sum = GradientSum(gradient: borrow(), wire)
    }
    for _ in 0..<additions {
      let left = stack.removeLast()
      sum.ranksBefore = left.ranks + sum.ranksBefore
      if isKnown(left.values) {
        sum.additions.append(GradientSum.Addition(into: sum.result, from: left.values))
      } else {
        sum.additions.append(GradientSum.Addition(into: left.values, from: sum.result))
        free.append(sum.result)
        sum.result = left.values
      }
    }
    return sum
  }

  mutating func push(_ sum: GradientSum, _ rank: RankStatistics) {
    stack.append(Sum(values: sum.result, ranks: sum.ranksBefore + [rank]))
  }

  /// Adds the last two sums of the stack.
  mutating func add(on compute: Compute) {
    let right = stack.removeLast()
    let left = stack.removeLast()
    let (target, other): (Floats, Floats)
    if !isKnown(left.values) {
      (target, other) = (left.values, right.values)
      if !isKnown(right.values) { free.append(right.values) }
    } else if !isKnown(right.values) {
      (target, other) = (right.values, left.values)
    } else {
      (target, other) = (borrow(), right.values)
      target.copy(from: left.values)
    }
    wire.add(into: target, other, on: compute)
    stack.append(Sum(values: target, ranks: left.ranks + right.ranks))
  }

  /// Takes the finished sum of `node` from the stack.
  mutating func finish(_ node: TreeNode) -> Sum {
    let sum = stack.removeLast()
    known[node] = sum
    return sum
  }

  /// The attempt is over before its sums are: the next one goes on with what it has.
  mutating func setAside(virtualRanks: Int) {
    for sum in stack where !isKnown(sum.values) {
      guard let first = sum.ranks.first?.rank else { continue }
      var node = TreeNode(rank: first)
      while node.ranks(of: virtualRanks).count < sum.ranks.count {
        node = TreeNode(level: node.level + 1, index: node.index / 2)
      }
      begun[node] = sum
    }
    stack = []
  }

  /// Nothing is kept of what an attempt had begun that these instructions have no use for.
  mutating func keepBegun(for program: some Sequence<ReductionInstruction>) {
    let wanted = program.compactMap { if case .recall(let node) = $0 { node } else { nil } }
    for node in Set(begun.keys).subtracting(wanted) {
      if let sum = begun.removeValue(forKey: node) { free.append(sum.values) }
    }
  }

  /// Nothing comes of the attempt.
  mutating func abandon() {
    free += (stack + begun.values).map(\.values).filter { !isKnown($0) }
    (stack, begun) = ([], [:])
  }

  /// The step is over: its vectors may be used again.
  mutating func recycle() {
    abandon()
    free += known.values.map(\.values)
    known = [:]
  }

  private func isKnown(_ values: Floats) -> Bool { known.values.contains { $0.values === values } }
}

/// A sum that is finished part by part, as the last gradient of it is.
struct GradientSum {
  struct Addition {
    var into: Floats
    var from: Floats
  }
  /// What that gradient is to be made in. Nil: it needs no vector of its own, as each part is added
  /// to `begun` when it is finished.
  let gradient: Floats?
  private let begun: Floats
  let wire: WirePrecision
  /// Where the sum comes to be.
  var result: Floats
  var additions: [Addition] = []
  var ranksBefore: [RankStatistics] = []

  init(gradient: Floats, _ wire: WirePrecision) {
    (self.gradient, begun, result) = (gradient, gradient, gradient)
    self.wire = wire
  }

  init(into begun: Floats, ranksBefore: [RankStatistics], _ wire: WirePrecision) {
    (gradient, self.begun, result) = (nil, begun, begun)
    self.ranksBefore = ranksBefore
    self.wire = wire
  }

  /// Adds up a part of which the gradient is finished.
  /// - Parameter part: its values there; of a `gradient`, where they lie in it.
  func finish(_ range: Range<Int>, _ part: Floats, on compute: Compute) {
    wire.round(part, on: compute)
    if gradient == nil { wire.add(into: begun[range], part, on: compute) }
    for addition in additions {
      wire.add(into: addition.into[range], addition.from[range], on: compute)
    }
  }
}

/// Which cells of a vector are finished, when parts of it are told.
struct FinishedCells {
  private let grid: VectorGrid
  /// Elements of each cell that are not finished.
  private var missing: [Int]

  init(_ grid: VectorGrid) {
    self.grid = grid
    missing = grid.cells.map(\.count)
  }

  /// - Parameter range: none of it was told before.
  /// - Returns: cells that are finished by it.
  mutating func take(_ range: Range<Int>) -> [Int] {
    // The first cell that ends behind the range's beginning.
    var (low, high) = (0, grid.cells.count)
    while low < high {
      let middle = (low + high) / 2
      let isBefore = grid.cells[middle].upperBound <= range.lowerBound
      if isBefore { low = middle + 1 } else { high = middle }
    }
    var finished: [Int] = []
    for cell in low..<grid.cells.count {
      let common = grid.cells[cell].clamped(to: range)
      if common.isEmpty { break }
      missing[cell] -= common.count
      if missing[cell] == 0 { finished.append(cell) }
    }
    return finished
  }
}
