import Domain
import Executors
import Foundation
import Hashing
import Logging
import Protocol
import Scheduling
import Transport

/// Serves blobs to workers over the bulk socket, tells them who else has them, and takes in those
/// that they make, on a thread that may wait for the disk.
actor BlobServer {
  private let executor = ThreadExecutor(label: "blob server")
  nonisolated var unownedExecutor: UnownedSerialExecutor {
    executor.asUnownedSerialExecutor()
  }

  private let server: MessageServer
  private let blobs: BlobFolder
  private let inventory: Inventory
  private let pieceLists: PieceLists
  private let log: Logger
  /// Hears what is wrong with a worker, and its name.
  private let onComplaint: @Sendable (String, String) async -> Void
  /// Workers that others can fetch from, by name.
  private var members: [String: Member] = [:]
  private var tracker = BlobTracker()
  private let queues = ConnectionQueues<Item>(itemsMax: 1024)
  private var arrivals: BlobArrivals

  private struct Member {
    var connection: ConnectionID
    var source: BlobSource
  }

  /// What a worker asks for.
  private struct Wish: Sendable {
    enum What { case range(Int64, Int), sources }
    var request: UInt64
    var blob: Digest
    var what: What
    var name: String

    init(_ request: UInt64, _ blob: Digest, _ what: What, of incoming: Incoming) {
      self.request = request
      self.blob = blob
      self.what = what
      name = incoming.peer
    }

    func refused(_ reason: BulkRefusal) -> Answer {
      (.refused(request: request, blob: blob, reason), nil)
    }
  }

  /// With the raw frame, where there is one.
  private typealias Answer = (BulkReply, payload: [UInt8]?)

  /// What waits for its turn on a connection. What has bytes is read when it comes.
  private enum Item: Sendable {
    case reply(BulkReply)
    case wish(Wish)
    case pull(BlobArrivals.Pull)
  }

  init(
    server: MessageServer, blobs: BlobFolder, inventory: Inventory, pieceLists: PieceLists,
    log: Logger, onComplaint: @escaping @Sendable (String, String) async -> Void = { _, _ in }
  ) {
    self.server = server
    self.blobs = blobs
    arrivals = BlobArrivals(into: blobs)
    self.inventory = inventory
    self.pieceLists = pieceLists
    self.log = log
    self.onComplaint = onComplaint
  }

  /// Answers requests until the socket is closed.
  func run() async {
    await queues.serve(
      server, take: { await self.take($0) }, left: { await self.left($0) },
      work: { await self.answer($0, on: $1) })
    arrivals.abandon()
  }

  /// Nobody fetches from, or for, a worker whose key was revoked.
  func shutOut(_ name: String) {
    for member in members.values where member.source.name != name {
      put(.shutOut(name: name), on: member.connection)
    }
    forget(name)
  }

  private func left(_ connection: ConnectionID) {
    arrivals.left(connection)
    for (name, member) in members where member.connection == connection { forget(name) }
  }

  private func forget(_ name: String) {
    members[name] = nil
    tracker.left(name)
  }

  /// Takes in what a worker sends; what it asks for is answered in its turn on its connection.
  private func take(_ incoming: Incoming) async {
    let connection = incoming.connection
    guard let head = incoming.frames.first,
      let request = try? decodeBulkRequest(
        head.bytes, payloadBytes: incoming.frames.count > 1 ? incoming.frames[1].count : 0)
    else {
      log.warning(
        "a bulk request could not be read; it is dropped", metadata: ["from": "\(incoming.peer)"])
      return
    }
    switch request {
    case .fetch(let number, let blob, let offset, let length):
      enqueue(.wish(Wish(number, blob, .range(offset, length), of: incoming)), on: connection)
    case .find(let number, let blob):
      enqueue(.wish(Wish(number, blob, .sources, of: incoming)), on: connection)
    case .offer(let number, let blob, let size, let place):
      let giver = BlobArrivals.Giver(connection: connection, request: number)
      offered(blob, size: size, by: giver, at: place)
    case .chunk(let number, let blob, let offset, _):
      let bytes = incoming.frames.count > 1 ? incoming.frames[1].bytes : []
      let giver = BlobArrivals.Giver(connection: connection, request: number)
      put(arrivals.arrived(blob, bytes, at: offset, from: giver))
    case .announce(let endpoint, let publicKey, let blobs):
      members[incoming.peer] = Member(
        connection: connection,
        source: BlobSource(name: incoming.peer, endpoint: endpoint, publicKey: publicKey))
      tracker.announced(blobs, by: incoming.peer)
    case .complain(let blob, let piece, let source):
      tracker.disproved(blob, of: source)
      // Who complains without end fills no log: that is bounded by name.
      await onComplaint(
        "\(incoming.peer) says that \(source) sent it piece \(piece) of blob \(blob) broken", source
      )
    case .survey: break
    }
  }

  private func put(_ replies: [BlobArrivals.Reply]) {
    for reply in replies { put(reply.reply, on: reply.connection) }
  }

  /// Small and not waited for by anything before it: it goes at once, where there is room.
  private func put(_ reply: BulkReply, on connection: ConnectionID) {
    do {
      try server.send([Frame(encode(reply))], to: connection)
    } catch {
      enqueue(.reply(reply), on: connection)
    }
  }

  private func enqueue(_ item: Item, on connection: ConnectionID) {
    if !queues.put(item, on: connection) {
      log.warning(
        "too many bulk requests at once; one is dropped", metadata: ["from": "\(connection)"])
    }
  }

  /// A blob that lies on this machine is taken from there, in pieces between other work.
  private func offered(
    _ blob: Digest, size: Int64, by giver: BlobArrivals.Giver, at place: FilePlace?
  ) {
    let file = place.flatMap {
      HeldFile(process: $0.process, descriptor: $0.descriptor, offset: $0.offset, size: size)
    }
    put(arrivals.offered(blob, size: size, by: giver, isHere: file != nil))
    guard let file else { return }
    let pull = BlobArrivals.Pull(blob: blob, giver: giver, file: file)
    if !queues.put(.pull(pull), on: giver.connection) { put(arrivals.asked(instead: pull)) }
  }

  private func answer(_ item: Item, on connection: ConnectionID) async {
    let frames: [Frame]
    switch item {
    case .reply(let reply): frames = [Frame(encode(reply))]
    case .pull(let pull):
      while true {
        let (replies, goesOn) = arrivals.take(pull)
        put(replies)
        if !goesOn { return }
        await Task.yield()
      }
    case .wish(let wish):
      let (reply, payload) =
        switch wish.what {
        case .range(let offset, let length): chunk(wish, offset: offset, length: length)
        case .sources: await found(wish)
        }
      frames = [Frame(encode(reply))] + (payload.map { [Frame($0)] } ?? [])
    }
    do {
      try await server.sendWaiting(frames, to: connection)
    } catch {
      log.debug("a bulk reply could not be sent: \(error)", metadata: ["to": "\(connection)"])
    }
  }

  // MARK: - Where a blob is

  private func place(of blob: Digest) -> (path: String, size: Int64)? {
    if let size = blobs.size(blob) { return (blobs.path(blob), size) }
    return inventory.file(of: blob)
  }

  /// Who has a blob; of a small one that few have asked for, the blob.
  private func found(_ wish: Wish) async -> Answer {
    let blob = wish.blob
    guard let (path, size) = place(of: blob) else { return wish.refused(.unknownBlob) }
    if PieceList.count(ofSize: size) == 1 {
      switch tracker.want(blob, isSmall: true, by: wish.name) {
      case .coordinator: return chunk(wish, offset: 0, length: pieceBytes)
      case .members(let names): return (sources(names, for: wish, size: size), [])
      }
    }
    let listed = Int64(WireLimits.pieceListBytesMax / 32) * Int64(pieceBytes)
    if size > listed { return wish.refused(.tooLarge(limit: listed)) }
    do {
      let list = try await pieceLists.list(of: blob, size: size, at: path)
      guard case .members(let names) = tracker.want(blob, isSmall: false, by: wish.name) else {
        preconditionFailure("members, if any, are named for a large blob")
      }
      return (sources(names, for: wish, size: list.size), list.bytes)
    } catch {
      return wish.refused(BulkRefusal(error))
    }
  }

  /// Names members as sources, and tells them first who will come, and may have pieces that they
  /// lack.
  private func sources(_ names: [String], for wish: Wish, size: Int64) -> BulkReply {
    let guest = members[wish.name]?.source
    let named = guest == nil ? [] : names.compactMap { members[$0] }
    if let guest {
      for member in named { put(.letIn(guest, blob: wish.blob), on: member.connection) }
    }
    return .found(
      request: wish.request, blob: wish.blob, size: size, sources: named.map(\.source))
  }

  private func chunk(_ wish: Wish, offset: Int64, length: Int) -> Answer {
    guard let (path, size) = place(of: wish.blob) else { return wish.refused(.unknownBlob) }
    guard offset >= 0, offset <= size else { return wish.refused(.range) }
    do {
      let bytes = try readFile(path, offset: offset, length: length)
      let reply = BulkReply.chunk(
        request: wish.request, blob: wish.blob, size: size, offset: offset, length: bytes.count)
      return (reply, bytes)
    } catch {
      return wish.refused(.storage("\(error)"))
    }
  }
}
