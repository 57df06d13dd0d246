import Domain
import Kernels
import Logging
import Protocol
import Scheduling
import Testing
import Transport

@testable import Worker

/// A member of a sum with a mesh of its own.
private final class Party: Sendable {
  let keys: CurveKeyPair
  let list = AllowList()
  let fence = EpochFence()
  let mesh: Mesh
  let exchange: StepExchange
  let id: WorkerID
  private let events: AsyncStream<ExchangeEvent>

  /// - Parameter isBare: takes part in sums alone, and keeps no moments.
  init(_ number: Int, isBare: Bool = true) throws {
    id = WorkerID(name: "w\(number)", boot: 1)
    keys = try CurveKeyPair.generate()
    mesh = try Mesh(endpoint: "tcp://127.0.0.1:*", security: .sealed(keys, list))
    let (events, feed) = AsyncStream<ExchangeEvent>.makeStream()
    self.events = events
    exchange = try StepExchange(
      me: id, mesh: mesh, fence: fence, isBare: isBare,
      log: Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() })
    ) { feed.yield($0) }
    exchange.start()
  }

  var member: StepMember {
    StepMember(worker: id, endpoint: mesh.endpoint, publicKey: keys.publicKey)
  }

  /// Begins, computes and sends its part; `leaves` are the ranks' vectors.
  func contribute(
    _ plan: StepPlan, _ leaves: [[Float]], _ wire: WirePrecision = .f32, weights: Floats? = nil
  ) async throws {
    let place = try #require(plan.members.firstIndex { $0.worker == id })
    let weights = weights ?? Floats(zeros: leaves[0].count)
    await exchange.begin(plan.training, weights, lineage: 0, wire: wire, step: plan.step)
    try await exchange.open(plan)
    let reduction = ReductionPlan(
      rankOwners: plan.rankOwners, segmentOwners: [0], members: plan.members.count)
    for node in reduction.contributions[place] {
      let ranks = node.ranks(of: leaves.count)
      await exchange.computed(
        node, Floats(treeSum(Array(leaves[ranks]), wire)),
        ranks: ranks.map { RankStatistics(rank: $0, lossSum: 0.1, tokens: Int64($0 + 1)) },
        epoch: plan.epoch)
    }
  }

  func vote() async -> StepVote? {
    for await event in events {
      switch event {
      case .vote(let vote): return vote
      case .load(let segment, let plan): await load(segment, plan)
      default: continue
      }
    }
    return nil
  }

  /// Loads so many segments that are wanted.
  func load(_ count: Int) async throws {
    var left = count
    for await event in events {
      guard case .load(let segment, let plan) = event else { continue }
      await load(segment, plan)
      left -= 1
      if left == 0 { return }
    }
  }

  /// The moments that the step's base has are zeros.
  private func load(_ segment: Int, _ plan: StepPlan) async {
    let count = await exchange.grid?.range(ofSegment: segment).count ?? 0
    await exchange.loaded(segment: segment, Moments(zeros: count, .f32), epoch: plan.epoch)
  }

  func sum() async -> [Float] {
    var values: [Float] = []
    for cell in await exchange.grid?.cells.indices ?? 0..<0 {
      values += await exchange.sum(of: cell)?.array ?? []
    }
    return values
  }
}

@Suite("Summing a step's gradients", .timeLimit(.minutes(5)))
struct StepExchangeTests {
  /// A gradient for each virtual rank, with values far apart so that the order of additions shows.
  static func leaves(_ ranks: Int, count: Int, random: inout SeededRandom) -> [[Float]] {
    (0..<ranks).map { _ in
      (0..<count).map { _ in Float(random.unit() - 0.5) * Float(1 << random.below(20)) }
    }
  }

  private static func plan(
    _ parties: [Party], epoch: UInt64, ranks: Int, random: inout SeededRandom
  ) -> StepPlan {
    let all = Array(parties.indices)
    return StepPlan(
      training: .pretraining, epoch: epoch, step: 3, members: parties.map(\.member),
      rankOwners: (0..<ranks).map { _ in random.below(parties.count) },
      segments: (0..<8).map { _ in SegmentKeepers(random.shuffled(all)) }, base: .beginning)
  }

  @Test(
    "gives every keeper the same bits as one worker would have, whoever owns what",
    arguments: 1...8 as ClosedRange<UInt64>, WirePrecision.allCases)
  func sameBits(seed: UInt64, wire: WirePrecision) async throws {
    var random = SeededRandom(seed: seed)
    let parties = try (0..<1 + random.below(4)).map { try Party($0) }
    for party in parties {
      for other in parties {
        party.list.allow(publicKey: other.keys.publicKey, name: other.id.name)
      }
    }
    for epoch in 1...3 as ClosedRange<UInt64> {
      let ranks = 1 + random.below(17)
      let leaves = Self.leaves(ranks, count: 1 + random.below(400), random: &random)
      let plan = Self.plan(parties, epoch: epoch, ranks: ranks, random: &random)
      let expected = treeSum(leaves, wire).map(\.bitPattern)
      // One after the other: the first ones' messages come before the others know of the step.
      for party in random.shuffled(parties) { try await party.contribute(plan, leaves, wire) }
      var said: Set<[SegmentSum]> = []
      for party in parties {
        let vote = try #require(await party.vote())
        #expect(vote.epoch == epoch && vote.tokens == Int64(ranks * (ranks + 1) / 2))
        #expect(await party.sum().map(\.bitPattern) == expected)
        said.insert(vote.sums)
      }
      #expect(said.count == 1)
    }
    for party in parties { await party.mesh.close() }
  }

