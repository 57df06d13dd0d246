import Domain
import Foundation
import Hashing
import Logging
import Protocol
import TestSupport
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

@Suite("A blob that is handed in", .timeLimit(.minutes(5)))
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
      case .offer(let number, blob, 12, let place) where chunks == 0:
        let file = try #require(
          place.flatMap {
            HeldFile(process: $0.process, descriptor: $0.descriptor, offset: $0.offset, size: 12)
          })
        #expect(try file.read(offset: 0, length: 99) == Array("a checkpoint".utf8))
        try server.reply(.wanted(request: number, blob: blob, from: 0), to: connection)
      case .chunk(let number, blob, 0, 12):
        chunks += 1
        try server.reply(.refused(request: number, blob: blob, .unknownBlob), to: connection)
      case .offer(let number, blob, 12, _):
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

@Suite("A blob that is fetched", .timeLimit(.minutes(5)))
struct BlobFetchTests {
  @Test("is asked of members that are told of before, with or after the coordinator's answer")
  func told() async throws {
    let folder = try TemporaryFolder()
    let log = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
    let content = randomBytes(2 * pieceBytes + 5)
    let file = try folder.write("file", content)
    let (list, blob) = try PieceList.reading(file)
    let keys = try CurveKeyPair.generate()
    let peering = BlobPeering(
      name: "w0", endpoint: "tcp://127.0.0.1:1", keys: keys, guests: AllowList())
    // Each knows the taker; none of them answers.
    var members: [(source: BlobSource, server: MessageServer)] = []
    for number in 1...3 {
      let own = try CurveKeyPair.generate()
      let server = try MessageServer(
        endpoint: "tcp://127.0.0.1:0",
        security: .curve(own, AllowList([keys.publicKey: "w0"])), limits: .sharing)
      members.append(
        (
          BlobSource(
            name: "w\(number)", endpoint: server.endpoint, publicKey: own.publicKey), server
        ))
    }
    let server = try MessageServer(
      endpoint: "tcp://127.0.0.1:0", security: .plainForBenchmarks, limits: .bulk)
    let socket = try MessageClient(
      endpoint: server.endpoint, security: .plainForBenchmarks, limits: .bulk)
    let client = BlobClient(
      client: socket, cache: try BlobCache(path: folder.path("blobs"), log: log),
      peering: peering, log: log)
    async let serving: Void = client.run()
    let fetched = Task { try await client.fetch(blob) }
    var isFound = false
    while !isFound, let (request, connection) = try await server.request() {
      guard case .find(let number, blob) = request else { continue }
      try server.reply(.letIn(members[0].source, blob: blob), to: connection)
      let found = BulkReply.found(
        request: number, blob: blob, size: list.size, sources: [members[1].source])
      try server.send([Frame(encode(found)), Frame(list.bytes)], to: connection)
      try server.reply(.letIn(members[2].source, blob: blob), to: connection)
      isFound = true
    }
    for member in members {
      guard case .survey(_, blob)? = try await member.server.request()?.0 else {
        Issue.record("\(member.source.name) was not asked what it has")
        continue
      }
      #expect(peering.guests.name(of: member.source.publicKey) == member.source.name)
    }
    await socket.close()
    await #expect(throws: BlobTransferError.self) { try await fetched.value }
    await serving
    for member in members { await member.server.close() }
    await server.close()
  }
}
