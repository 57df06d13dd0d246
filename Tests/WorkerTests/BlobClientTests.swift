import Domain
import Foundation
import Hashing
import Logging
import Protocol
import Testing
import Transport

@testable import Worker

extension MessageServer {
  /// The next bulk request and who sent it.
  fileprivate func request() async throws -> (BulkRequest, ConnectionID)? {
    while let event = await events.next() {
      guard case .message(let incoming) = event else { continue }
      let payload = incoming.frames.count > 1 ? incoming.frames[1].count : 0
      return (
        try decodeBulkRequest(incoming.frames[0].bytes, payloadBytes: payload),
        incoming.connection
      )
    }
    return nil
  }

  fileprivate func reply(_ reply: BulkReply, to connection: ConnectionID) throws {
    try send([Frame(encode(reply))], to: connection)
  }
}

@Suite("A blob that is fetched", .timeLimit(.minutes(1)))
struct BlobFetchTests {
  @Test("is asked for some chunks ahead, and whole in the end, whatever ended before")
  func ahead() async throws {
    let folder = NSTemporaryDirectory() + "blob-fetch-\(UUID().uuidString)"
    defer { try? FileManager.default.removeItem(atPath: folder) }
    let cache = try BlobFolder(path: folder)
    let chunk = BlobClient.chunkBytes
    let content = (0..<12 * chunk + 5).map { UInt8(truncatingIfNeeded: $0 / 977) }
    let blob = Digest(hashing: content)
    let server = try MessageServer(
      endpoint: "tcp://127.0.0.1:0", security: .plainForBenchmarks, limits: .bulk)
    let log = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
    func reply(_ request: BulkRequest, to connection: ConnectionID) throws {
      guard case .fetch(let number, blob, let offset, let length) = request else {
        Issue.record("\(request)")
        return
      }
      let bytes = Array(content[Int(offset)..<min(Int(offset) + length, content.count)])
      let head = BulkReply.chunk(
        request: number, blob: blob, size: Int64(content.count), offset: offset,
        length: bytes.count)
      try server.send([Frame(encode(head)), Frame(bytes)], to: connection)
    }
    // The first client ends with four chunks here and eight asked for.
    for answered in [4, Int.max] {
      let socket = try MessageClient(
        endpoint: server.endpoint, security: .plainForBenchmarks, limits: .bulk)
      let client = BlobClient(client: socket, cache: cache, log: log)
      async let serving: Void = client.run()
      let fetched = Task { try await client.fetch(blob) }
      var waiting: [(BulkRequest, ConnectionID)] = []
      var (served, most) = (0, 0)
      var offsets: Set<Int64> = []
      while served < min(answered, 13), let next = try await server.request() {
        // The first may come twice, as it is made again when the connection stands.
        guard case .fetch(_, _, let offset, _) = next.0, offsets.insert(offset).inserted else {
          continue
        }
        waiting.append(next)
        most = max(most, waiting.count)
        // The first chunk tells the size; then nothing is answered until nothing more is asked.
        while served < min(answered, 13),
          served == 0 || waiting.count == min(BlobClient.chunksAhead, 13 - served)
        {
          let (request, connection) = waiting.removeFirst()
          try reply(request, to: connection)
          served += 1
        }
      }
      #expect(most == BlobClient.chunksAhead)
      if answered == .max {
        try await fetched.value
        #expect(try cache.read(blob) == content)
      } else {
        await socket.close()
        await #expect(throws: BlobTransferError.self) { try await fetched.value }
      }
      await socket.close()
      await serving
    }
    await server.close()
  }
}

@Suite("A blob that is handed in", .timeLimit(.minutes(1)))
struct BlobClientTests {
  @Test("is offered again when the coordinator has forgotten that it was on its way")
  func forgotten() async throws {
    let folder = NSTemporaryDirectory() + "blob-client-\(UUID().uuidString)"
    defer { try? FileManager.default.removeItem(atPath: folder) }
    let cache = try BlobFolder(path: folder)
    let blob = try cache.put(Array("a checkpoint".utf8))
    let server = try MessageServer(
      endpoint: "tcp://127.0.0.1:0", security: .plainForBenchmarks, limits: .bulk)
    let socket = try MessageClient(
      endpoint: server.endpoint, security: .plainForBenchmarks, limits: .bulk)
    let client = BlobClient(
      client: socket, cache: cache, log: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
    async let serving: Void = client.run()
    async let upload: Void = client.upload(blob)

    // Each offer may come twice, as it is made again when the connection stands.
    var chunks = 0
    var isStored = false
    while !isStored, let (request, connection) = try await server.request() {
      switch request {
      case .offer(let number, blob, 12) where chunks == 0:
        try server.reply(.wanted(request: number, blob: blob, from: 0), to: connection)
      case .chunk(let number, blob, 0, 12):
        chunks += 1
        try server.reply(.refused(request: number, blob: blob, .unknownBlob), to: connection)
      case .offer(let number, blob, 12):
        try server.reply(.stored(request: number, blob: blob), to: connection)
        isStored = true
      case .offer, .chunk, .fetch: Issue.record("\(request)")
      }
    }
    try await upload
    #expect(chunks > 0)
    await socket.close()
    await serving
    await server.close()
  }
}
