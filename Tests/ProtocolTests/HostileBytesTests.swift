import Domain
import TestSupport
import Testing

@testable import Protocol

/// Any decoder, with what it needs to check its own output.
private struct Decoder: Sendable {
  var name: String
  /// A valid message of this kind.
  var sample: @Sendable (inout RandomMessages, Int) -> (bytes: [UInt8], payloadBytes: Int)
  /// Decodes; encodes again what it took for valid; whether a second decoding agrees.
  var accepts: @Sendable ([UInt8], Int) throws(ProtocolError) -> Bool
}

private let decoders = [
  Decoder(
    name: "worker", sample: { (encode($0.workerMessage($1)), 0) },
    accepts: { (bytes, _) throws(ProtocolError) in
      let message = try decodeWorkerMessage(bytes)
      return encode(try decodeWorkerMessage(encode(message))) == encode(message)
    }),
  Decoder(
    name: "coordinator", sample: { (encode($0.coordinatorMessage($1)), 0) },
    accepts: { (bytes, _) throws(ProtocolError) in
      let message = try decodeCoordinatorMessage(bytes)
      return encode(try decodeCoordinatorMessage(encode(message))) == encode(message)
    }),
  Decoder(
    name: "bulk request",
    sample: {
      let (request, bytes) = $0.bulkRequest($1)
      return (encode(request), bytes)
    },
    accepts: { (bytes, payload) throws(ProtocolError) in
      let request = try decodeBulkRequest(bytes, payloadBytes: payload)
      return try decodeBulkRequest(encode(request), payloadBytes: payload) == request
    }),
  Decoder(
    name: "bulk reply",
    sample: {
      let (reply, bytes) = $0.bulkReply($1)
      return (encode(reply), bytes)
    },
    accepts: { (bytes, payload) throws(ProtocolError) in
      let reply = try decodeBulkReply(bytes, payloadBytes: payload)
      return try decodeBulkReply(encode(reply), payloadBytes: payload) == reply
    }),
  Decoder(
    name: "peer",
    sample: {
      let (message, bytes) = $0.peerMessage($1)
      return (encode(message), bytes)
    },
    accepts: { (bytes, payload) throws(ProtocolError) in
      let message = try decodePeerMessage(bytes, payloadBytes: payload)
      return encode(try decodePeerMessage(encode(message), payloadBytes: payload))
        == encode(message)
    }),
]

@Suite("Bytes that are no message")
struct HostileBytesTests {
  @Test("are refused or read as another valid message, wherever a message is cut off")
  func truncation() {
    for decoder in decoders {
      for kind in 0..<28 {
        var messages = RandomMessages(seed: UInt64(kind))
        let (bytes, payload) = decoder.sample(&messages, kind)
        for length in 0..<bytes.count { probe(decoder, Array(bytes.prefix(length)), payload) }
      }
    }
  }

  @Test("are refused or read as another valid message, whichever bit is turned")
  func bitFlips() {
    for decoder in decoders {
      for kind in 0..<28 {
        var messages = RandomMessages(seed: UInt64(100 + kind))
        let (bytes, payload) = decoder.sample(&messages, kind)
        for bit in 0..<8 * bytes.count {
          var turned = bytes
          turned[bit / 8] ^= 1 << (bit % 8)
          probe(decoder, turned, payload)
        }
      }
    }
  }

  @Test("are refused or read as a valid message when they are drawn by chance")
  func chance() {
    for decoder in decoders {
      var random = SeededRandom(seed: 5)
      for _ in 0..<20_000 {
        // Small values make plausible field numbers and lengths.
        let bytes = (0..<1 + random.below(40)).map { _ in
          UInt8(random.below(random.below(2) == 0 ? 48 : 256))
        }
        probe(decoder, bytes, 0)
      }
    }
  }

  private func probe(_ decoder: Decoder, _ bytes: [UInt8], _ payload: Int) {
    do throws(ProtocolError) {
      #expect(try decoder.accepts(bytes, payload), "\(decoder.name): \(bytes)")
    } catch {
      #expect(!error.description.isEmpty)
    }
  }

