import Domain
import Foundation
import Hashing
import Logging
import Protocol
import TestSupport
import Testing

@testable import Coordinator
@testable import Transport

/// A blob server on the loopback, over an empty folder.
private struct Served {
  let folder = NSTemporaryDirectory() + "blob-server-\(UUID().uuidString)"
  let blobs: BlobFolder
  let socket: MessageServer
  let service: BlobServer

  init(limits: SocketLimits = .bulk) throws {
    blobs = try BlobFolder(path: folder)
    socket = try MessageServer(
      endpoint: "tcp://127.0.0.1:0", security: .plainForBenchmarks, limits: limits)
    service = BlobServer(
      server: socket, blobs: blobs, inventory: Inventory(path: folder + "/inventory.tsv"),
      pieceLists: PieceLists(folder: folder + "/pieces"),
      log: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
  }

  /// Runs the server beside `work`.
  func run(_ work: () async throws -> Void) async throws {
    defer { try? FileManager.default.removeItem(atPath: folder) }
    async let serving: Void = service.run()
    do {
      try await work()
    } catch {
      await socket.close()
      throw error
    }
    await socket.close()
    await serving
  }
}

/// A worker's end of the bulk socket, message by message.
private struct Giver {
  let client: MessageClient

  init(to served: Served) async throws {
    client = try MessageClient(
      endpoint: served.socket.endpoint, security: .plainForBenchmarks, limits: .bulk)
    while let event = await client.events.next() {
      if case .connected = event { return }
    }
  }

  func offer(_ blob: Digest, size: Int, of file: HeldFile? = nil) async throws -> BulkReply? {
    let place = file.map {
      FilePlace(process: $0.process, descriptor: $0.descriptor, offset: $0.offset)
    }
    try await client.sendWaiting(
      [Frame(encode(BulkRequest.offer(request: 1, blob: blob, size: Int64(size), place: place)))])
    return try await reply()
  }

  func chunk(_ blob: Digest, _ bytes: ArraySlice<UInt8>) async throws {
    let head = BulkRequest.chunk(
      request: 2, blob: blob, offset: Int64(bytes.startIndex), length: bytes.count)
    try await client.sendWaiting([Frame(encode(head)), Frame(Array(bytes))])
  }

  func reply() async throws -> BulkReply? {
    while let event = await client.events.next() {
      guard case .message(let frames) = event else { continue }
      return try decodeBulkReply(
        frames[0].bytes, payloadBytes: frames.count > 1 ? frames[1].count : 0)
    }
    return nil
  }
}

@Suite("Workers that hand in the same blob", .timeLimit(.minutes(5)))
struct BlobServerTests {
  private let bytes = Array("abcdef".utf8)
  private var blob: Digest { Digest(hashing: bytes) }

  @Test("all hear when it is stored, whoever sent the last chunk")
  func allHear() async throws {
    let served = try Served()
    try await served.run {
      let (first, second) = (try await Giver(to: served), try await Giver(to: served))
      #expect(try await first.offer(blob, size: 6) == .wanted(request: 1, blob: blob, from: 0))
      try await first.chunk(blob, bytes[..<3])
      // The offer comes after the chunk of another connection, or before it.
      let asked = try await second.offer(blob, size: 6)
      #expect([0, 3].map { .wanted(request: 1, blob: blob, from: $0) }.contains(asked))
      try await first.chunk(blob, bytes[3...])
      #expect(try await first.reply() == .stored(request: 1, blob: blob))
      #expect(try await second.reply() == .stored(request: 1, blob: blob))
      #expect(try served.blobs.read(blob) == bytes)
      await first.client.close()
      await second.client.close()
    }
  }

  @Test("do not lose it to one of them who sends other bytes: the others begin anew")
  func wrongBytes() async throws {
    let served = try Served()
    try await served.run {
      let (liar, honest) = (try await Giver(to: served), try await Giver(to: served))
      _ = try await liar.offer(blob, size: 6)
      #expect(try await honest.offer(blob, size: 6) == .wanted(request: 1, blob: blob, from: 0))
      try await liar.chunk(blob, Array("abcxyz".utf8)[...])
      #expect(try await liar.reply() == .refused(request: 2, blob: blob, .mismatch))
      #expect(try await honest.reply() == .wanted(request: 1, blob: blob, from: 0))
      try await honest.chunk(blob, bytes[...])
      #expect(try await honest.reply() == .stored(request: 1, blob: blob))
      #expect(try served.blobs.read(blob) == bytes)
      await liar.client.close()
      await honest.client.close()
    }
  }

  @Test("and leave it unfinished make room for others, and hear of it when they still listen")
  func abandoned() async throws {
    let served = try Served()
    try await served.run {
      let (silent, busy) = (try await Giver(to: served), try await Giver(to: served))
      _ = try await silent.offer(blob, size: 6)
      for number in 0..<BlobArrivals.arrivingMax {
        let other = Digest(hashing: "\(number)".utf8)
        #expect(
          try await busy.offer(other, size: 9) == .wanted(request: 1, blob: other, from: 0))
      }
      #expect(try await silent.reply() == .refused(request: 1, blob: blob, .busy))
      await silent.client.close()
      await busy.client.close()
    }
  }
}

@Suite("A blob that lies on the coordinator's machine", .timeLimit(.minutes(5)))
struct BlobPullTests {
  private let bytes = randomBytes(3 * pieceBytes + 17)
  private var blob: Digest { Digest(hashing: bytes) }

