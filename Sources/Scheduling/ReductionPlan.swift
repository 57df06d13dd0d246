public import Domain

/// One instruction of a summation: a stack of partial sums, never deeper than the tree's height
/// plus 1.
public enum ReductionInstruction: Hashable, Sendable {
  /// Push the gradient of this virtual rank (the member computes it now).
  case push(rank: Int)
  /// Push the sum of this node, which this member has from an earlier attempt at the step.
  case recall(TreeNode)
  /// Pop the right sum, then the left; push left + right.
  case add
  /// Pop the sum of this node: it is complete as far as this member goes.
  case emit(TreeNode)
}

/// What the traffic of a step's sums may be above the least that there is, as a share, where
/// something else can be had for it: less to wait for, or members that are done earlier.
let trafficExcessMax = 0.3

/// Who computes, sends and adds what in one step, so that the sum of the whole tree comes out in
/// the same bits for every ownership.
///
/// A member adds up the maximal subtrees of which it owns every rank (`localProgram`). Of each of
/// these sums it sends segment `s` to the owner of `s` (`contributions`), who finishes the tree
/// over what it was sent, and sends the finished segment to everyone. Where blocks of ranks fit the
/// tree so badly that this would take much more than the least traffic, members whose subtrees are
/// neighbours add these up first.
///
/// - Source: architecture.md's reduce-scatter and all-gather in two hops; the third one is ours.
public struct ReductionPlan: Hashable, Sendable {
  public let virtualRanks: Int
  /// For each rank the member that computes it.
  public let rankOwners: [Int]
  /// For each segment of the vector the member that finishes it.
  public let segmentOwners: [Int]
  /// For each member the maximal subtrees that it owns, in rank order; empty when it owns no rank.
  public let contributions: [[TreeNode]]
  let tree: ContributionTree
  /// By the owner of a segment: for each slot of the tree the member that has its sum first. Empty
  /// where a member owns no segment.
  let makers: [[Int]]
  /// How much more all members send than the least that there is, `2 (W − 1)` vectors, as a share.
  public let trafficExcess: Double

  /// - Parameters:
  ///   - rankOwners: (V), each in `0..<members`; need not be contiguous.
  ///   - segmentOwners: (S), each in `0..<members`.
  public init(rankOwners: [Int], segmentOwners: [Int], members: Int) {
    precondition(!rankOwners.isEmpty, "at least 1 virtual rank expected")
    precondition(
      (rankOwners + segmentOwners).allSatisfy { (0..<members).contains($0) },
      "owners within 0..<\(members) expected")
    virtualRanks = rankOwners.count
    self.rankOwners = rankOwners
    self.segmentOwners = segmentOwners
    let tree = ContributionTree(rankOwners: rankOwners)
    self.tree = tree
    var contributions = [[TreeNode]](repeating: [], count: members)
    for slot in tree.slots {
      if case .contribution(let member) = slot.origin { contributions[member].append(slot.node) }
    }
    self.contributions = contributions
    var segments = [Int](repeating: 0, count: members)
    for owner in segmentOwners { segments[owner] += 1 }
    func makers(_ toOwner: (Int) -> [Int]) -> [[Int]] {
      segments.indices.map { segments[$0] == 0 ? [] : toOwner($0) }
    }
    var chosen = makers(tree.direct)
    if excess(of: chosen, tree, segments) > trafficExcessMax {
      let fewest = tree.fewestSent(members: members)
      chosen = makers { tree.relayed(to: $0, fewest) }
    }
    self.makers = chosen
    trafficExcess = excess(of: chosen, tree, segments)
  }

  /// Of what the members of a step compute, whoever owns the segments; nil where nobody does.
  public init?(ranksOf plan: StepPlan) {
    if plan.rankOwners.isEmpty { return nil }
    self.init(rankOwners: plan.rankOwners, segmentOwners: [0], members: plan.members.count)
  }