  @Test("are refused when there are none: an empty proto3 buffer would be a message of zeros")
  func empty() {
    #expect(throws: ProtocolError.empty(message: "worker message")) {
      try decodeWorkerMessage([])
    }
    #expect(throws: ProtocolError.empty(message: "bulk reply")) {
      try decodeBulkReply([], payloadBytes: 0)
    }
  }

  @Test("are refused when a required field is missing, by its name")
  func missing() {
    // A worker message whose hello (field 1) is empty.
    #expect(throws: ProtocolError.self) { try decodeWorkerMessage([0x0a, 0x00]) }
    // A saved segment (field 6) without its blobs.
    #expect(throws: ProtocolError.missing(field: "saved.weights")) {
      try decodeWorkerMessage([0x32, 0x02, 0x10, 0x01])
    }
    // A kind that this version does not know.
    #expect(throws: ProtocolError.missing(field: "worker message's kind")) {
      try decodeWorkerMessage([0xfa, 0x01, 0x00])
    }
  }

  @Test("are refused when they are more than a message may have")
  func tooLong() {
    let bytes = [UInt8](repeating: 0, count: WireLimits.messageBytesMax + 1)
    #expect(
      throws: ProtocolError.tooLong(
        message: "worker message", bytes: bytes.count, limit: WireLimits.messageBytesMax)
    ) { try decodeWorkerMessage(bytes) }
  }

  @Test("cannot make the decoder take much more memory than its budget")
  func amplification() {
    // Reports (field 3) of four million empty entries: 8 MB on the wire, 100 times that unpacked.
    let entries = [UInt8](repeating: 0, count: 2 * 4_000_000).enumerated().map {
      $0.offset % 2 == 0 ? 0x0a as UInt8 : 0
    }
    var bytes: [UInt8] = [0x1a]
    var length = entries.count
    while length > 0 {
      bytes.append(UInt8(length & 127) | (length > 127 ? 128 : 0))
      length >>= 7
    }
    #expect(throws: ProtocolError.malformed(message: "worker message")) {
      try decodeWorkerMessage(bytes + entries)
    }
  }

  @Test("are refused when a text is not UTF-8 or a digest not 32 bytes")
  func texts() {
    // standing (field 4) with standing.failed (field 3) of the byte 0xff
    #expect(
      throws: ProtocolError.outOfRange(
        field: "standing.failed", found: "other bytes", allowed: "UTF-8")
    ) { try decodeWorkerMessage([0x22, 0x05, 0x12, 0x03, 0x1a, 0x01, 0xff]) }
    #expect(
      throws: ProtocolError.outOfRange(
        field: "saved.weights", found: "1 bytes", allowed: "32 bytes")
    ) { try decodeWorkerMessage([0x32, 0x03, 0x22, 0x01, 0x07]) }
  }

  @Test("are refused when the data frame has another size than stated")
  func payload() {
    var messages = RandomMessages(seed: 3)
    let blob = messages.digest()
    let chunk = BulkRequest.chunk(request: 1, blob: blob, offset: 0, length: 10)
    #expect(throws: ProtocolError.payload(message: "bulk request", bytes: 9, stated: 10)) {
      try decodeBulkRequest(encode(chunk), payloadBytes: 9)
    }
    let beyond = BulkReply.chunk(request: 1, blob: blob, size: 5, offset: 4, length: 2)
    #expect(throws: ProtocolError.self) {
      try decodeBulkReply(encode(beyond), payloadBytes: 2)
    }
    let found = BulkReply.found(request: 1, blob: blob, size: 9, sources: [])
    for bytes in [31, 33, WireLimits.pieceListBytesMax + 32] {
      #expect(throws: ProtocolError.self) {
        try decodeBulkReply(encode(found), payloadBytes: bytes)
      }
    }
    let huge = BulkReply.found(request: 1, blob: blob, size: (1 << 48) + 1, sources: [])
    #expect(throws: ProtocolError.self) { try decodeBulkReply(encode(huge), payloadBytes: 0) }
  }

  @Test("are refused when they speak another version")
  func version() {
    #expect(
      throws: ProtocolError.version(message: "peer message", found: 9, supported: bulkVersion)
    ) { try decodePeerMessage([0x08, 0x09], payloadBytes: 0) }
  }
}

@Suite("Bytes on a disk")
struct DiskBytesTests {
  @Test("that were cut off or changed are damage, never a shorter message", arguments: 0..<8)
  func reports(seed: UInt64) {
    var messages = RandomMessages(seed: seed)
    let (report, result) = (encode(messages.report()), encode(messages.result()))
    for length in 0..<report.count {
      #expect(throws: ProtocolError.self) { try decodeJobReport(Array(report.prefix(length))) }
    }
    for bit in 0..<8 * result.count {
      var turned = result
      turned[bit / 8] ^= 1 << (bit % 8)
      #expect(throws: ProtocolError.self) { try decodeGenerationResult(turned) }
    }
    #expect(throws: ProtocolError.self) { try decodeJobReport(result) }
  }

  @Test("of a training are refused when cut off, and read or refused when changed")
  func samples() {
    var messages = RandomMessages(seed: 4)
    var samples: [TrainingSample] = []
    while samples.count < 3 { samples = messages.samples() }
    let bytes = encode(samples)
    for length in 0..<bytes.count {
      #expect(throws: ProtocolError.self) {
        try decodeTrainingSamples(Array(bytes.prefix(length)))
      }
    }
    #expect(throws: ProtocolError.self) { try decodeTrainingSamples(bytes + [0]) }
    for bit in 0..<8 * bytes.count {
      var turned = bytes
      turned[bit / 8] ^= 1 << (bit % 8)
      if let decoded = try? decodeTrainingSamples(turned) { #expect(encode(decoded) == turned) }
    }
  }

  @Test("carry the checksum that zlib and Ethernet compute")
  func checksum() {
    #expect(crc32(Array("123456789".utf8)) == 0xcbf4_3926)
  }
}
