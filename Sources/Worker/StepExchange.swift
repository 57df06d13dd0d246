import Domain
import Kernels
import Protocol
import Scheduling

/// A piece of a vector on its way to a member of the step.
struct OutgoingPiece {
  /// Index in `StepPlan.members`.
  var member: Int
  var header: GradientSegment
  var values: Floats
}

/// One member's part in summing one step's gradients; decides, and sends nothing itself.
///
/// Contributions go to the owner of each segment; an owner that has all contributions of a segment
/// finishes the tree over it and sends the sum to everyone. Pieces of one sum arrive in order, as
/// they do on one connection; a piece that does not follow the one before is dropped, and the step
/// is then fenced by the coordinator's patience.
struct StepExchange {
  /// Elements in one frame: a heartbeat of another connection never waits for more.
  static let pieceCount = 1 << 20

  private struct Place: Hashable {
    var node: TreeNode
    var segment: Int
  }
  private struct Arriving {
    var values: Floats
    var received = 0
  }

  let plan: StepPlan
  let me: Int
  /// (N): the whole sum, once `isComplete`.
  let total: Floats
  /// By virtual rank; all there once `isComplete`.
  private(set) var statistics: [RankStatistics?]

  private let reduction: ReductionPlan
  private let root: TreeNode
  private let compute: Compute
  private var contributions: [Place: Floats] = [:]
  private var arriving: [Place: Arriving] = [:]
  /// For each own segment, how many contributions are still to come.
  private var missing: [Int: Int] = [:]
  private var totalsReceived: [Int]
  private var segmentsMissing: Int

  init(plan: StepPlan, me: Int, count: Int, compute: Compute) {
    self.plan = plan
    self.me = me
    self.compute = compute
    total = Floats(zeros: count)
    reduction = ReductionPlan(
      rankOwners: plan.rankOwners, segmentOwners: plan.segmentOwners,
      members: plan.members.count)
    root = .root(virtualRanks: plan.rankOwners.count)
    statistics = Array(repeating: nil, count: plan.rankOwners.count)
    totalsReceived = Array(repeating: 0, count: plan.segmentOwners.count)
    segmentsMissing = 0
    let nodes = reduction.contributions.reduce(0) { $0 + $1.count }
    for (segment, owner) in plan.segmentOwners.enumerated() where !range(of: segment).isEmpty {
      segmentsMissing += 1
      if owner == me { missing[segment] = nodes }
    }
  }

  /// Every segment's sum is here.
  var isComplete: Bool { segmentsMissing == 0 }

  /// What this member computes, in which order.
  var program: [ReductionInstruction] { reduction.localProgram(member: me) }

  /// Mean loss over the trained tokens of the global batch, and their number.
  var loss: (mean: Double, tokens: Int64) {
    let known = statistics.compactMap { $0 }
    precondition(known.count == statistics.count, "statistics of every rank expected")
    let tokens = known.reduce(0) { $0 + $1.tokens }
    return (treeSum(known.map(\.lossSum)) / Double(max(tokens, 1)), tokens)
  }

  /// Takes in a sum that this member computed; `ranks` tells about the ranks below `node`.
  mutating func contribute(
    _ node: TreeNode, _ sum: Floats, ranks: [RankStatistics]
  ) -> [OutgoingPiece] {
    note(ranks)
    var pieces: [OutgoingPiece] = []
    for (segment, owner) in plan.segmentOwners.enumerated() {
      let values = sum[range(of: segment)]
      if owner == me {
        contributions[Place(node: node, segment: segment)] = values
        pieces += counted(segment)
      } else {
        pieces += cut(values, segment, node, .partial, to: owner, ranks: ranks)
      }
    }
    return pieces
  }

