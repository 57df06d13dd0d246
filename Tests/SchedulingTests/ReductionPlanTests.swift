import Domain
import Testing

@testable import Scheduling

/// Ranks over members that are equally quick.
private func evenly(_ virtualRanks: Int, _ members: Int) -> [Int] {
  rankOwners(virtualRanks: virtualRanks, paces: Array(repeating: 1, count: members))
}

/// Of the traffic, when all own the same number of segments.
private func excess(_ rankOwners: [Int], _ members: Int) -> Double {
  ReductionPlan(rankOwners: rankOwners, segmentOwners: Array(0..<members), members: members)
    .trafficExcess
}

@Suite("The summation tree")
struct ReductionPlanTests {
  /// Magnitudes far apart, so that another order of additions shows.
  private func leaves(_ count: Int, length: Int, seed: UInt64) -> [[Float]] {
    var random = SeededRandom(seed: seed, "leaves")
    return (0..<count).map { _ in
      (0..<length).map { _ in Float(random.unit() - 0.5) * Float(1 << random.below(30)) }
    }
  }

  /// What all members do in one step, each with its own programs and segments.
  private func distributedSum(
    _ leaves: [[Float]], ranks: [Int], segments: [Int], members: Int
  ) -> [Float] {
    let plan = ReductionPlan(rankOwners: ranks, segmentOwners: segments, members: members)
    var partials: [TreeNode: [Float]] = [:]
    for member in 0..<members {
      for (node, sum) in run(plan.localProgram(member: member), leaves) {
        #expect(partials[node] == nil, "\(node) is computed once")
        partials[node] = sum
      }
    }
    let length = leaves[0].count
    let sizes = segments.indices.map {
      segmentRange($0, of: length, segments: segments.count).count
    }
    var random = SeededRandom(seed: UInt64(ranks.count), "messages")
    var sent = 0
    let sums = segments.indices.flatMap { segment -> [Float] in
      let range = segmentRange(segment, of: length, segments: segments.count)
      let (wholes, messages) = sumByMessages(
        partials.mapValues { Array($0[range]) }, plan.tree, plan.makers[segments[segment]],
        owner: segments[segment], members: members, copies: false, &random)
      #expect(wholes.count == 1)
      sent += (messages + members - 1) * sizes[segment]
      return wholes.first ?? []
    }
    let traffic = plan.traffic(segmentBytes: sizes)
    #expect(traffic.reduce(0) { $0 + $1.sentBytes } == sent)
    #expect(traffic.reduce(0) { $0 + $1.receivedBytes } == sent)
    return sums
  }

  private func run(
    _ program: [ReductionInstruction], _ leaves: [[Float]]
  ) -> [TreeNode: [Float]] {
    var stack: [[Float]] = []
    var results: [TreeNode: [Float]] = [:]
    for instruction in program {
      switch instruction {
      case .push(let rank): stack.append(leaves[rank])
      case .recall: Issue.record("nothing is known")
      case .add:
        let right = stack.removeLast()
        stack.append(zip(stack.removeLast(), right).map { $0 + $1 })
      case .emit(let node): results[node] = stack.removeLast()
      }
    }
    #expect(stack.isEmpty)
    return results
  }

  @Test("gives the same bits for every ownership", arguments: 1...18)
  func sameBits(virtualRanks: Int) {
    var random = SeededRandom(seed: UInt64(virtualRanks), "ownership")
    let leaves = leaves(virtualRanks, length: 37, seed: UInt64(virtualRanks))
    let expected = treeSum(leaves).map(\.bitPattern)
    for members in 1...(virtualRanks + 2) {
      let even = distributedSum(
        leaves, ranks: evenly(virtualRanks, members), segments: (0..<7).map { $0 * members / 7 },
        members: members)
      #expect(even.map(\.bitPattern) == expected)
      let scattered = distributedSum(
        leaves, ranks: (0..<virtualRanks).map { _ in random.below(members) },
        segments: (0..<5).map { _ in random.below(members) }, members: members)
      #expect(scattered.map(\.bitPattern) == expected)
    }
  }

  @Test("is another sum than adding from left to right")
  func orderMatters() {
    let leaves = leaves(16, length: 64, seed: 3)
    let sequential = leaves.dropFirst().reduce(leaves[0]) { sum, leaf in
      zip(sum, leaf).map { $0 + $1 }
    }
    #expect(treeSum(leaves) != sequential)
  }

