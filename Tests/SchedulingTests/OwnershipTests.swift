import Domain
import Testing

@testable import Scheduling

@Suite("Segments on their keepers")
struct SegmentPlacementTests {
  private func members(_ count: Int, leaving: Set<Int> = []) -> [SegmentPlacement.Member] {
    (0..<count).map { SegmentPlacement.Member(isWhole: true, isLeaving: leaving.contains($0)) }
  }

  private func load(_ keepers: [SegmentKeepers], _ members: Int) -> [Int] {
    (0..<members).map { member in keepers.count { $0.keepers.contains(member) } }
  }

  @Test(
    "are evenly shared from the beginning, whole copies as many as asked for",
    arguments: 1...9, 0...3)
  func fresh(count: Int, replication: Int) {
    let keepers = SegmentPlacement.fresh(
      members: members(count), replication: replication, segments: 256)
    let copies = replication == 0 ? count : min(replication, count)
    #expect(keepers.allSatisfy { Set($0.keepers).count == copies && $0.keepers.count == copies })
    let load = load(keepers, count)
    // A member's part of the optimizer's state: copies / members, within what cannot be cut.
    #expect(load.allSatisfy { abs($0 * count - 256 * copies) <= copies * count })
    let owned = (0..<count).map { member in keepers.count { $0.owner == member } }
    #expect((owned.max() ?? 0) - (owned.min() ?? 0) <= count)
  }

  @Test("have a second keeper that shares few of the first one's segments' fate")
  func apart() {
    let keepers = SegmentPlacement.fresh(members: members(8), replication: 2, segments: 256)
    // Half as many pairs as members are such that losing both loses a segment.
    #expect(Set(keepers.map { Set($0.keepers) }).count == 4)
  }

  /// One step after the other, as long as something moves; what each newcomer was sent it keeps.
  private func settle(
    _ keepers: [[Int]], _ members: [SegmentPlacement.Member], replication: Int,
    _ check: ([SegmentKeepers]) -> Void
  ) -> (keepers: [SegmentKeepers], steps: Int) {
    var kept = keepers
    for step in 0..<10_000 {
      var placement = SegmentPlacement(members: members, replication: replication, keepers: kept)
      let placed = placement.place()
      check(placed)
      kept = placed.map { $0.keepers + ($0.newcomer.map { [$0] } ?? []) }
      if placed.allSatisfy({ $0.newcomer == nil }) { return (placed, step) }
    }
    Issue.record("segments move without end")
    return ([], 0)
  }

  @Test(
    "become even again after members came and went, a few in each step, and no copy is given up first",
    arguments: 1...60 as ClosedRange<UInt64>)
  func settles(seed: UInt64) {
    var random = SeededRandom(seed: seed, "placement")
    let (count, segments) = (2 + random.below(8), 64)
    let replication = 1 + random.below(3)
    let leaving = random.below(3) == 0 ? Set([random.below(count)]) : []
    let able = members(count, leaving: leaving)
    // Each segment has a keeper, some have more than are wanted.
    let kept = (0..<segments).map { _ in
      random.shuffled(Array(0..<count)).prefix(1 + random.below(3)).sorted()
    }
    var before = kept
    let (placed, _) = settle(kept, able, replication: replication) { step in
      #expect(
        step.count { $0.newcomer != nil }
          <= SegmentPlacement.movesMax(segments: segments)
          + SegmentPlacement.repairsMax(segments: segments))
      for (segment, keepers) in step.enumerated() {
        #expect(!keepers.keepers.isEmpty && keepers.keepers.allSatisfy(before[segment].contains))
        // Whoever is let go is not needed: as many stay as are wanted, or as there were.
        let staying = { (members: [Int]) in members.count { !leaving.contains($0) } }
        let wanted = min(replication, count - leaving.count)
        #expect(staying(keepers.keepers) >= min(wanted, staying(before[segment])))
      }
      before = step.map { $0.keepers + ($0.newcomer.map { [$0] } ?? []) }
    }
    let there = count - leaving.count
    let copies = min(replication, there)
    #expect(placed.allSatisfy { $0.keepers.count == copies })
    let load = load(placed, count)
    #expect(leaving.allSatisfy { load[$0] == 0 })
    let shares = (0..<count).filter { !leaving.contains($0) }.map { load[$0] }
    #expect((shares.max() ?? 0) - (shares.min() ?? 0) <= 1)
  }

  @Test("move only to members that have all weights")
  func whole() {
    var three = members(3)
    three[2].isWhole = false
    let (placed, steps) = settle(
      Array(repeating: [0], count: 32), three, replication: 2
    ) { step in
      #expect(step.allSatisfy { $0.newcomer != 2 && !$0.keepers.contains(2) })
    }
    #expect(placed.allSatisfy { Set($0.keepers) == [0, 1] } && steps > 1)
  }
}

