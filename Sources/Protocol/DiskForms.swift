import CProtocol
public import Domain

// Messages that lie on a disk: a torn write must not pass for a shorter message, as a cut proto3
// message may. So each has a head: 4 bytes that name it, its length and its CRC-32.

/// A report as a worker's spool keeps it.
public func encode(_ report: JobReport) -> [UInt8] {
  sealed(unsafe packed { arena in unsafe report.message(in: arena) }, as: "CMR1")
}

public func decodeJobReport(_ bytes: [UInt8]) throws(ProtocolError) -> JobReport {
  let body = try opened(bytes, as: "CMR1", what: "job report")
  return try unsafe unpacked(body, as: "job report", comd__job_report__unpack) {
    message throws(ProtocolError) in try unsafe JobReport(message)
  }
}

/// A result as a file.
public func encode(_ result: GenerationResult) -> [UInt8] {
  sealed(unsafe packed { arena in unsafe result.message(in: arena) }, as: "CMG1")
}

public func decodeGenerationResult(_ bytes: [UInt8]) throws(ProtocolError) -> GenerationResult {
  let body = try opened(bytes, as: "CMG1", what: "generation result")
  return try unsafe unpacked(body, as: "generation result", comd__generation_result__unpack) {
    message throws(ProtocolError) in try unsafe GenerationResult(message)
  }
}

/// `body` behind its head.
private func sealed(_ body: [UInt8], as name: StaticString) -> [UInt8] {
  var bytes: [UInt8] = []
  bytes.reserveCapacity(body.count + 12)
  bytes += name.description.utf8
  bytes.append(little: UInt32(body.count))
  bytes.append(little: crc32(body))
  bytes += body
  return bytes
}

private func opened(
  _ bytes: [UInt8], as name: StaticString, what: String
) throws(ProtocolError) -> [UInt8] {
  guard bytes.count >= 12 else {
    throw .damaged(what: what, reason: "\(bytes.count) bytes are less than its head")
  }
  guard bytes[..<4].elementsEqual(name.description.utf8) else {
    throw .damaged(what: what, reason: "it does not begin with \(name)")
  }
  let length = Int(UInt32(little: bytes[4..<8]))
  let body = Array(bytes[12...])
  guard body.count == length else {
    throw .damaged(what: what, reason: "\(body.count) bytes, \(length) were written")
  }
  guard crc32(body) == UInt32(little: bytes[8..<12]) else {
    throw .damaged(what: what, reason: "its checksum does not fit")
  }
  return body
}

private let crcTable: [UInt32] = (0..<256 as Range<UInt32>).map { index in
  (0..<8).reduce(index) { crc, _ in crc & 1 == 1 ? crc >> 1 ^ 0xedb8_8320 : crc >> 1 }
}

/// CRC-32 as in Ethernet and zlib: reflected, polynomial 0x04C11DB7.
func crc32(_ bytes: [UInt8]) -> UInt32 {
  ~bytes.reduce(0xffff_ffff as UInt32) { crc, byte in
    crc >> 8 ^ crcTable[Int(UInt8(truncatingIfNeeded: crc) ^ byte)]
  }
}

extension [UInt8] {
  mutating func append(little word: UInt32) {
    for shift in stride(from: 0 as UInt32, to: 32, by: 8) {
      append(UInt8(truncatingIfNeeded: word >> shift))
    }
  }
}

extension UInt32 {
  /// From 4 bytes, the lowest first.
  init(little bytes: ArraySlice<UInt8>) {
    self = bytes.reversed().reduce(0) { $0 << 8 | UInt32($1) }
  }
}
