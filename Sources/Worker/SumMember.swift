public import Domain
import Kernels
public import Logging
import Protocol
import Scheduling
import Transport

/// Where the other members of a sum reach one of them.
public struct SumAddress: Hashable, Sendable {
  public var endpoint: String
  /// Public key, Z85.
  public var publicKey: String
  public init(endpoint: String, publicKey: String) {
    self.endpoint = endpoint
    self.publicKey = publicKey
  }
}

/// One member of an all-reduce without a training around it: what `comd bench allreduce` times.
///
/// It goes the way of a gradient: one virtual rank for each member, the same cells, the same mesh,
/// the same tree. Its vector is made of whole numbers, so that the sum is known to the last bit.
public actor SumMember {
  private let index: Int
  private let membersCount: Int
  private let mesh: Mesh
  private let exchange: StepExchange
  private let allowList: AllowList
  private let keys: CurveKeyPair
  private let vector: Floats
  private let wire: WirePrecision
  private let votes: AsyncStream<StepVote>

  private var members: [StepMember] = []

  /// - Parameters:
  ///   - index: among the members, from 0.
  ///   - elements: of the vector that is summed.
  ///   - desk: an endpoint that all members reach; they reach this one by the same way.
  ///   - isPlain: without encryption.
  ///   - isLocal: through local sockets rather than TCP.
  public init(
    index: Int, members: Int, elements: Int, desk: String, wire: WirePrecision = .f32,
    isPlain: Bool, isLocal: Bool, log: Logger
  ) throws {
    self.index = index
    membersCount = members
    self.wire = wire
    keys = try CurveKeyPair.generate()
    allowList = AllowList()
    mesh = try Mesh(
      endpoint: "tcp://\(localAddress(towards: desk)):*",
      security: isPlain
        ? .plainForBenchmarks(as: Self.name(index).name) : .sealed(keys, allowList),
      isLocal: isLocal)
    let (votes, feed) = AsyncStream<StepVote>.makeStream()
    self.votes = votes
    exchange = try StepExchange(
      me: Self.name(index), mesh: mesh, fence: EpochFence(), isBare: true, log: log
    ) { event in
      if case .vote(let vote) = event { feed.yield(vote) }
    }
    vector = Floats(zeros: elements)
    let period = Self.period(of: index, among: members)
    for place in 0..<elements { vector[place] = period[place % period.count] }
    exchange.start()
  }

  public nonisolated var address: SumAddress {
    SumAddress(endpoint: mesh.endpoint, publicKey: keys.publicKey)
  }

  public func close() async { await mesh.close() }

  /// Tells where the members are, in their order; this one among them.
  public func meet(_ addresses: [SumAddress]) {
    precondition(addresses.count == membersCount, "\(membersCount) addresses expected")
    members = addresses.enumerated().map { place, address in
      StepMember(
        worker: Self.name(place), endpoint: address.endpoint, publicKey: address.publicKey)
    }
    allowList.replace(
      with: Dictionary(
        members.map { ($0.publicKey, $0.worker.name) }, uniquingKeysWith: { first, _ in first }))
  }

  /// Sums the members' vectors once, after all have met in a sum of a few numbers.
  ///
  /// - Parameter round: rises by 1 from 1, the same at every member.
  /// - Returns: from that meeting until the whole sum is here.
  public func sum(round: Int) async throws -> Duration {
    try await sum(Floats(zeros: membersCount), epoch: UInt64(2 * round))
    let clock = ContinuousClock()
    let begun = clock.now
    try await sum(vector, epoch: UInt64(2 * round + 1))
    return clock.now - begun
  }

  private func sum(_ vector: Floats, epoch: UInt64) async throws {
    await exchange.begin(.pretraining, vector, lineage: 0, wire: wire, step: 0)
    let all = Array(0..<membersCount)
    let segments = segmentCount(of: vector.count)
    let plan = StepPlan(
      training: .pretraining, epoch: epoch, step: 0, members: members, rankOwners: all,
      segments: (0..<segments).map { segment in
        let owner = segment * membersCount / segments
        return SegmentKeepers([owner] + all.filter { $0 != owner })
      }, base: .beginning)
    try await exchange.open(plan)
    let mine = ReductionPlan(rankOwners: all, segmentOwners: [0], members: membersCount)
      .contributions[index]
    for node in mine {
      await exchange.computed(
        node, vector, ranks: [RankStatistics(rank: index, lossSum: 0, tokens: 1)], epoch: epoch)
    }
    for await vote in votes where vote.epoch == epoch { return }
  }

  /// Whether the last sum is right in every bit.
  public func check() async -> Bool {
    guard let grid = await exchange.grid else { return false }
    let parts = (0..<membersCount).map { Self.period(of: $0, among: membersCount) }
    let period = parts[0].indices.map { place in parts.reduce(0) { $0 + $1[place] } }
    for (cell, range) in grid.cells.enumerated() {
      guard let sum = await exchange.sum(of: cell)?.array, sum.count == range.count else {
        return false
      }
      var place = range.lowerBound % period.count
      for value in sum {
        if value != period[place] { return false }
        place = place + 1 == period.count ? 0 : place + 1
      }
    }
    return true
  }

  /// What a member's vector repeats: whole numbers, whose sums are exact in bf16, too.
  private static func period(of member: Int, among members: Int) -> [Float] {
    let limit = 256 / members
    return (0..<limit).map { Float(($0 * 31 + member * 17) % limit) }
  }

  private static func name(_ place: Int) -> WorkerID { WorkerID(name: "m\(place)", boot: 1) }
}
