import Foundation
import TestSupport
import Testing

@testable import Formats

@Suite("A mapped file")
struct MappedFileTests {
  /// Bytes of this process's memory that show the file.
  func residentBytes(of path: String) throws -> Int {
    // Read as a stream: the file says that it is empty.
    let bytes = try FileHandle(forReadingFrom: URL(filePath: "/proc/self/smaps")).readToEnd()
    let lines = String(decoding: bytes ?? Data(), as: UTF8.self).split(separator: "\n")
    var (isOurs, resident) = (false, 0)
    for line in lines {
      let words = line.split(separator: " ")
      if words.first?.hasSuffix(":") == false { isOurs = line.hasSuffix(path) }
      if isOurs, words.first == "Rss:" { resident += (Int(words[1]) ?? 0) << 10 }
    }
    return resident
  }

  @Test("leaves memory where it is released, and reads the same again")
  func release() throws {
    try withTemporaryFolder { folder in
      let path = folder + "/bytes"
      let count = 4 << 20
      try Data((0..<count).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ $0 >> 9) })
        .write(to: URL(filePath: path))
      let file = try MappedFile(path: path)
      func sum() -> UInt64 {
        file.withBytes(0..<count) { bytes in
          bytes.indices.reduce(0) { $0 &* 31 &+ UInt64(bytes[$1]) }
        }
      }
      let before = sum()
      #expect(try residentBytes(of: path) == count)
      // Pages that are shared with what stays are kept.
      file.release(100..<count - 100)
      #expect(try residentBytes(of: path) <= 1 << 17)
      #expect(sum() == before)
    }
  }
}
