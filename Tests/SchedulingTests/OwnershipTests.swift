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

  @Test("are owned by those of their keepers that have the most weight, and by these evenly")
  func owners() {
    var unequal = members(3)
    for (member, weight) in [1, 2, 2].enumerated() { unequal[member].weight = weight }
    let keepers = SegmentPlacement.fresh(members: unequal, replication: 2, segments: 240)
    #expect(Set(keepers.map(\.owner)) == [1, 2])
    #expect(abs(keepers.count { $0.owner == 1 } - 120) <= 1)
    #expect(load(keepers, 3) == [160, 160, 160])
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

@Suite("The traffic of a step")
struct TrafficTests {
  private func excess(virtualRanks: Int, members count: Int) -> Double {
    let ranks = rankOwners(
      virtualRanks: virtualRanks, paces: Array(repeating: 1, count: count))
    let plan = ReductionPlan(rankOwners: ranks, segmentOwners: [], members: count)
    let members = ownerWeights(plan).map {
      SegmentPlacement.Member(isWhole: true, isLeaving: false, weight: $0)
    }
    let segments = SegmentPlacement.fresh(members: members, replication: 2, segments: 256)
    return ReductionPlan(
      rankOwners: ranks, segmentOwners: segments.map(\.owner), members: count
    ).trafficExcess
  }

  @Test("is the least that there is for powers of two, and little more for others")
  func little() {
    for members in [2, 4, 8, 16] { #expect(excess(virtualRanks: 16, members: members) == 0) }
    for members in 1...16 {
      #expect(excess(virtualRanks: 16, members: members) <= 0.3 + 1e-9, "\(members) members")
    }
    // Blocks of 10 and 11 ranks would be nine subtrees.
    #expect(excess(virtualRanks: 32, members: 3) <= 0.3)
  }
}

@Suite("What a training will take")
struct TrainingForecastTests {
  private func forecast(_ members: Int, replication: Int = 2) -> TrainingForecast {
    TrainingForecast(
      parameters: 1 << 24, members: members, virtualRanks: 16, replication: replication)
  }
  private let vector = 4 << 24

  @Test("is the whole state for one, and for more its copies over all of them")
  func memory() {
    let one = forecast(1).memory
    #expect(one.weights == vector && one.moments == 2 * vector && one.sums == 2 * vector)
    // A tree over sixteen ranks, one after the other, is five sums deep.
    #expect(one.gradients == 5 * vector)
    let four = forecast(4).memory
    #expect(four.moments == one.moments / 2 && four.gradients == 3 * vector)
    #expect(four.sums == vector / 2 + vector / 4)
    #expect(forecast(4, replication: 0).memory.moments == one.moments)
    #expect(forecast(8).memory.moments == one.moments / 4)
  }

  @Test("is 2(W-1)/W of the vector sent in each step by each of a power of two")
  func traffic() {
    #expect(forecast(1).sentBytes == 0)
    for members in [2, 4, 8, 16] {
      #expect(forecast(members).sentBytes == 2 * (members - 1) * vector / members)
    }
    #expect(forecast(3).excess > 0 && forecast(3).sentBytes > 4 * vector / 3)
  }

  @Test("is what moves when one is lost or joins, and how many losses are one too many")
  func changes() throws {
    #expect(forecast(1).loss == nil && forecast(4, replication: 1).loss == nil)
    // Two copies on two: the other has all.
    #expect(try #require(forecast(2).loss).bytes == 0 && forecast(2).fatalPairs == 1)
    let loss = try #require(forecast(4).loss)
    // What the lost one kept gets another keeper, and little else moves.
    #expect(loss.bytes >= vector && loss.bytes < vector * 3 / 2 && loss.steps > 1)
    let join = forecast(4).join
    #expect(abs(join.bytes - vector * 4 / 5) <= vector / 32 && join.steps > loss.steps)
    #expect(abs(forecast(4).fatalPairs - 1.0 / 3) < 1e-9)
    #expect(forecast(4, replication: 3).fatalPairs == 0)
    #expect(forecast(4, replication: 1).fatalPairs == 1)
  }
}
