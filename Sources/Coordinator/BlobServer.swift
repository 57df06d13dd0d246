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
    var frames: [Frame]

    init(to connection: ConnectionID, _ reply: BulkReply, _ payload: [UInt8]? = nil) {
      self.connection = connection
      frames = [Frame(encode(reply))] + (payload.map { [Frame($0)] } ?? [])
    }
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
    await withDiscardingTaskGroup { group in
      while let event = await server.events.next() {
        switch event {
        case .message(let incoming):
          if let search = await answer(incoming) { group.addTask { await self.answer(search) } }
        case .closed(let connection): left(connection)
        case .undeliverable: break  // The worker asks again when it is back.
        }
      }
      group.cancelAll()
    }
    arriving.values.forEach { $0.writer.abandon() }
  }

  /// Nobody fetches from, or for, a worker whose key was revoked.
  func shutOut(_ name: String) async {
    for member in members.values where member.source.name != name {
      await send([Reply(to: member.connection, .shutOut(name: name))])
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

  /// - Returns: a search whose answer takes its time.
  private func answer(_ incoming: Incoming) async -> Search? {
    guard let head = incoming.frames.first,
      let request = try? decodeBulkRequest(
        head.bytes, payloadBytes: incoming.frames.count > 1 ? incoming.frames[1].count : 0)
    else {
      log.warning(
        "a bulk request could not be read; it is dropped", metadata: ["from": "\(incoming.peer)"])
      return nil
    }
    let giver = Arrival.Giver(connection: incoming.connection, request: number(of: request))
    let replies: [Reply]
    switch request {
    case .fetch(_, let blob, let offset, let length):
      replies = [chunk(of: blob, offset: offset, length: length, for: giver)]
    case .offer(_, let blob, let size): replies = offered(blob, size: size, by: giver)
    case .chunk(_, let blob, let offset, _):
      let bytes = incoming.frames.count > 1 ? incoming.frames[1].bytes : []
      replies = arrived(blob, bytes, at: offset, from: giver)
    case .find(_, let blob):
      switch place(of: blob) {
      case nil: replies = [refused(blob, giver, .unknownBlob)]
      case let place? where PieceList.count(ofSize: place.size) == 1:
        replies = found(small: blob, size: place.size, for: giver, named: incoming.peer)
      case let place?:
        return Search(blob: blob, place: place, taker: giver, name: incoming.peer)
      }
    case .announce(let endpoint, let publicKey, let blobs):
      members[incoming.peer] = Member(
        connection: incoming.connection,
        source: BlobSource(name: incoming.peer, endpoint: endpoint, publicKey: publicKey))
      tracker.announced(blobs, by: incoming.peer)
      replies = []
    case .complain(let blob, let piece, let source):
      tracker.disproved(blob, of: source)
      replies = []
      // Who complains without end fills no log: that is bounded by name.
      await onComplaint(
        "\(incoming.peer) says that \(source) sent it piece \(piece) of blob \(blob) broken", source
      )
    case .survey: replies = []
    }
    await send(replies)
    return nil
  }

  private func send(_ replies: [Reply]) async {
    for reply in replies {
      do {
        try await server.sendWaiting(reply.frames, to: reply.connection)
      } catch {
        log.debug(
          "a bulk reply could not be sent: \(error)", metadata: ["to": "\(reply.connection)"])
      }
    }
  }

  // MARK: - Where a blob is

  /// A search for a blob of many pieces.
  private struct Search {
    var blob: Digest
    var place: (path: String, size: Int64)
    var taker: Arrival.Giver
    var name: String
  }

  private func place(of blob: Digest) -> (path: String, size: Int64)? {
    if let size = blobs.size(blob) { return (blobs.path(blob), size) }
    return inventory.file(of: blob)
  }

  private func found(
    small blob: Digest, size: Int64, for taker: Arrival.Giver, named name: String
  ) -> [Reply] {
    switch tracker.want(blob, isSmall: true, by: name) {
    case .coordinator: [chunk(of: blob, offset: 0, length: pieceBytes, for: taker)]
    case .members(let names): found(blob, size: size, [], in: names, for: taker, named: name)
    }
  }

  private func answer(_ search: Search) async {
    let blob = search.blob
    let listed = Int64(WireLimits.pieceListBytesMax / 32) * Int64(pieceBytes)
    if search.place.size > listed {
      return await send([refused(blob, search.taker, .tooLarge(limit: listed))])
    }
    do {
      let list = try await pieceLists.list(
        of: blob, size: search.place.size, at: search.place.path)
      guard case .members(let names) = tracker.want(blob, isSmall: false, by: search.name) else {
        preconditionFailure("members, if any, are named for a large blob")
      }
      await send(
        found(
          blob, size: list.size, list.bytes, in: names, for: search.taker, named: search.name))
    } catch {
      await send([refused(blob, search.taker, reason(error))])
    }
  }

  /// Names members as sources, and tells them first who will come.
  private func found(
    _ blob: Digest, size: Int64, _ list: [UInt8], in names: [String], for taker: Arrival.Giver,
    named name: String
  ) -> [Reply] {
    let guest = members[name]?.source
    let named = guest == nil ? [] : names.compactMap { members[$0] }
    let lettingIn = named.compactMap { member in
      guest.map { Reply(to: member.connection, .letIn($0)) }
    }
    let reply = BulkReply.found(
      request: taker.request, blob: blob, size: size, sources: named.map(\.source))
    return lettingIn + [Reply(to: taker.connection, reply, list)]
  }

  // MARK: - Chunks

  private func chunk(
    of blob: Digest, offset: Int64, length: Int, for giver: Arrival.Giver
  ) -> Reply {
    let (request, taker) = (giver.request, giver.connection)
    func refusal(_ reason: BulkRefusal) -> Reply {
      Reply(to: taker, .refused(request: request, blob: blob, reason))
    }
    do {
      guard let (path, size) = place(of: blob) else { return refusal(.unknownBlob) }
      guard offset >= 0, offset <= size else { return refusal(.range) }
      let bytes = try read(path, offset: offset, length: length)
      let reply = BulkReply.chunk(
        request: request, blob: blob, size: size, offset: offset, length: bytes.count)
      return Reply(to: taker, reply, bytes)
    } catch {
      return refusal(.storage("\(error)"))
    }
  }

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

  private func read(_ path: String, offset: Int64, length: Int) throws -> [UInt8] {
    let handle = try FileHandle(forReadingFrom: URL(filePath: path))
    defer { try? handle.close() }
    try handle.seek(toOffset: UInt64(offset))
    return [UInt8](try handle.read(upToCount: length) ?? Data())
  }
}

private func number(of request: BulkRequest) -> UInt64 {
  switch request {
  case .fetch(let number, _, _, _), .offer(let number, _, _), .chunk(let number, _, _, _),
    .find(let number, _), .survey(let number, _):
    number
  case .announce, .complain: 0
  }
}
