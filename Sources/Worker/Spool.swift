import Domain
import Foundation
import Hashing

/// Why the spool could not keep a result. A worker that cannot spool must not work.
struct SpoolError: Error, CustomStringConvertible {
  var path: String
  var what: String
  var description: String {
    "\(path): \(what); free space or choose another --dir, then start the worker again"
  }
}

/// Results that the coordinator has not acknowledged yet, safe from SIGKILL and power loss.
///
/// An append-only file of records, each `length, checksum, kind, job, attempt, payload`. A torn
/// last record, as a crash leaves it, is cut off when the file is opened. Acknowledged results are
/// marked by a record of their own and leave the file when it is compacted.
struct Spool {
  private enum Kind: UInt8 {
    case kept = 1
    case forgotten = 2
  }
  private static let headBytes = 8
  private static let bodyBytesMin = 13
  /// The file is rewritten when it is larger than this and less than half of it is still wanted.
  static let compactionBytes = 4 << 20

  let path: String
  private var file: FileHandle
  private var fileBytes = 0
  private var pendingBytes = 0
  private var payloads: [JobAttempt: [UInt8]] = [:]

  /// Opens the spool in `path`, made when it is not there.
  init(path: String) throws {
    self.path = path
    if !FileManager.default.fileExists(atPath: path) {
      guard FileManager.default.createFile(atPath: path, contents: nil) else {
        throw SpoolError(path: path, what: "cannot be created")
      }
    }
    do {
      file = try FileHandle(forUpdating: URL(filePath: path))
      let bytes = [UInt8](try file.readToEnd() ?? Data())
      fileBytes = replay(bytes)
      try file.truncate(atOffset: UInt64(fileBytes))
      try file.seekToEnd()
    } catch let error as SpoolError {
      throw error
    } catch {
      throw SpoolError(path: path, what: "\(error)")
    }
  }

  /// What is still to be acknowledged, in the order of jobs and attempts.
  var pending: [(of: JobAttempt, payload: [UInt8])] {
    payloads.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }
  }

  /// Keeps results; they are on disk when this returns.
  mutating func keep(_ results: [(of: JobAttempt, payload: [UInt8])]) throws {
    var records: [UInt8] = []
    for (attempt, payload) in results {
      records += Self.record(.kept, attempt, payload)
      insert(attempt, payload)
    }
    if records.isEmpty { return }
    try append(records)
    try synchronize()
  }

  /// Forgets acknowledged results; one that is not here is no error. The disk is not waited for:
  /// what is not forgotten after a power cut is offered once more.
  mutating func forget(_ attempts: [JobAttempt]) throws {
    var records: [UInt8] = []
    for attempt in attempts where payloads[attempt] != nil {
      records += Self.record(.forgotten, attempt, [])
      remove(attempt)
    }
    if records.isEmpty { return }
    try append(records)
    if fileBytes > Self.compactionBytes, pendingBytes * 2 < fileBytes { try compact() }
  }

  private mutating func insert(_ attempt: JobAttempt, _ payload: [UInt8]) {
    remove(attempt)
    payloads[attempt] = payload
    pendingBytes += payload.count
  }

  private mutating func remove(_ attempt: JobAttempt) {
    if let old = payloads.removeValue(forKey: attempt) { pendingBytes -= old.count }
  }

  private mutating func append(_ records: [UInt8]) throws {
    do {
      try file.write(contentsOf: records)
    } catch {
      throw SpoolError(path: path, what: "a result cannot be written: \(error)")
    }
    fileBytes += records.count
  }

  private func synchronize() throws {
    do {
      try file.synchronize()
    } catch {
      throw SpoolError(path: path, what: "a result cannot be made durable: \(error)")
    }
  }

  /// Writes what is pending into a new file beside the old one and puts it in its place.
  private mutating func compact() throws {
    let aside = path + ".new"
    var records: [UInt8] = []
    for (attempt, payload) in pending { records += Self.record(.kept, attempt, payload) }
    do {
      try Data(records).write(to: URL(filePath: aside))
      let fresh = try FileHandle(forUpdating: URL(filePath: aside))
      try fresh.synchronize()
      try fresh.seekToEnd()
      guard rename(aside, path) == 0 else { throw CocoaError(.fileWriteUnknown) }
      try file.close()
      file = fresh
    } catch {
      throw SpoolError(path: path, what: "it cannot be compacted: \(error)")
    }
    fileBytes = records.count
  }

  /// Applies the whole records at the front of `bytes`; returns how many bytes they take.
  private mutating func replay(_ bytes: [UInt8]) -> Int {
    var offset = 0
    while offset + Self.headBytes <= bytes.count {
      let length = Int(word(bytes, offset))
      let end = offset + Self.headBytes + length
      guard length >= Self.bodyBytesMin, end <= bytes.count else { break }
      let body = bytes[(offset + Self.headBytes)..<end]
      guard Self.checksum(body) == word(bytes, offset + 4), let kind = Kind(rawValue: body.first!)
      else { break }
      let number = body.dropFirst().prefix(8).reduce(0 as UInt64) { $0 << 8 | UInt64($1) }
      let attempt = JobAttempt(
        JobID(Int64(bitPattern: number)), attempt: Int(word(bytes, body.startIndex + 9)))
      switch kind {
      case .kept: insert(attempt, Array(body.dropFirst(Self.bodyBytesMin)))
      case .forgotten: remove(attempt)
      }
      offset = end
    }
    return offset
  }

  private static func record(
    _ kind: Kind, _ attempt: JobAttempt, _ payload: [UInt8]
  ) -> [UInt8] {
    var body: [UInt8] = [kind.rawValue]
    for shift in stride(from: 56, through: 0, by: -8) {
      body.append(UInt8(truncatingIfNeeded: attempt.job.number >> Int64(shift)))
    }
    // The wire has 32 bits for it as well.
    body += bigEndian(UInt32(attempt.attempt)) + payload
    return bigEndian(UInt32(body.count)) + bigEndian(checksum(body[...])) + body
  }

  /// The first four bytes of the SHA-256: enough to know a torn record.
  private static func checksum(_ body: ArraySlice<UInt8>) -> UInt32 {
    UInt32(truncatingIfNeeded: Digest(hashing: body).words.0 >> 32)
  }
}

private func bigEndian(_ value: UInt32) -> [UInt8] {
  [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: value >> $0) }
}

private func word(_ bytes: [UInt8], _ offset: Int) -> UInt32 {
  bytes[offset..<(offset + 4)].reduce(0) { $0 << 8 | UInt32($1) }
}
