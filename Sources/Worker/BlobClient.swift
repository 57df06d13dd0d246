import Domain
import Executors
import Hashing
import Logging
import Protocol
import Transport

/// Why a blob could not be had or handed in.
enum BlobTransferError: Error, CustomStringConvertible {
  case refused(Digest, BulkRefusal)
  case storage(BlobError)
  case manifest(Digest, String)
  case stopped

  var description: String {
    switch self {
    case .refused(let blob, let reason): "blob \(blob): the coordinator refuses it: \(reason)"
    case .storage(let error): "\(error)"
    case .manifest(let blob, let reason): "blob \(blob) is no model manifest: \(reason)"
    case .stopped: "the worker is stopping"
    }
  }
}

/// Fetches blobs from the coordinator and hands new ones in, chunk by chunk, over the bulk socket.
///
/// A transfer outlives its connection: after a reconnection it goes on from the last chunk that
/// arrived. Two callers who want the same blob share one transfer. It waits for the disk on a
/// thread of its own.
actor BlobClient {
  private let executor = ThreadExecutor(label: "blobs")
  nonisolated var unownedExecutor: UnownedSerialExecutor {
    executor.asUnownedSerialExecutor()
  }

  /// Small enough that transfers of several blobs take turns, large enough to fill the link.
  static let chunkBytes = 1 << 20
  /// Chunks of a blob that are asked for before they arrive: enough to keep a link of 80 ms and 800
  /// Mbit/s full.
  static let chunksAhead = 8

  private struct Download {
    var writer: BlobWriter?
    /// Where the next chunk begins that is to be asked for.
    var asked: Int64 = 0
    var waiting: [CheckedContinuation<Void, any Error>]
  }
  private struct Upload {
    var size: Int64
    var waiting: [CheckedContinuation<Void, any Error>]
  }

  private let client: MessageClient
  private let cache: BlobFolder
  private let log: Logger
  private var lastRequest: UInt64 = 0
  private var downloads: [Digest: Download] = [:]
  private var uploads: [Digest: Upload] = [:]
  private var stopped = false

  init(client: MessageClient, cache: BlobFolder, log: Logger) {
    self.client = client
    self.cache = cache
    self.log = log
  }

  /// Consumes replies until the client is closed.
  func run() async {
    while let event = await client.events.next() {
      switch event {
      case .connected: await resumeAll()
      case .disconnected, .refused: break
      case .message(let frames): await receive(frames)
      }
    }
    stop()
  }

  /// Makes sure that the blob is in the cache, whole and verified.
  func fetch(_ blob: Digest) async throws {
    if cache.has(blob) { return }
    try await withCheckedThrowingContinuation {
      (continuation: CheckedContinuation<Void, any Error>) in
      if stopped { return continuation.resume(throwing: BlobTransferError.stopped) }
      let known = downloads[blob] != nil
      downloads[blob, default: Download(waiting: [])].waiting.append(continuation)
      if !known { requestChunks(of: blob) }
    }
  }

  /// The bytes of a blob, fetched when they are not in the cache.
  func bytes(of blob: Digest) async throws -> [UInt8] {
    try await fetch(blob)
    return try cache.read(blob)
  }

  /// Hands in a blob of the cache; it is durable at the coordinator when this returns.
  func upload(_ blob: Digest) async throws {
    guard let size = cache.size(blob) else {
      preconditionFailure("only blobs of the cache are uploaded; \(blob) is not there")
    }
    try await withCheckedThrowingContinuation {
      (continuation: CheckedContinuation<Void, any Error>) in
      if stopped { return continuation.resume(throwing: BlobTransferError.stopped) }
      let known = uploads[blob] != nil
      uploads[blob, default: Upload(size: size, waiting: [])].waiting.append(continuation)
      if !known { offer(blob) }
    }
  }

  private func receive(_ frames: [Frame]) async {
    guard let head = frames.first,
      let reply = try? decodeBulkReply(
        head.bytes, payloadBytes: frames.count > 1 ? frames[1].count : 0)
    else {
      log.warning("a bulk reply could not be read; it is dropped")
      return
    }
    switch reply {
    case .chunk(_, let blob, let size, let offset, _):
      accept(blob, size: size, offset: offset, chunk: frames.count > 1 ? frames[1].bytes : [])
    case .wanted(_, let blob, let from): await sendChunks(of: blob, from: from)
    case .stored(_, let blob):
      uploads.removeValue(forKey: blob)?.waiting.forEach { $0.resume() }
    case .refused(_, let blob, .unknownBlob) where uploads[blob] != nil:
      // A coordinator that has just started does not know what the chunks on their way belong to.
      offer(blob)
    case .refused(_, let blob, let reason):
      fail(blob, BlobTransferError.refused(blob, reason))
    }
  }

  private func accept(_ blob: Digest, size: Int64, offset: Int64, chunk: [UInt8]) {
    guard var download = downloads[blob] else { return }
    do {
      let writer = try download.writer ?? cache.receive(blob, size: size)
      download.writer = writer
      downloads[blob] = download
      // A chunk that was asked for twice, before and after a reconnection, counts once.
      guard offset == writer.received else { return }
      try writer.append(chunk, at: offset)
      if writer.received < size {
        requestChunks(of: blob)
      } else {
        try writer.finish()
        downloads.removeValue(forKey: blob)
        download.waiting.forEach { $0.resume() }
      }
    } catch {
      download.writer?.abandon()
      fail(blob, error)
    }
  }

  private func sendChunks(of blob: Digest, from start: Int64) async {
    guard let size = uploads[blob]?.size else { return }
    var offset = start
    do {
      while offset < size {
        let chunk = try cache.read(blob, offset: offset, length: Self.chunkBytes)
        let request = BulkRequest.chunk(
          request: nextRequest(), blob: blob, offset: offset, length: chunk.count)
        try await client.sendWaiting([Frame(encode(request)), Frame(chunk)])
        offset += Int64(chunk.count)
      }
    } catch let error as BlobError {
      fail(blob, error)
    } catch {
      // The connection went; the offer is made again when it is back.
      log.debug("upload of \(blob) interrupted at \(offset): \(error)")
    }
  }

  private func resumeAll() async {
    for blob in downloads.keys.sorted() {
      let received = downloads[blob]?.writer?.received ?? 0
      downloads[blob]?.asked = received
      requestChunks(of: blob)
    }
    for blob in uploads.keys.sorted() { offer(blob) }
  }

  private func offer(_ blob: Digest) {
    guard let size = uploads[blob]?.size else { return }
    send(.offer(request: nextRequest(), blob: blob, size: size))
  }

  /// Asks for chunks ahead of those that have arrived; for the first alone, which tells the size.
  private func requestChunks(of blob: Digest) {
    guard var download = downloads[blob] else { return }
    let received = download.writer?.received ?? 0
    let ahead = download.writer == nil ? 1 : Self.chunksAhead
    let end = min(
      download.writer?.size ?? .max, received + Int64(ahead) * Int64(Self.chunkBytes))
    while download.asked < end {
      send(
        .fetch(
          request: nextRequest(), blob: blob, offset: download.asked, length: Self.chunkBytes))
      download.asked += Int64(Self.chunkBytes)
    }
    downloads[blob] = download
  }

  /// A request that cannot be sent now is made again on the next connection.
  private func send(_ request: BulkRequest) {
    do {
      try client.send([Frame(encode(request))])
    } catch {
      log.debug("bulk request waits for the connection: \(error)")
    }
  }

  private func nextRequest() -> UInt64 {
    lastRequest += 1
    return lastRequest
  }

  private func fail(_ blob: Digest, _ error: any Error) {
    downloads.removeValue(forKey: blob)?.waiting.forEach { $0.resume(throwing: error) }
    uploads.removeValue(forKey: blob)?.waiting.forEach { $0.resume(throwing: error) }
  }

  private func stop() {
    stopped = true
    for blob in downloads.keys.sorted() + uploads.keys.sorted() {
      fail(blob, BlobTransferError.stopped)
    }
  }
}