  /// Takes in a piece that a peer sent for this epoch.
  mutating func receive(_ header: GradientSegment, _ values: [Float]) -> [OutgoingPiece] {
    guard header.epoch == plan.epoch, header.step == plan.step,
      plan.segmentOwners.indices.contains(header.segment), header.count == values.count,
      header.ranks.allSatisfy({ statistics.indices.contains($0.rank) })
    else { return [] }
    let range = range(of: header.segment)
    guard header.offset >= 0, header.offset + header.count <= range.count else { return [] }
    note(header.ranks)
    switch header.role {
    case .partial: return receivePartial(header, values, length: range.count)
    case .total:
      guard plan.segmentOwners[header.segment] == header.sender, header.sender != me,
        header.offset == totalsReceived[header.segment]
      else { return [] }
      let start = range.lowerBound + header.offset
      total[start..<(start + header.count)].copy(from: values)
      totalsReceived[header.segment] += header.count
      if totalsReceived[header.segment] == range.count { segmentsMissing -= 1 }
      return []
    }
  }

  private mutating func receivePartial(
    _ header: GradientSegment, _ values: [Float], length: Int
  ) -> [OutgoingPiece] {
    guard let node = TreeNode(wire: header.node, height: root.level),
      missing[header.segment] != nil, reduction.contributions.indices.contains(header.sender),
      reduction.contributions[header.sender].contains(node)
    else { return [] }
    let place = Place(node: node, segment: header.segment)
    guard contributions[place] == nil else { return [] }
    var part = arriving[place] ?? Arriving(values: Floats(zeros: length))
    guard header.offset == part.received else { return [] }
    part.values[header.offset..<(header.offset + header.count)].copy(from: values)
    part.received += header.count
    guard part.received == length else {
      arriving[place] = part
      return []
    }
    arriving[place] = nil
    contributions[place] = part.values
    return counted(header.segment)
  }

  /// One more contribution of an own segment is here; the last one finishes it.
  private mutating func counted(_ segment: Int) -> [OutgoingPiece] {
    guard let left = missing[segment] else { return [] }
    missing[segment] = left - 1
    guard left == 1 else { return [] }
    missing[segment] = nil
    let sum = finish(segment)
    let range = range(of: segment)
    total[range].copy(from: sum)
    segmentsMissing -= 1
    let ranks = statistics.compactMap { $0 }
    return plan.members.indices.filter { $0 != me }.flatMap {
      cut(total[range], segment, root, .total, to: $0, ranks: ranks)
    }
  }

  /// Runs the tree over a segment whose contributions are all here.
  private mutating func finish(_ segment: Int) -> Floats {
    var stack: [Floats] = []
    for instruction in reduction.finishProgram {
      switch instruction {
      case .push: preconditionFailure("a finishing program computes no gradient")
      case .receive(let node, _):
        guard let values = contributions.removeValue(forKey: Place(node: node, segment: segment))
        else { preconditionFailure("\(node) of segment \(segment) was counted but is not here") }
        stack.append(values)
      case .add:
        let right = stack.removeLast()
        add(into: stack[stack.count - 1], right, on: compute)
      case .emit: break
      }
    }
    return stack[0]
  }

  private func cut(
    _ values: Floats, _ segment: Int, _ node: TreeNode, _ role: GradientSegment.Role,
    to member: Int, ranks: [RankStatistics]
  ) -> [OutgoingPiece] {
    stride(from: 0, to: values.count, by: Self.pieceCount).map { offset in
      let end = min(offset + Self.pieceCount, values.count)
      return OutgoingPiece(
        member: member,
        header: GradientSegment(
          training: plan.training, epoch: plan.epoch, step: plan.step, role: role,
          segment: segment, node: node.wire(height: root.level), sender: me, offset: offset,
          count: end - offset,
          ranks: ranks),
        values: values[offset..<end])
    }
  }

  private mutating func note(_ ranks: [RankStatistics]) {
    for rank in ranks { statistics[rank.rank] = rank }
  }

  private func range(of segment: Int) -> Range<Int> {
    segmentRange(segment, of: total.count, segments: plan.segmentOwners.count)
  }
}

extension TreeNode {
  /// Its number in breadth-first order from the root, 0, of a tree of this height: as the wire has
  /// it.
  func wire(height: Int) -> Int { (1 << (height - level)) - 1 + index }

  /// Nil for a number that no node of such a tree has.
  init?(wire: Int, height: Int) {
    let depth = Int.bitWidth - 1 - (wire + 1).leadingZeroBitCount
    guard wire >= 0, depth <= height else { return nil }
    self.init(level: height - depth, index: wire + 1 - (1 << depth))
  }
}
