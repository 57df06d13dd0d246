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

@Suite("A blob that is handed in", .timeLimit(.minutes(1)))
struct BlobClientTests {
  @Test("is offered again when the coordinator has forgotten that it was on its way")
  func forgotten() async throws {
    let folder = NSTemporaryDirectory() + "blob-client-\(UUID().uuidString)"
    defer { try? FileManager.default.removeItem(atPath: folder) }
    let log = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
    let cache = try BlobCache(path: folder, log: log)
    let blob = try cache.put(Array("a checkpoint".utf8))
    let server = try MessageServer(
      endpoint: "tcp://127.0.0.1:0", security: .plainForBenchmarks, limits: .bulk)
    let socket = try MessageClient(
      endpoint: server.endpoint, security: .plainForBenchmarks, limits: .bulk)
    let peering = BlobPeering(
      name: "w1", endpoint: "tcp://127.0.0.1:1", keys: try .generate(), guests: AllowList())
    let client = BlobClient(client: socket, cache: cache, peering: peering, log: log)
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
      case .announce(let endpoint, let key, let blobs):
        #expect(endpoint == peering.endpoint && key == peering.keys.publicKey && blobs == [])
      case .offer, .chunk, .fetch, .find, .survey, .complain: Issue.record("\(request)")
      }
    }
    try await upload
    #expect(chunks > 0)
    await socket.close()
    await serving
    await server.close()
  }
}
