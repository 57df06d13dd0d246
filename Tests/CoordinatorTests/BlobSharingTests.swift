import Domain
import Foundation
import Hashing
import Logging
import Synchronization
import TestSupport
import Testing
import Transport

@testable import Coordinator
@testable import Worker

private let silent = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

/// A coordinator's blob server with its files, over CURVE on the loopback.
private final class Origin: Sendable {
  let folder: TemporaryFolder
  let blobs: BlobFolder
  let keys: CurveKeyPair
  let workers = AllowList()
  let socket: MessageServer
  let server: BlobServer
  let complaints: Complaints

  init() throws {
    folder = try TemporaryFolder()
    blobs = try BlobFolder(path: folder.path("blobs"))
    keys = try .generate()
    socket = try MessageServer(
      endpoint: "tcp://127.0.0.1:0", security: .curve(keys, workers), limits: .bulk)
    let complaints = Complaints()
    self.complaints = complaints
    server = BlobServer(
      server: socket, blobs: blobs, inventory: Inventory(path: folder.path("inventory.tsv")),
      pieceLists: PieceLists(folder: folder.path("pieces")), log: silent,
      onComplaint: { words, name in
        complaints.said.withLock { $0.append("\(name): \(words)") }
      })
  }

  final class Complaints: Sendable { let said = Mutex<[String]>([]) }
}

/// A worker as far as blobs go.
private final class Peer: Sendable {
  let name: String
  let folder: TemporaryFolder
  let cache: BlobCache
  let keys: CurveKeyPair
  let guests = AllowList()
  let socket: MessageClient
  let sharing: MessageServer
  let client: BlobClient
  let share: BlobShare

  init(_ name: String, of origin: Origin, in folder: TemporaryFolder? = nil) throws {
    self.name = name
    self.folder = try folder ?? TemporaryFolder()
    let own = try CurveKeyPair.generate()
    origin.workers.revoke(name: name)
    origin.workers.allow(publicKey: own.publicKey, name: name)
    cache = try BlobCache(path: self.folder.path("blobs"), log: silent)
    keys = try .generate()
    socket = try MessageClient(
      endpoint: origin.socket.endpoint,
      security: .curve(own, serverKey: origin.keys.publicKey), limits: .bulk)
    sharing = try MessageServer(
      endpoint: "tcp://127.0.0.1:0", security: .curve(keys, guests), limits: .sharing)
    client = BlobClient(
      client: socket, cache: cache,
      peering: BlobPeering(
        name: name, endpoint: sharing.endpoint, keys: keys, guests: guests),
      log: silent)
    share = BlobShare(server: sharing, cache: cache, log: silent)
  }

  func run() async {
    async let serving: Void = share.run()
    await client.run()
    await sharing.close()
    await serving
  }

  func stop() async { await socket.close() }
}

/// Runs all of them beside `work`.
private func run(
  _ origin: Origin, _ peers: [Peer], _ work: @escaping @Sendable () async throws -> Void
) async throws {
  try await withThrowingTaskGroup { group in
    group.addTask { await origin.server.run() }
    for peer in peers { group.addTask { await peer.run() } }
    let result: Result<Void, any Error>
    do {
      result = .success(try await work())
    } catch {
      result = .failure(error)
    }
    for peer in peers { await peer.stop() }
    await origin.socket.close()
    try await group.waitForAll()
    try result.get()
  }
}

