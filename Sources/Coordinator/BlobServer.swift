import Domain
import Executors
import Foundation
import Hashing
import Logging
import Protocol
import Transport

/// Serves blobs to workers over the bulk socket and takes in the ones they make, on a thread that
/// may wait for the disk.
actor BlobServer {
  private let executor = ThreadExecutor(label: "blob server")
  nonisolated var unownedExecutor: UnownedSerialExecutor {
    executor.asUnownedSerialExecutor()
  }

  private let server: MessageServer
  private let blobs: BlobFolder
  private let inventory: Inventory
  private let log: Logger
  /// Blobs that are on their way in.
  private var arriving: [Digest: Arrival] = [:]
  private var chunksSeen: UInt64 = 0
  /// No worker may offer more than this at once: a bound, far above any checkpoint.
  static let offerBytesMax: Int64 = 1 << 40
  /// At one more, the blob of which nothing has come for longest is given up.
  static let arrivingMax = 64

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

  init(server: MessageServer, blobs: BlobFolder, inventory: Inventory, log: Logger) {
    self.server = server
    self.blobs = blobs
    self.inventory = inventory
    self.log = log
  }

  /// Answers requests until the socket is closed.
  func run() async {
    while let event = await server.events.next() {
      switch event {
      case .message(let incoming): await answer(incoming)
      case .undeliverable, .closed: break  // The worker asks again when it is back.
      }
    }
    arriving.values.forEach { $0.writer.abandon() }
  }

  private func answer(_ incoming: Incoming) async {
    guard let head = incoming.frames.first,
      let request = try? decodeBulkRequest(
        head.bytes, payloadBytes: incoming.frames.count > 1 ? incoming.frames[1].count : 0)
    else {
      log.warning(
        "a bulk request could not be read; it is dropped", metadata: ["from": "\(incoming.peer)"])
      return
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
    }
    for reply in replies {
      do {
        try await server.sendWaiting(reply.frames, to: reply.connection)
      } catch {
        log.debug(
          "a bulk reply could not be sent: \(error)", metadata: ["to": "\(reply.connection)"])
      }
    }
  }

  private func chunk(
    of blob: Digest, offset: Int64, length: Int, for giver: Arrival.Giver
  ) -> Reply {
    let (request, taker) = (giver.request, giver.connection)
    func refusal(_ reason: BulkRefusal) -> Reply {
      Reply(to: taker, .refused(request: request, blob: blob, reason))
    }
    do {
      let size: Int64
      let bytes: [UInt8]
      if let own = blobs.size(blob) {
        size = own
        guard offset >= 0, offset <= size else { return refusal(.range) }
        bytes = try blobs.read(blob, offset: offset, length: length)
      } else if let file = inventory.file(of: blob) {
        size = file.size
        guard offset >= 0, offset <= size else { return refusal(.range) }
        bytes = try read(file.path, offset: offset, length: length)
      } else {
        return refusal(.unknownBlob)
      }
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
    case .mismatch, .chunk: .mismatch
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
  case .fetch(let number, _, _, _), .offer(let number, _, _), .chunk(let number, _, _, _): number
  }
}