  @Test("is taken from there, and nobody is asked to send it")
  func pulled() async throws {
    let served = try Served()
    try await served.run {
      let folder = try TemporaryFolder()
      defer { withExtendedLifetime(folder) {} }
      let file = try HeldFile(path: folder.write("blob", bytes))
      let giver = try await Giver(to: served)
      #expect(
        try await giver.offer(blob, size: bytes.count, of: file)
          == .stored(request: 1, blob: blob))
      #expect(try served.blobs.read(blob) == bytes)
      await giver.client.close()
    }
  }

  @Test("and becomes shorter is asked for from there on")
  func cutOff() throws {
    let folder = try TemporaryFolder()
    defer { withExtendedLifetime(folder) {} }
    let blobs = try BlobFolder(path: folder.path("blobs"))
    let path = try folder.write("file", bytes)
    let giver = BlobArrivals.Giver(connection: ConnectionID(routing: [1]), request: 7)
    let pull = BlobArrivals.Pull(blob: blob, giver: giver, file: try HeldFile(path: path))
    var arrivals = BlobArrivals(into: blobs)
    let size = Int64(bytes.count)
    #expect(arrivals.offered(blob, size: size, by: giver, isHere: true).isEmpty)
    #expect(arrivals.take(pull).goesOn)
    let cut = UInt64(pieceBytes + 5)
    try FileHandle(forWritingTo: URL(filePath: path)).truncate(atOffset: cut)
    #expect(arrivals.take(pull).goesOn)
    let (replies, goesOn) = arrivals.take(pull)
    #expect(!goesOn)
    #expect(replies.map(\.reply) == [.wanted(request: 7, blob: blob, from: Int64(cut))])
    let rest = Array(bytes[Int(cut)...])
    let ended = arrivals.arrived(blob, rest, at: Int64(cut), from: giver)
    #expect(ended.map(\.reply) == [.stored(request: 7, blob: blob)])
    #expect(try blobs.read(blob) == bytes)
  }

  @Test("is not taken any more for a worker that has left, and goes on when it is offered again")
  func left() throws {
    let folder = try TemporaryFolder()
    defer { withExtendedLifetime(folder) {} }
    let blobs = try BlobFolder(path: folder.path("blobs"))
    let file = try HeldFile(path: folder.write("file", bytes))
    var arrivals = BlobArrivals(into: blobs)
    func pull(_ connection: UInt8) -> BlobArrivals.Pull {
      let giver = BlobArrivals.Giver(
        connection: ConnectionID(routing: [connection]), request: UInt64(connection))
      return BlobArrivals.Pull(blob: blob, giver: giver, file: file)
    }
    let size = Int64(bytes.count)
    #expect(arrivals.offered(blob, size: size, by: pull(1).giver, isHere: true).isEmpty)
    #expect(arrivals.take(pull(1)).goesOn)
    arrivals.left(pull(1).giver.connection)
    let (replies, goesOn) = arrivals.take(pull(1))
    #expect(!goesOn && replies.isEmpty)
    #expect(arrivals.offered(blob, size: size, by: pull(2).giver, isHere: true).isEmpty)
    // The rest of the four pieces.
    #expect(arrivals.take(pull(2)).goesOn && arrivals.take(pull(2)).goesOn)
    let last = arrivals.take(pull(2))
    #expect(!last.goesOn && last.replies.map(\.reply) == [.stored(request: 2, blob: blob)])
  }

  @Test("where something else lies is sent by all who have it")
  func another() async throws {
    let served = try Served()
    try await served.run {
      let folder = try TemporaryFolder()
      defer { withExtendedLifetime(folder) {} }
      let other = try HeldFile(path: folder.write("other", randomBytes(bytes.count, seed: 2)))
      let giver = try await Giver(to: served)
      #expect(
        try await giver.offer(blob, size: bytes.count, of: other)
          == .wanted(request: 1, blob: blob, from: 0))
      for start in stride(from: 0, to: bytes.count, by: pieceBytes) {
        try await giver.chunk(blob, bytes[start..<min(bytes.count, start + pieceBytes)])
      }
      #expect(try await giver.reply() == .stored(request: 1, blob: blob))
      #expect(try served.blobs.read(blob) == bytes)
      await giver.client.close()
    }
  }
}

@Suite("A worker that asks for blobs", .timeLimit(.minutes(5)))
struct BlobWaitingTests {
  @Test("and does not take them delays nobody else")
  func slow() async throws {
    // It never gives a connection up, so that who waits for that waits for ever.
    var patient = SocketLimits.bulk
    patient.heartbeatTimeout = .seconds(600)
    let served = try Served(limits: patient)
    try await served.run {
      let blob = try served.blobs.put(randomBytes(WireLimits.chunkBytesMax))
      // Its queues hold a few messages; nobody reads them.
      let slow = try MessageClient(
        endpoint: served.socket.endpoint, security: .plainForBenchmarks,
        limits: SocketLimits(
          frameBytesMax: 8 << 20, highWaterMark: 1, inboxMessagesMax: 1, linger: .zero))
      let quick = try await Giver(to: served)
      while (try? slow.send([Frame([0])])) == nil { try await Task.sleep(for: .milliseconds(5)) }
      // More than the server's queues hold for one connection.
      for number in 0..<200 {
        let request = BulkRequest.fetch(
          request: UInt64(number), blob: blob, offset: 0, length: WireLimits.chunkBytesMax)
        try await slow.sendWaiting([Frame(encode(request))])
      }
      // They are all taken in before this one is.
      try await Task.sleep(for: .milliseconds(300))
      try await quick.client.sendWaiting(
        [Frame(encode(BulkRequest.fetch(request: 7, blob: blob, offset: 1, length: 2)))])
      #expect(
        try await quick.reply()
          == .chunk(
            request: 7, blob: blob, size: Int64(WireLimits.chunkBytesMax), offset: 1, length: 2))
      await quick.client.close()
      await slow.close()
    }
  }
}