@Suite("A blob that many workers want", .timeLimit(.minutes(5)))
struct BlobSharingTests {
  @Test("reaches all of them, a small, an empty and a large one", arguments: [0, 1, 77, 5_000_011])
  func all(bytes: Int) async throws {
    let origin = try Origin()
    let content = randomBytes(bytes)
    let blob = try origin.blobs.put(content)
    let peers = try (1...4).map { try Peer("w\($0)", of: origin) }
    try await run(origin, peers) {
      try await withThrowingTaskGroup { group in
        for peer in peers { group.addTask { try await peer.client.fetch(blob) } }
        try await group.waitForAll()
      }
      for peer in peers { #expect(try peer.cache.read(blob) == content) }
    }
  }

  @Test("comes from members that have it: the coordinator need not even have it any more")
  func members() async throws {
    let origin = try Origin()
    let (large, small) = (randomBytes(6_000_000), randomBytes(1000))
    let blobs = try [large, small].map { try origin.blobs.put($0) }
    let peers = try (1...4).map { try Peer("w\($0)", of: origin) }
    try await run(origin, peers) {
      for peer in peers.prefix(3) {
        for blob in blobs { try await peer.client.fetch(blob) }
      }
      for blob in blobs {
        // What is there as a name and as nothing else cannot be sent.
        let size = try #require(origin.blobs.size(blob))
        try Data(repeating: 0, count: Int(size)).write(
          to: URL(filePath: origin.blobs.path(blob)))
        try await peers[3].client.fetch(blob)
      }
      #expect(try peers[3].cache.read(blobs[0]) == large)
      #expect(try peers[3].cache.read(blobs[1]) == small)
    }
    #expect(origin.complaints.said.withLock { $0 } == [])
  }

  @Test("names its source when a piece of it is broken, and comes from elsewhere")
  func broken() async throws {
    let origin = try Origin()
    let content = randomBytes(6_000_000)
    let blob = try origin.blobs.put(content)
    let peers = try (1...2).map { try Peer("w\($0)", of: origin) }
    try await run(origin, peers) {
      try await peers[0].client.fetch(blob)
      let file = try FileHandle(
        forUpdating: URL(filePath: peers[0].cache.folder.path(blob)))
      for piece in 0..<PieceList.count(ofSize: Int64(content.count)) {
        try file.seek(toOffset: UInt64(piece * pieceBytes + 5))
        try file.write(contentsOf: Data([content[piece * pieceBytes + 5] ^ 1]))
      }
      try file.close()
      try await peers[1].client.fetch(blob)
      #expect(try peers[1].cache.read(blob) == content)
    }
    let said = origin.complaints.said.withLock { $0 }
    #expect(said.count == 1)
    #expect(said.first?.hasPrefix("w1: w2 says that w1 sent it piece") == true)
  }

  @Test("goes on after a restart of the worker with the pieces that it has")
  func restart() async throws {
    let origin = try Origin()
    let content = randomBytes(6_000_000)
    let blob = try origin.blobs.put(content)
    let folder = try TemporaryFolder()
    let first = try Peer("w1", of: origin, in: folder)
    let list = try PieceList.reading(origin.blobs.path(blob)).pieces
    do {
      // As much as a worker had that was killed.
      let partial = try first.cache.begin(blob, list)
      for piece in 0..<4 {
        let (offset, length) = list.range(piece)
        try partial.put(Array(content[Int(offset)..<(Int(offset) + length)]), as: piece)
      }
    }
    await first.socket.close()
    await first.sharing.close()
    let second = try Peer("w1", of: origin, in: folder)
    try await run(origin, [second]) {
      // The list of its pieces is made before the coordinator's file is spoilt but for the rest.
      let taker = try Peer("w2", of: origin)
      async let running: Void = taker.run()
      try await taker.client.fetch(blob)
      await taker.stop()
      await running
      let file = try FileHandle(forUpdating: URL(filePath: origin.blobs.path(blob)))
      try file.write(contentsOf: Data(repeating: 0, count: 4 * pieceBytes))
      try file.close()
      try await second.client.fetch(blob)
      #expect(try second.cache.read(blob) == content)
    }
  }

  @Test("is not given to a worker that was shut out, nor to one that nobody named")
  func shutOut() async throws {
    let origin = try Origin()
    let content = randomBytes(3_000_000)
    let blob = try origin.blobs.put(content)
    let peers = try (1...2).map { try Peer("w\($0)", of: origin) }
    try await run(origin, peers) {
      try await peers[0].client.fetch(blob)
      let stranger = try MessageClient(
        endpoint: peers[0].sharing.endpoint,
        security: .curve(try .generate(), serverKey: peers[0].keys.publicKey), limits: .sharing)
      guard case .refused? = await stranger.events.next() else {
        Issue.record("a stranger was let in")
        return
      }
      await stranger.close()
      try await peers[1].client.fetch(blob)
      #expect(peers[0].guests.name(of: peers[1].keys.publicKey) == "w2")
      await origin.server.shutOut("w2")
      let small = try origin.blobs.put([1, 2, 3])
      // What comes over one connection comes in order: now it has heard of it.
      try await peers[0].client.fetch(small)
      #expect(peers[0].guests.name(of: peers[1].keys.publicKey) == nil)
    }
  }

  @Test("and whose file is not what it was is given to nobody", arguments: [1000, 3_000_000])
  func changed(bytes: Int) async throws {
    let origin = try Origin()
    var content = randomBytes(bytes)
    let blob = try origin.blobs.put(content)
    content[bytes / 2] ^= 1
    try Data(content).write(to: URL(filePath: origin.blobs.path(blob)))
    let peer = try Peer("w1", of: origin)
    try await run(origin, [peer]) {
      await #expect(throws: (any Error).self) { try await peer.client.fetch(blob) }
      #expect(!peer.cache.has(blob))
    }
  }

  @Test("and that nobody has is refused")
  func unknown() async throws {
    let origin = try Origin()
    let peer = try Peer("w1", of: origin)
    try await run(origin, [peer]) {
      await #expect(throws: BlobTransferError.self) {
        try await peer.client.fetch(Digest(hashing: [9]))
      }
    }
  }
}
