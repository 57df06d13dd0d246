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
  private let votes: AsyncStream<StepVote>

  init(_ number: Int) throws {
    id = WorkerID(name: "w\(number)", boot: 1)
    keys = try CurveKeyPair.generate()
    mesh = try Mesh(endpoint: "tcp://127.0.0.1:*", security: .sealed(keys, list))
    let (votes, feed) = AsyncStream<StepVote>.makeStream()
    self.votes = votes
    exchange = try StepExchange(
      me: id, mesh: mesh, fence: fence, isBare: true,
      log: Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() })
    ) { event in
      if case .vote(let vote) = event { feed.yield(vote) }
    }
    exchange.start()
  }

  var member: StepMember {
    StepMember(worker: id, endpoint: mesh.endpoint, publicKey: keys.publicKey)
  }

  /// Computes and sends its part; `leaves` are the ranks' vectors.
  func contribute(
    _ plan: StepPlan, _ leaves: [[Float]], _ wire: WirePrecision = .f32
  ) async throws {
    let place = try #require(plan.members.firstIndex { $0.worker == id })
    await exchange.begin(
      plan.training, Floats(zeros: leaves[0].count), lineage: 0, wire: wire, step: plan.step)
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
    for await vote in votes { return vote }
    return nil
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
    let parties = try (0..<1 + random.below(4)).map(Party.init)
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
    let parties = try (0..<2).map(Party.init)
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