@Suite("The ranks of a step that is done again")
struct RanksAgainTests {
  @Test("stay with who had them; the lost member's go to all the others")
  func lost() {
    for virtualRanks in [8, 16, 64] {
      for members in 2...8 {
        let equal = Array(repeating: 1.0, count: members)
        let first = rankOwners(virtualRanks: virtualRanks, paces: equal)
        for lost in 0..<members {
          let before = first.map { $0 == lost ? nil : $0 > lost ? $0 - 1 : $0 }
          let again = rankOwners(
            again: before, able: Array(0..<members - 1), paces: equal.dropLast(), elapsed: 99)
          #expect(zip(before, again).allSatisfy { $0 == nil || $0 == $1 })
          let more = (0..<members - 1).map { member in
            zip(before, again).count { $0 == nil && $1 == member }
          }
          let all = before.count { $0 == nil }
          #expect(more.reduce(0, +) == all)
          #expect(more.max() == (all + members - 2) / (members - 1))
        }
      }
    }
  }

  @Test("go to who is done first, and to nobody who is to leave")
  func paces() {
    func owners(_ able: [Int], _ paces: [Double], after elapsed: Double) -> [Int] {
      rankOwners(again: [0, 0, nil, nil, 1, 1], able: able, paces: paces, elapsed: elapsed)
    }
    #expect(owners([0, 1], [1, 1], after: 2) == [0, 0, 0, 1, 1, 1])
    #expect(owners([0, 1], [1, 9], after: 9) == [0, 0, 0, 0, 1, 1])
    #expect(owners([1], [1], after: 2) == [0, 0, 1, 1, 1, 1])
    // Somebody without ranks is there: the others have theirs to do first, or are done.
    #expect(owners([0, 1, 2], [1, 1, 1], after: 0) == [0, 0, 2, 2, 1, 1])
    #expect(owners([0, 1, 2], [1, 1, 1], after: 2) == [0, 0, 0, 1, 1, 1])
    #expect(rankOwners(again: [1, 0], able: [0], paces: [1], elapsed: 0) == [1, 0])
  }
}

@Suite("The traffic of a step")
struct TrafficTests {
  private func plan(virtualRanks: Int, members count: Int) -> ReductionPlan {
    let ranks = rankOwners(
      virtualRanks: virtualRanks, paces: Array(repeating: 1, count: count))
    let members = Array(
      repeating: SegmentPlacement.Member(isWhole: true, isLeaving: false), count: count)
    let segments = SegmentPlacement.fresh(members: members, replication: 2, segments: 256)
    return ReductionPlan(
      rankOwners: ranks, segmentOwners: segments.map(\.owner), members: count)
  }

  @Test("is the least that there is for powers of two, and 30 % more at most for others")
  func little() {
    for virtualRanks in [8, 16, 32, 64] {
      for members in 1...64 {
        let excess = plan(virtualRanks: virtualRanks, members: members).trafficExcess
        if members <= virtualRanks, members.nonzeroBitCount == 1 { #expect(excess == 0) }
        #expect(excess <= 0.3, "\(virtualRanks) ranks, \(members) members")
        // Within a tenth over its share, but where less traffic cannot be had so.
        let owners = rankOwners(
          virtualRanks: virtualRanks, paces: Array(repeating: 1, count: members))
        let most = (0..<members).map { member in owners.count { $0 == member } }.max() ?? 0
        let share = (virtualRanks + members - 1) / members
        let isHard = [[32, 5], [64, 5], [64, 10], [64, 13]].contains([virtualRanks, members])
        #expect((Double(most) > Double(share) * 1.1) == isHard)
      }
    }
  }

  @Test("takes no way over a third member where the straight one is short enough")
  func straight() {
    for members in [4, 9, 16] {
      let plan = plan(virtualRanks: 64, members: members)
      for owner in 0..<members { #expect(plan.makers[owner] == plan.tree.direct(to: owner)) }
    }
    // Twelve blocks of five and six ranks.
    let plan = plan(virtualRanks: 64, members: 12)
    #expect(plan.makers[0] != plan.tree.direct(to: 0))
  }

  @Test(
    "over other members is the least that any way has", arguments: 1...40 as ClosedRange<UInt64>)
  func least(seed: UInt64) {
    var random = SeededRandom(seed: seed, "ways")
    let members = 2 + random.below(3)
    let ranks = (0..<4 + random.below(5)).map { _ in random.below(members) }.sorted()
    let tree = ContributionTree(rankOwners: ranks)
    let fewest = tree.fewestSent(members: members)
    for owner in 0..<members {
      let sums = tree.slots.indices.dropLast().filter { place in
        if case .sum = tree.slots[place].origin { true } else { false }
      }
      var least = Int.max
      var ways = 1
      for _ in sums { ways *= members }
      for way in 0..<ways {
        var makers = tree.direct(to: owner)
        var rest = way
        for place in sums {
          makers[place] = rest % members
          rest /= members
        }
        least = min(least, tree.sent(makers, owner: owner).count)
      }
      let makers = tree.relayed(to: owner, fewest)
      #expect(tree.sent(makers, owner: owner).count == least, "\(ranks) to \(owner)")
    }
  }
}
