import Domain
import Foundation
import Hashing
import Logging
import Protocol
import TestSupport
import Testing
import Transport

@testable import Coordinator

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

  func offer(_ blob: Digest, size: Int) async throws -> BulkReply? {
    try await client.sendWaiting(
      [Frame(encode(BulkRequest.offer(request: 1, blob: blob, size: Int64(size))))])
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
      for number in 0..<BlobServer.arrivingMax {
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