  @Test("takes nothing of a step that is void")
  func anotherEpoch() async throws {
    var random = SeededRandom(seed: 1)
    let parties = try (0..<2).map { try Party($0) }
    for party in parties {
      for other in parties {
        party.list.allow(publicKey: other.keys.publicKey, name: other.id.name)
      }
    }
    let wrong = Self.leaves(2, count: 40, random: &random)
    let right = Self.leaves(2, count: 40, random: &random)
    var plan = Self.plan(parties, epoch: 1, ranks: 2, random: &random)
    plan.rankOwners = [0, 1]
    // The second hears of the second attempt alone.
    try await parties[0].contribute(plan, wrong)
    plan.epoch = 2
    parties[1].fence.advance(to: plan.training, epoch: plan.epoch)
    try await parties[1].contribute(plan, right)
    try await parties[0].contribute(plan, right)
    for party in parties {
      #expect(await party.vote()?.epoch == 2)
      #expect(await party.sum() == treeSum(right))
      await party.mesh.close()
    }
  }
}

@Suite("What a checkpoint takes of a member", .timeLimit(.minutes(5)))
struct MemberCheckpointTests {
  private let party: Party
  private let weights = Floats([Float](repeating: 1, count: 40))
  private let segments = Array(0..<8)
  private var plan: StepPlan

  init() throws {
    party = try Party(0, isBare: false)
    plan = StepPlan(
      training: .pretraining, epoch: 1, step: 3, members: [party.member], rankOwners: [0],
      segments: segments.map { _ in SegmentKeepers([0]) }, base: .beginning)
  }

  /// All numbers of a segment's weights, and of its moments.
  private func kept(_ segment: Int, step: Int) async throws -> [Set<Float>]? {
    let copy = try await party.exchange.copy(segment: segment, of: .pretraining, step: step)
    return try copy.map {
      try [$0.weights, $0.moments].map { file in
        let bytes = try file.read(offset: 0, length: Int(file.size))
        return Set(bytes.withUnsafeBytes { Array($0.bindMemory(to: Float.self)) })
      }
    }
  }

  private func commit() async throws -> [CellUpdate] {
    try await party.contribute(plan, [[Float](repeating: 5, count: 40)], weights: weights)
    _ = try #require(await party.vote())
    await party.exchange.keep(segments)
    let updates = await party.exchange.commit(step: plan.step)
    for update in updates {
      weights[update.range].fill(7)
      update.moments.first.fill(9)
      update.moments.second.fill(9)
    }
    #expect(Set(updates.flatMap { $0.range }).count == 40)
    return updates
  }

  @Test("is the state before a step that was committed since")
  func commits() async throws {
    _ = try await commit()
    for segment in segments { #expect(try await kept(segment, step: 3) == [[1], [0]]) }
    #expect(try await kept(0, step: 3) == nil)
    #expect(try await kept(0, step: 4) == nil)
    await party.mesh.close()
  }

  @Test("stays when the member misses steps, and gets a newer state or gives segments up")
  func misses() async throws {
    let updates = try await commit()
    await party.exchange.updated(updates.map(\.cell), changes: [:])
    await party.exchange.settled()
    await party.exchange.keep(segments)
    let other = try Party(1)
    for (one, another) in [(party, other), (other, party)] {
      one.list.allow(publicKey: another.keys.publicKey, name: another.id.name)
    }
    var next = plan
    next.epoch = 2
    next.step = 6
    next.members.append(other.member)
    // Moments of the first two segments come from the base, all weights from the other member.
    for segment in segments { next.segments[segment] = SegmentKeepers(segment < 2 ? [1, 0] : [1]) }
    let newer = Floats([Float](repeating: 5, count: 40))
    await other.exchange.begin(next.training, newer, lineage: 0, wire: .f32, step: 6)
    try await other.exchange.open(next)
    try await party.exchange.open(next)
    try await party.load(2)
    while await party.exchange.progress?.isWhole != true {
      try await Task.sleep(for: .milliseconds(5))
    }
    #expect(weights.array == newer.array)
    for segment in segments { #expect(try await kept(segment, step: 4) == [[7], [9]]) }
    await party.mesh.close()
    await other.mesh.close()
  }
}

@Suite("A node of the summation tree on the wire")
struct WireNodeTests {
  @Test("is read back as the same node, and the root is 0")
  func roundTrip() {
    for height in 0...6 {
      #expect(TreeNode(level: height, index: 0).wire(height: height) == 0)
      for level in 0...height {
        for index in 0..<(1 << (height - level)) {
          let node = TreeNode(level: level, index: index)
          #expect(TreeNode(wire: node.wire(height: height), height: height) == node)
        }
      }
      #expect(TreeNode(wire: (2 << height) - 1, height: height) == nil)
      #expect(TreeNode(wire: -1, height: height) == nil)
    }
  }
}
