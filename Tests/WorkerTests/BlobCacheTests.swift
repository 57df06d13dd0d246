import Domain
import Foundation
import Hashing
import Logging
import TestSupport
import Testing

@testable import Worker

private let silent = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

@Suite("A worker's cache")
struct BlobCacheTests {
  /// A hundred bytes that are told by their number.
  private func bytes(_ number: Int) -> [UInt8] {
    Array(repeating: UInt8(number), count: 100)
  }

  @Test("lets go what was used longest ago when it is full, and a tenth more")
  func leastRecentlyUsed() throws {
    let folder = try TemporaryFolder()
    let cache = try BlobCache(path: folder.path, bytesMax: 1000, log: silent)
    let blobs = try (0..<10).map { try cache.put(bytes($0)) }
    #expect(blobs.allSatisfy(cache.has))
    _ = try cache.read(blobs[0])
    let last = try cache.put(bytes(10))
    #expect(blobs.map(cache.has) == [true, false, false] + Array(repeating: true, count: 7))
    #expect(cache.has(last))
  }

  @Test("keeps what is pinned, though it be more than the bound, until it is not any more")
  func pinned() throws {
    let folder = try TemporaryFolder()
    let cache = try BlobCache(path: folder.path, bytesMax: 250, log: silent)
    let names = (0..<3).map { Digest(hashing: bytes($0)) }
    do {
      // A pin may be there before its blob.
      let pin = cache.pin(names)
      for number in 0..<3 { _ = try cache.put(bytes(number)) }
      #expect(names.allSatisfy(cache.has))
      withExtendedLifetime(pin) {}
    }
    _ = try cache.put(bytes(3))
    #expect(names.filter(cache.has).count <= 1)
  }

  @Test("takes nothing that is larger than it, and says how to help")
  func tooLarge() throws {
    let folder = try TemporaryFolder()
    let cache = try BlobCache(path: folder.path, bytesMax: 99, log: silent)
    let error = #expect(throws: BlobTransferError.self) { try cache.put(bytes(1)) }
    #expect("\(error!)".contains("--cache"))
    #expect(try cache.folder.contents().isEmpty)
  }

  @Test("knows after a restart what was used last, and keeps to a bound that has become smaller")
  func restart() throws {
    let folder = try TemporaryFolder()
    let blobs: [Digest]
    do {
      let cache = try BlobCache(path: folder.path, bytesMax: 1000, log: silent)
      blobs = try (0..<5).map { try cache.put(bytes($0)) }
      for (age, blob) in blobs.enumerated() {
        try FileManager.default.setAttributes(
          [.modificationDate: Date(timeIntervalSinceNow: -Double(1000 * (age + 1)))],
          ofItemAtPath: cache.folder.path(blob))
      }
      cache.use(blobs[4])
    }
    let cache = try BlobCache(path: folder.path, bytesMax: 300, log: silent)
    #expect(blobs.map(cache.has) == [true, false, false, false, true])
  }

  @Test("counts a blob that is on its way, and lets others have its pieces")
  func arriving() throws {
    let folder = try TemporaryFolder()
    let cache = try BlobCache(path: folder.path, bytesMax: Int64(3 * pieceBytes), log: silent)
    let other = try cache.put(bytes(1))
    let content = [UInt8](repeating: 7, count: 2 * pieceBytes + 3)
    let blob = Digest(hashing: content)
    let file = try folder.write("elsewhere/file", content)
    let partial = try cache.begin(blob, try PieceList.reading(file).pieces)
    #expect(cache.survey(blob)?.count == 0 && cache.has(other))
    try partial.put(Array(content[..<pieceBytes]), as: 0)
    #expect(cache.survey(blob)?.count == 1)
    #expect(try cache.read(blob, offset: 5, length: 2)?.bytes == [7, 7])
    #expect(try cache.read(blob, offset: Int64(pieceBytes), length: 2) == nil)
    // There is no room for as much again while it arrives; the other one goes.
    _ = try cache.put([UInt8](repeating: 8, count: pieceBytes))
    #expect(!cache.has(other))
    for piece in 1...2 {
      let (offset, length) = partial.pieces.range(piece)
      try partial.put(Array(content[Int(offset)..<(Int(offset) + length)]), as: piece)
    }
    try cache.finish(partial)
    #expect(cache.survey(blob)?.isWhole == true && cache.largest(9) == [blob])
  }
}
