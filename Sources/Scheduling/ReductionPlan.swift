/// One instruction of a summation: a stack of partial sums, never deeper than the tree's height
/// plus 1.
public enum ReductionInstruction: Hashable, Sendable {
  /// Push the gradient of this virtual rank (the member computes it now).
  case push(rank: Int)
  /// Push the sum of this node, which this member has from an earlier attempt at the step.
  case recall(TreeNode)
  /// Push the partial sum of this node that `member` sent. Sums may arrive in any order; they are
  /// used in this one.
  case receive(TreeNode, member: Int)
  /// Pop the right sum, then the left; push left + right.
  case add
  /// Pop the sum of this node: it is complete as far as this member goes.
  case emit(TreeNode)
}

/// Who computes, sends and adds what in one step, so that the sum of the whole tree comes out in
/// the same bits for every ownership.
///
/// A member adds up the maximal subtrees of which it owns every rank (`localProgram`). Of each of
/// these sums it sends segment `s` to the owner of `s` (`contributions`). The owner finishes the
/// tree over what it was sent (`finishProgram`), and sends the finished segment to everyone.
///
/// - Source: architecture.md's reduce-scatter and all-gather in two hops.
public struct ReductionPlan: Hashable, Sendable {
  public let virtualRanks: Int
  /// For each rank the member that computes it.
  public let rankOwners: [Int]
  /// For each segment of the vector the member that finishes it.
  public let segmentOwners: [Int]
  /// For each member the maximal subtrees that it owns, in rank order; empty when it owns no rank.
  public let contributions: [[TreeNode]]
  /// What a segment's owner does once it has all contributions of the segment; ends with the root.
  public let finishProgram: [ReductionInstruction]

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
    var contributions = [[TreeNode]](repeating: [], count: members)
    var program: [ReductionInstruction] = []
    finish(
      .root(virtualRanks: rankOwners.count), rankOwners, into: &program,
      contributions: &contributions)
    program.append(.emit(.root(virtualRanks: rankOwners.count)))
    self.contributions = contributions
    finishProgram = program
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

  /// Bytes that each member sends and receives in one step: partial sums to the owner of each
  /// segment, and from there the sum, or the new weights, to everyone.
  ///
  /// - Parameter segmentBytes: (S), the bytes of each segment.
  public func traffic(segmentBytes: [Int]) -> [MemberTraffic] {
    precondition(segmentBytes.count == segmentOwners.count, "one size per segment expected")
    let members = contributions.count
    var traffic = [MemberTraffic](repeating: MemberTraffic(), count: members)
    for (owner, bytes) in zip(segmentOwners, segmentBytes) {
      for member in 0..<members where member != owner {
        traffic[member].sentBytes += contributions[member].count * bytes
        traffic[owner].receivedBytes += contributions[member].count * bytes
        traffic[owner].sentBytes += bytes
        traffic[member].receivedBytes += bytes
      }
    }
    return traffic
  }

  /// How much more all members send than the least that there is, `2 (W − 1)` vectors, as a share.
  public var trafficExcess: Double {
    let members = contributions.count
    guard members > 1 else { return 0 }
    let sent = traffic(segmentBytes: Array(repeating: 1, count: segmentOwners.count))
      .reduce(0) { $0 + $1.sentBytes }
    return Double(sent) / Double(2 * (members - 1) * segmentOwners.count) - 1
  }
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

/// Descends until one member owns all ranks of a node; that node is sent by it.
private func finish(
  _ node: TreeNode, _ owners: [Int], into program: inout [ReductionInstruction],
  contributions: inout [[TreeNode]]
) {
  let ranks = node.ranks(of: owners.count)
  let owner = owners[ranks.lowerBound]
  if ranks.allSatisfy({ owners[$0] == owner }) {
    contributions[owner].append(node)
    program.append(.receive(node, member: owner))
    return
  }
  let (left, right) = node.children(of: owners.count)
  finish(left, owners, into: &program, contributions: &contributions)
  guard let right else { return }
  finish(right, owners, into: &program, contributions: &contributions)
  program.append(.add)
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