  @Test("of five is ((0+1)+(2+3))+4")
  func fiveByHand() {
    let plan = ReductionPlan(
      rankOwners: [0, 0, 0, 1, 1], segmentOwners: [0, 1], members: 2)
    #expect(plan.contributions[0] == [TreeNode(level: 1, index: 0), TreeNode(rank: 2)])
    #expect(plan.contributions[1] == [TreeNode(rank: 3), TreeNode(level: 2, index: 1)])
    #expect(
      plan.tree.slots.map(\.node) == [
        TreeNode(level: 1, index: 0), TreeNode(rank: 2), TreeNode(rank: 3),
        TreeNode(level: 1, index: 1), TreeNode(level: 2, index: 0), TreeNode(level: 2, index: 1),
        TreeNode(level: 3, index: 0),
      ])
    #expect(treeSum([1, 2, 4, 8, 16] as [Double]) == 31)
  }

  @Test("costs 2(W-1)/W of the vector when blocks are whole subtrees")
  func traffic() {
    let plan = ReductionPlan(
      rankOwners: evenly(16, 4), segmentOwners: (0..<64).map { $0 / 16 }, members: 4)
    #expect(plan.trafficExcess == 0)
    for member in plan.traffic(segmentBytes: Array(repeating: 100, count: 64)) {
      #expect(member.sentBytes == 2 * 3 * 6400 / 4)
      #expect(member.receivedBytes == 2 * 3 * 6400 / 4)
    }
  }

  @Test("is spread in contiguous blocks, none empty, none far over its share")
  func ownership() {
    for virtualRanks in 1...40 {
      for members in 1...45 {
        let owners = evenly(virtualRanks, members)
        #expect(owners.count == virtualRanks)
        #expect(zip(owners, owners.dropFirst()).allSatisfy { $0 <= $1 })
        let share = (virtualRanks + members - 1) / members
        let counts = (0..<members).map { member in owners.count { $0 == member } }
        let most = Double(counts.max() ?? 0) / Double(share)
        // More than a tenth is given for one thing alone.
        if most > 1.1 {
          #expect(most <= 1.25 && excess(owners, members) <= 0.3, "\(virtualRanks), \(members)")
        }
        if members <= virtualRanks { #expect(!counts.contains(0)) }
      }
    }
    // Nothing brings this within the bound: 48 of 43 would be waited for in vain.
    #expect(evenly(86, 2).count { $0 == 0 } <= 47)
    // Thirteen and twelve each would send 73 % more than the least, fourteen at most 38 %.
    let five = evenly(64, 5)
    #expect((0..<5).map { member in five.count { $0 == member } } == [8, 8, 16, 16, 16])
    // Five partial sums in all, where 5 + 5 + 6 ranks would need seven.
    let plan = ReductionPlan(
      rankOwners: evenly(16, 3), segmentOwners: [0], members: 3)
    #expect(plan.contributions.map(\.count).reduce(0, +) == 5)
  }

  @Test("segments cover the vector once, for odd lengths, too")
  func segments() {
    for count in [0, 1, 63, 64, 65, 1000] {
      let ranges = (0..<64).map { segmentRange($0, of: count, segments: 64) }
      #expect(ranges.first?.lowerBound == 0)
      #expect(ranges.last?.upperBound == count)
      #expect(zip(ranges, ranges.dropFirst()).allSatisfy { $0.upperBound == $1.lowerBound })
    }
  }
}

@Suite("Virtual ranks on members of unequal pace")
struct RankOwnersTests {
  @Test("end as early as they can, whatever the paces", arguments: 1...50 as ClosedRange<UInt64>)
  func earliest(seed: UInt64) {
    var random = SeededRandom(seed: seed, "paces")
    let ranks = 1 + random.below(24)
    let paces = (0..<1 + random.below(5)).map { _ in 0.2 + random.unit() * 3 }
    let owners = rankOwners(virtualRanks: ranks, paces: paces)
    #expect(owners.count == ranks)
    func end(_ counts: [Int]) -> Double { zip(counts, paces).map { Double($0) * $1 }.max() ?? 0 }
    let counts = paces.indices.map { member in owners.count { $0 == member } }
    // Greedily to who would end first: the best there is for equal pieces of work.
    var best = paces.map { _ in 0 }
    for _ in 0..<ranks {
      let next = paces.indices.min { a, b in
        Double(best[a] + 1) * paces[a] < Double(best[b] + 1) * paces[b]
      }
      best[next ?? 0] += 1
    }
    let lateness = end(counts) / end(best)
    if lateness > 1.100001 {
      #expect(lateness <= 1.250001 && excess(owners, paces.count) <= 0.3)
    }
  }

  @Test("count subtrees as the reduction makes them")
  func counted() {
    for ranks in 1...20 {
      for start in 0..<ranks {
        for end in start + 1...ranks {
          let owners = (0..<ranks).map { $0 >= start && $0 < end ? 1 : 0 }
          let plan = ReductionPlan(rankOwners: owners, segmentOwners: [0], members: 2)
          #expect(subtrees(in: start..<end, of: ranks) == plan.contributions[1].count)
        }
      }
    }
  }
}
