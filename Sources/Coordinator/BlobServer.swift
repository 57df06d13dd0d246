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
  /// Blobs that are on their way in.
  private var arriving: [Digest: Arrival] = [:]
  private var chunksSeen: UInt64 = 0
  /// No worker may offer more than this at once: a bound, far above any checkpoint.
  static let offerBytesMax: Int64 = 1 << 40
  /// At one more, the blob of which nothing has come for longest is given up.
  static let arrivingMax = 64

  private struct Member {
    var connection: ConnectionID
    var source: BlobSource
  }

  /// A blob on its way in. Several workers may hand in the same one: whichever next chunk comes
  /// first counts, and each of them hears how it ended, though its own chunks came too late.
  private struct Arrival {
    struct Giver {
      var connection: ConnectionID
      /// The number of its offer.
      var request: UInt64
    }
    var writer: BlobWriter
    /// In the order in which they came.
    var givers: [Giver]
    /// When something of it came last, counted in chunks and offers.
    var touched: UInt64

    mutating func add(_ giver: Giver) {
      remove(giver.connection)
      givers.append(giver)
    }

    mutating func remove(_ connection: ConnectionID) {
      givers.removeAll { $0.connection == connection }
    }
  }

  private struct Reply {
    var connection: ConnectionID
    var reply: BulkReply

    init(to connection: ConnectionID, _ reply: BulkReply) {
      self.connection = connection
      self.reply = reply
    }
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
  }

  init(
    server: MessageServer, blobs: BlobFolder, inventory: Inventory, pieceLists: PieceLists,
    log: Logger, onComplaint: @escaping @Sendable (String, String) async -> Void = { _, _ in }
  ) {
    self.server = server
    self.blobs = blobs
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
    arriving.values.forEach { $0.writer.abandon() }
  }

  /// Nobody fetches from, or for, a worker whose key was revoked.
  func shutOut(_ name: String) {
    for member in members.values where member.source.name != name {
      put(.shutOut(name: name), on: member.connection)
    }
    forget(name)
  }

  private func left(_ connection: ConnectionID) {
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
    case .offer(let number, let blob, let size):
      put(offered(blob, size: size, by: Arrival.Giver(connection: connection, request: number)))
    case .chunk(let number, let blob, let offset, _):
      let bytes = incoming.frames.count > 1 ? incoming.frames[1].bytes : []
      let giver = Arrival.Giver(connection: connection, request: number)
      put(arrived(blob, bytes, at: offset, from: giver))
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

  private func put(_ replies: [Reply]) {
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

  private func answer(_ item: Item, on connection: ConnectionID) async {
    let frames: [Frame]
    switch item {
    case .reply(let reply): frames = [Frame(encode(reply))]
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
      return wish.refused(reason(error))
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

  // MARK: - Blobs that workers hand in

  private func offered(_ blob: Digest, size: Int64, by giver: Arrival.Giver) -> [Reply] {
    if blobs.has(blob) { return [stored(blob, giver)] }
    if size > Self.offerBytesMax {
      return [refused(blob, giver, .tooLarge(limit: Self.offerBytesMax))]
    }
    chunksSeen += 1
    if var arrival = arriving[blob] {
      // One digest has one size; who is wrong shows when the blob is whole.
      guard arrival.writer.size == size else { return [refused(blob, giver, .busy)] }
      arrival.add(giver)
      arrival.touched = chunksSeen
      arriving[blob] = arrival
      return [wanted(blob, giver, from: arrival.writer.received)]
    }
    do {
      let writer = try blobs.receive(blob, size: size)
      if size == 0 {
        try writer.finish()
        return [stored(blob, giver)]
      }
      let others = makeRoom()
      arriving[blob] = Arrival(writer: writer, givers: [giver], touched: chunksSeen)
      return others + [wanted(blob, giver, from: 0)]
    } catch {
      return [refused(blob, giver, reason(error))]
    }
  }

  /// Gives up the stillest arrival when there are too many: its workers may have died.
  private func makeRoom() -> [Reply] {
    guard arriving.count >= Self.arrivingMax,
      let stillest = arriving.min(by: { $0.value.touched < $1.value.touched })
    else { return [] }
    arriving[stillest.key] = nil
    stillest.value.writer.abandon()
    return stillest.value.givers.map { refused(stillest.key, $0, .busy) }
  }

  /// Nobody hears anything while more is to come, or when the chunk is here already.
  private func arrived(
    _ blob: Digest, _ bytes: [UInt8], at offset: Int64, from giver: Arrival.Giver
  ) -> [Reply] {
    guard var arrival = arriving[blob] else {
      return [blobs.has(blob) ? stored(blob, giver) : refused(blob, giver, .unknownBlob)]
    }
    let writer = arrival.writer
    guard offset == writer.received else { return [] }
    chunksSeen += 1
    arrival.touched = chunksSeen
    do {
      try writer.append(bytes, at: offset)
      arriving[blob] = arrival
      guard writer.received == writer.size else { return [] }
      try writer.finish()
      arriving[blob] = nil
      return arrival.givers.map { stored(blob, $0) }
    } catch {
      arriving[blob] = nil
      writer.abandon()
      guard case .mismatch = error else {
        return arrival.givers.map { refused(blob, $0, reason(error)) }
      }
      // The others may have the right bytes: they begin anew, without the one who ended it.
      arrival.remove(giver.connection)
      return [refused(blob, giver, .mismatch)] + beginAnew(blob, arrival)
    }
  }

  private func beginAnew(_ blob: Digest, _ arrival: Arrival) -> [Reply] {
    if arrival.givers.isEmpty { return [] }
    do {
      var fresh = arrival
      fresh.writer = try blobs.receive(blob, size: arrival.writer.size)
      arriving[blob] = fresh
      return fresh.givers.map { wanted(blob, $0, from: 0) }
    } catch {
      return arrival.givers.map { refused(blob, $0, reason(error)) }
    }
  }

  private func reason(_ error: BlobError) -> BulkRefusal {
    switch error {
    case .mismatch, .chunk, .piece: .mismatch
    case .missing, .corrupt, .diskFull, .io: .storage("\(error)")
    }
  }

  private func stored(_ blob: Digest, _ giver: Arrival.Giver) -> Reply {
    Reply(to: giver.connection, .stored(request: giver.request, blob: blob))
  }

  private func wanted(_ blob: Digest, _ giver: Arrival.Giver, from: Int64) -> Reply {
    Reply(to: giver.connection, .wanted(request: giver.request, blob: blob, from: from))
  }

  private func refused(_ blob: Digest, _ giver: Arrival.Giver, _ reason: BulkRefusal) -> Reply {
    Reply(to: giver.connection, .refused(request: giver.request, blob: blob, reason))
  }
}
