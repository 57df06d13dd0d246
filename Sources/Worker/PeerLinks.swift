import Domain
import Kernels
import Logging
import Protocol
import Transport

/// The sockets between the members of a step: one server for what comes in, one client per peer for
/// what goes out, each with a queue of its own, so that a peer that died delays nobody else.
actor PeerLinks {
  private struct Piece: Sendable {
    var training: TrainingID
    var epoch: UInt64
    var frames: [Frame]
  }
  private struct Link {
    var client: MessageClient
    var queue: AsyncStream<Piece>.Continuation
  }
  private struct Newcomer: Sendable {
    var client: MessageClient
    var queue: AsyncStream<Piece>
  }

  private let keys: CurveKeyPair
  private let allowList: AllowList
  private let fence: EpochFence
  /// Without encryption: for measurements on one machine.
  private let isPlain: Bool
  private let log: Logger
  private var links: [StepMember: Link] = [:]
  private let newcomers: AsyncStream<Newcomer>
  private let door: AsyncStream<Newcomer>.Continuation

  init(
    keys: CurveKeyPair, allowList: AllowList, fence: EpochFence, isPlain: Bool = false, log: Logger
  ) {
    self.keys = keys
    self.allowList = allowList
    self.fence = fence
    self.isPlain = isPlain
    self.log = log
    (newcomers, door) = AsyncStream.makeStream()
  }

  /// Sends what is queued, for every peer at once, until cancelled.
  func run() async {
    let (fence, log) = (fence, log)
    await withDiscardingTaskGroup { group in
      for await newcomer in newcomers {
        group.addTask { await Self.serve(newcomer, fence: fence, log: log) }
      }
      group.cancelAll()
    }
  }

  /// Sends one peer's queue, from its first connection on.
  private static func serve(_ newcomer: Newcomer, fence: EpochFence, log: Logger) async {
    let client = newcomer.client
    while let event = await client.events.next() {
      if case .connected = event { break }
    }
    await withDiscardingTaskGroup { group in
      // Peers answer on their own connection to us; this only keeps the mailbox empty.
      group.addTask { while await client.events.next() != nil {} }
      for await piece in newcomer.queue
      where !fence.isVoid(piece.training, epoch: piece.epoch) {
        do {
          try await client.sendWaiting(piece.frames)
        } catch {
          // The step is fenced by the coordinator's patience and runs again.
          log.debug("a piece of a sum was not sent: \(error)")
        }
      }
      await client.close()
    }
  }

  /// Lets exactly these members in, and connects to those that are new.
  func connect(to members: [StepMember], except me: WorkerID) throws {
    allowList.replace(
      with: Dictionary(
        members.map { ($0.publicKey, $0.worker.name) }, uniquingKeysWith: { first, _ in first }))
    let wanted = Set(members.filter { $0.worker != me })
    for (member, link) in links where !wanted.contains(member) {
      link.queue.finish()
      links[member] = nil
    }
    for member in wanted where links[member] == nil {
      let client = try MessageClient(
        endpoint: member.endpoint,
        security: isPlain ? .plainForBenchmarks : .curve(keys, serverKey: member.publicKey),
        limits: .peer)
      let (queue, continuation) = AsyncStream<Piece>.makeStream()
      links[member] = Link(client: client, queue: continuation)
      door.yield(Newcomer(client: client, queue: queue))
    }
  }

  /// Queues pieces for their members. The queues hold at most one step's vector per peer: a new
  /// epoch voids what is left of the old one.
  func send(_ pieces: [OutgoingPiece], of plan: StepPlan) {
    for piece in pieces {
      guard let link = links[plan.members[piece.member]] else { continue }
      let head = Frame(encode(PeerMessage.segment(piece.header)))
      link.queue.yield(
        Piece(
          training: plan.training, epoch: plan.epoch,
          frames: [head, Frame(floats: piece.values.array)]))
    }
  }
}