  /// Of equally quick members.
  public init(virtualRanks: Int, evenlyOver members: Int) {
    self.init(
      rankOwners: Scheduling.rankOwners(
        virtualRanks: virtualRanks, paces: Array(repeating: 1, count: members)),
      segmentOwners: [0], members: members)
  }

  /// How `member` computes its contributions: its ranks in order, sums as early as they can be
  /// made, so that few vectors are alive at a time.
  ///
  /// - Parameter known: nodes whose sums it has already.
  public func localProgram(
    member: Int, known: Set<TreeNode> = []
  ) -> [ReductionInstruction] {
    var program: [ReductionInstruction] = []
    for node in contributions[member] {
      sum(node, virtualRanks, known, into: &program)
      program.append(.emit(node))
    }
    return program
  }

  /// Vectors that some member has at once while it computes; what it has emitted stays until the
  /// step is over. A gradient that is added at once has none: it is made layer by layer. (Of a rank
  /// that is several passes it is made in one more vector.)
  public var vectorsMax: Int {
    contributions.indices.map { member in
      let program = localProgram(member: member)
      var (alive, most) = (0, 0)
      for (instruction, next) in zip(program, program.dropFirst()) {
        switch instruction {
        case .push where next == .add: alive += 1  // by that addition it is gone
        case .push:
          alive += 1
          most = max(most, alive)
        case .add: alive -= 1
        case .recall, .emit: break
        }
      }
      return most
    }.max() ?? 0
  }

  /// Bytes that each member sends and receives in one step: partial sums on their way to the owner
  /// of each segment, and from there the sum, or the new weights, to everyone.
  ///
  /// - Parameter segmentBytes: (S), the bytes of each segment.
  public func traffic(segmentBytes: [Int]) -> [MemberTraffic] {
    precondition(segmentBytes.count == segmentOwners.count, "one size per segment expected")
    let members = contributions.indices
    var owned = [Int](repeating: 0, count: members.count)
    for (owner, bytes) in zip(segmentOwners, segmentBytes) { owned[owner] += bytes }
    var traffic = [MemberTraffic](repeating: MemberTraffic(), count: members.count)
    for owner in members where owned[owner] > 0 {
      let sums = tree.sent(makers[owner], owner: owner)
      let others = members.filter { $0 != owner }.map { (from: owner, to: $0) }
      for (from, to) in sums + others {
        traffic[from].sentBytes += owned[owner]
        traffic[to].receivedBytes += owned[owner]
      }
    }
    return traffic
  }
}

/// - Parameter segments: for each member how many it owns.
private func excess(
  of makers: [[Int]], _ tree: ContributionTree, _ segments: [Int]
) -> Double {
  let members = segments.count
  let all = segments.reduce(0, +)
  if members == 1 || all == 0 { return 0 }
  let sent = segments.indices.reduce(0) { sent, owner in
    segments[owner] == 0
      ? sent : sent + segments[owner] * (tree.sent(makers[owner], owner: owner).count + members - 1)
  }
  return Double(sent) / Double(2 * (members - 1) * all) - 1
}

public struct MemberTraffic: Hashable, Sendable {
  public var sentBytes = 0
  public var receivedBytes = 0
  public init() {}
}

/// The elements of segment `segment` when `count` elements are cut into `segments` of nearly equal
/// length; empty ones where there are more segments than elements.
public func segmentRange(_ segment: Int, of count: Int, segments: Int) -> Range<Int> {
  precondition((0..<segments).contains(segment), "segment within 0..<\(segments) expected")
  return segment * count / segments..<(segment + 1) * count / segments
}

private func sum(
  _ node: TreeNode, _ virtualRanks: Int, _ known: Set<TreeNode>,
  into program: inout [ReductionInstruction]
) {
  if known.contains(node) {
    program.append(.recall(node))
    return
  }
  if node.level == 0 {
    program.append(.push(rank: node.index))
    return
  }
  let (left, right) = node.children(of: virtualRanks)
  sum(left, virtualRanks, known, into: &program)
  guard let right else { return }
  sum(right, virtualRanks, known, into: &program)
  program.append(.add)
}
