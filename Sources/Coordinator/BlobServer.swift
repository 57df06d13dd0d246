import Domain
import Foundation
import Hashing
import Logging
import Protocol
import Transport

/// Serves blobs to workers over the bulk socket and takes in the ones they make.
actor BlobServer {
  private let server: MessageServer
  private let blobs: BlobFolder
  private let inventory: Inventory
  private let log: Logger
  /// Blobs that are on their way in.
  private var arriving: [Digest: BlobWriter] = [:]
  /// No worker may offer more than this at once: a bound, far above any checkpoint.
  static let offerBytesMax: Int64 = 1 << 40
  static let arrivingMax = 64

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
      case .undeliverable: break  // The worker asks again when it is back.
      }
    }
    arriving.values.forEach { $0.abandon() }
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
    var frames: [Frame]
    switch request {
    case .fetch(let number, let blob, let offset, let length):
      frames = chunk(number, blob, offset: offset, length: length)
    case .offer(let number, let blob, let size):
      frames = [Frame(encode(offered(number, blob, size: size)))]
    case .chunk(let number, let blob, let offset, _):
      let bytes = incoming.frames.count > 1 ? incoming.frames[1].bytes : []
      guard let reply = arrived(number, blob, bytes, at: offset) else { return }
      frames = [Frame(encode(reply))]
    }
    do {
      try await server.sendWaiting(frames, to: incoming.connection)
    } catch {
      log.debug("a bulk reply could not be sent: \(error)", metadata: ["to": "\(incoming.peer)"])
    }
  }

  private func chunk(_ request: UInt64, _ blob: Digest, offset: Int64, length: Int) -> [Frame] {
    func refusal(_ reason: BulkRefusal) -> [Frame] {
      [Frame(encode(BulkReply.refused(request: request, blob: blob, reason)))]
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
      return [Frame(encode(reply)), Frame(bytes)]
    } catch {
      return refusal(.storage("\(error)"))
    }
  }

  private func offered(_ request: UInt64, _ blob: Digest, size: Int64) -> BulkReply {
    if blobs.has(blob) { return .stored(request: request, blob: blob) }
    if size > Self.offerBytesMax {
      return .refused(request: request, blob: blob, .tooLarge(limit: Self.offerBytesMax))
    }
    if let writer = arriving[blob] {
      return .wanted(request: request, blob: blob, from: writer.received)
    }
    if arriving.count >= Self.arrivingMax {
      return .refused(request: request, blob: blob, .busy)
    }
    do {
      let writer = try blobs.receive(blob, size: size)
      if size > 0 {
        arriving[blob] = writer
        return .wanted(request: request, blob: blob, from: 0)
      }
      try writer.finish()
      return .stored(request: request, blob: blob)
    } catch {
      return .refused(request: request, blob: blob, .storage("\(error)"))
    }
  }

  /// Nil: more is to come, or this chunk is known already.
  private func arrived(
    _ request: UInt64, _ blob: Digest, _ bytes: [UInt8], at offset: Int64
  ) -> BulkReply? {
    guard let writer = arriving[blob] else {
      return blobs.has(blob)
        ? .stored(request: request, blob: blob)
        : .refused(request: request, blob: blob, .unknownBlob)
    }
    // Two workers may hand in the same blob: each chunk counts once.
    guard offset == writer.received else { return nil }
    do {
      try writer.append(bytes, at: offset)
      guard writer.received == writer.size else { return nil }
      arriving[blob] = nil
      try writer.finish()
      return .stored(request: request, blob: blob)
    } catch {
      arriving[blob] = nil
      writer.abandon()
      return .refused(request: request, blob: blob, .mismatch)
    }
  }

  private func read(_ path: String, offset: Int64, length: Int) throws -> [UInt8] {
    let handle = try FileHandle(forReadingFrom: URL(filePath: path))
    defer { try? handle.close() }
    try handle.seek(toOffset: UInt64(offset))
    return [UInt8](try handle.read(upToCount: length) ?? Data())
  }
}
