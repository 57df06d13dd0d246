import Domain
import Kernels
public import Logging
import Protocol
import Scheduling
import Transport

/// Where the other members of a sum reach one of them.
public struct SumAddress: Hashable, Sendable {
  public var endpoint: String
  /// CURVE public key, Z85.
  public var publicKey: String
  public init(endpoint: String, publicKey: String) {
    self.endpoint = endpoint
    self.publicKey = publicKey
  }
}

/// One member of an all-reduce without a training around it: what `comd bench allreduce` times.
///
/// It goes the way of a gradient: one virtual rank and one segment for each member, the same
/// pieces, the same sockets, the same tree. Its vector is made of whole numbers, so that the sum is
/// known to the last bit.
public actor SumMember {
  private let index: Int
  private let membersCount: Int
  private let compute: Compute
  private let links: PeerLinks
  private let server: MessageServer
  private let allowList: AllowList
  private let keys: CurveKeyPair
  /// Used up by a sum, as a gradient is.
  private let vector: Floats

  private var members: [StepMember] = []
  private var exchange: StepExchange?
  private var early = EarlyPieces()
  private var finished: CheckedContinuation<Void, Never>?

  /// - Parameters:
  ///   - index: among the members, from 0.
  ///   - elements: of the vector that is summed.
  ///   - isPlain: without encryption, on this machine only.
  public init(
    index: Int, members: Int, elements: Int, threads: Int, isPlain: Bool, log: Logger
  ) throws {
    self.index = index
    membersCount = members
    compute = try Compute(threads: threads)
    keys = try CurveKeyPair.generate()
    allowList = AllowList()
    links = PeerLinks(
      keys: keys, allowList: allowList, fence: EpochFence(), isPlain: isPlain, log: log)
    server = try MessageServer(
      endpoint: "tcp://127.0.0.1:*",
      security: isPlain ? .plainForBenchmarks : .curve(keys, allowList), limits: .peer)
    vector = Floats(zeros: elements)
    Self.fill(vector, of: index)
  }

  public nonisolated var address: SumAddress {
    SumAddress(endpoint: server.endpoint, publicKey: keys.publicKey)
  }

  /// Moves pieces until cancelled.
  public func run() async {
    let (links, server) = (links, server)
    await withDiscardingTaskGroup { group in
      group.addTask { await links.run() }
      group.addTask { [self] in
        while let event = await server.events.next() {
          guard case .message(let incoming) = event, incoming.frames.count == 2,
            let values = incoming.frames[1].floats,
            let message = try? decodePeerMessage(
              incoming.frames[0].bytes, payloadBytes: incoming.frames[1].count),
            case .segment(let header) = message
          else { continue }
          await receive(header, values)
        }
      }
    }
    await server.close()
  }

  /// Connects to the members, in their order; this one among them.
  public func connect(to addresses: [SumAddress]) async throws {
    precondition(addresses.count == membersCount, "\(membersCount) addresses expected")
    members = addresses.enumerated().map { place, address in
      StepMember(
        worker: Self.name(place), endpoint: address.endpoint, publicKey: address.publicKey)
    }
    try await links.connect(to: members, except: Self.name(index))
  }

  /// Sums the members' vectors once; returns when the whole sum is here. `check` comes before the
  /// next.
  /// - Parameter round: rises by 1 from 1, the same at every member.
  public func sum(round: Int) async {
    let all = Array(0..<membersCount)
    let plan = StepPlan(
      training: .pretraining, epoch: UInt64(round), step: round, members: members,
      rankOwners: all, segmentOwners: all)
    var begun = StepExchange(plan: plan, me: index, count: vector.count, compute: compute)
    var pieces: [OutgoingPiece] = []
    let ranks = [RankStatistics(rank: index, lossSum: 0, tokens: 1)]
    for case .emit(let node) in begun.program {
      pieces += begun.contribute(node, vector, ranks: ranks)
    }
    pieces += early.release(into: &begun)
    exchange = begun
    await links.send(pieces, of: plan)
    if exchange?.isComplete == true { return }
    await withCheckedContinuation { finished = $0 }
  }

  /// Whether the last sum is right in every bit. Makes the vector ready for the next.
  public func check() -> Bool {
    Self.fill(vector, of: index)
    guard let total = exchange?.total else { return false }
    return (0..<total.count).allSatisfy { place in
      total[place] == (0..<membersCount).reduce(0) { $0 + Self.value(place, of: $1) }
    }
  }

  private func receive(_ header: GradientSegment, _ values: [Float]) async {
    guard let plan = exchange?.plan, header.epoch <= plan.epoch else {
      return early.keep(header, values, from: Self.name(header.sender).name)
    }
    let pieces = exchange?.receive(header, values) ?? []
    await links.send(pieces, of: plan)
    if exchange?.isComplete == true {
      finished?.resume()
      finished = nil
    }
  }

  private static func fill(_ vector: Floats, of member: Int) {
    for place in 0..<vector.count { vector[place] = value(place, of: member) }
  }

  private static func value(_ place: Int, of member: Int) -> Float {
    Float((place &* 31 &+ member &* 17) % 127)
  }

  private static func name(_ place: Int) -> WorkerID { WorkerID(name: "m\(place)", boot: 1) }
}
