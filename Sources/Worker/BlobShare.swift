import Domain
import Executors
import Hashing
import Logging
import Protocol
import Transport

/// Lets other workers fetch blobs that are in this worker's cache, on a thread of its own.
///
/// Only who has been named to the coordinator's answer comes in; who comes in and knows a blob's
/// digest may have it.
actor BlobShare {
  private let executor = ThreadExecutor(label: "blob share")
  nonisolated var unownedExecutor: UnownedSerialExecutor {
    executor.asUnownedSerialExecutor()
  }

  private let server: MessageServer
  private let cache: BlobCache
  private let log: Logger
  private let queues = ConnectionQueues<Incoming>(itemsMax: 1024)

  init(server: MessageServer, cache: BlobCache, log: Logger) {
    self.server = server
    self.cache = cache
    self.log = log
  }

  /// Answers until the socket is closed, each connection in its own time.
  func run() async {
    let (queues, log) = (queues, log)
    await queues.serve(
      server,
      take: { incoming in
        if !queues.put(incoming, on: incoming.connection) {
          log.warning("too many requests of \(incoming.peer) at once; one is dropped")
        }
      },
      work: { incoming, _ in await self.serve(incoming) })
  }

  private func serve(_ incoming: Incoming) async {
    guard let reply = answer(incoming) else {
      log.warning("dropped a bulk request of \(incoming.peer)")
      return
    }
    do {
      try await server.sendWaiting(reply, to: incoming.connection)
    } catch {
      log.debug("a blob's piece could not be sent to \(incoming.peer): \(error)")
    }
  }

  /// Nil: it makes no sense here.
  private func answer(_ incoming: Incoming) -> [Frame]? {
    guard incoming.frames.count == 1,
      let request = try? decodeBulkRequest(incoming.frames[0].bytes, payloadBytes: 0)
    else { return nil }
    switch request {
    case .fetch(let number, let blob, let offset, let length):
      do {
        guard let (size, bytes) = try cache.read(blob, offset: offset, length: length) else {
          return [Frame(encode(BulkReply.refused(request: number, blob: blob, .unknownBlob)))]
        }
        let head = BulkReply.chunk(
          request: number, blob: blob, size: size, offset: offset, length: bytes.count)
        return [Frame(encode(head)), Frame(bytes)]
      } catch {
        let reply = BulkReply.refused(request: number, blob: blob, .storage("\(error)"))
        return [Frame(encode(reply))]
      }
    case .survey(let number, let blob):
      guard let here = cache.survey(blob) else {
        return [Frame(encode(BulkReply.refused(request: number, blob: blob, .unknownBlob)))]
      }
      return [Frame(encode(BulkReply.holding(request: number, blob: blob))), Frame(here.bytes)]
    case .offer, .chunk, .find, .announce, .complain: return nil
    }
  }
}
