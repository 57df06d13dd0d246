import Domain
import Foundation
import Hashing
import TestSupport
import Testing

/// Three pieces and a bit.
private let content = randomBytes(3 * pieceBytes + 5)
private let blob = Digest(hashing: content)

private func list() throws -> PieceList {
  try withTemporaryFolder { folder in
    try Data(content).write(to: URL(filePath: folder + "/file"))
    let (pieces, whole) = try PieceList.reading(folder + "/file")
    #expect(whole == blob)
    return pieces
  }
}

private func piece(_ index: Int) -> [UInt8] {
  Array(content[(index * pieceBytes)..<min(content.count, (index + 1) * pieceBytes)])
}

@Suite("The list of a blob's pieces")
struct PieceListTests {
  @Test("has a digest for each, and comes back from its bytes")
  func bytes() throws {
    let list = try list()
    #expect(list.count == 4 && list.size == Int64(content.count))
    #expect(list.digests[3] == Digest(hashing: content.suffix(5)))
    #expect(PieceList(size: list.size, bytes: list.bytes) == list)
    #expect(PieceList(size: list.size, bytes: list.bytes.dropLast(32)) == nil)
    #expect(PieceList(size: Int64(pieceBytes), bytes: list.bytes) == nil)
    #expect(list.range(3) == (Int64(3 * pieceBytes), 5))
  }

  @Test("of an empty blob has one empty piece")
  func empty() throws {
    try withTemporaryFolder { folder in
      try Data().write(to: URL(filePath: folder + "/file"))
      let (pieces, whole) = try PieceList.reading(folder + "/file")
      #expect(pieces == PieceList(only: whole, size: 0))
      #expect(pieces.range(0) == (0, 0))
    }
  }
}

@Suite("A blob that arrives in pieces")
struct PartialBlobTests {
  @Test("is whole when all are here, in whatever order they came")
  func anyOrder() throws {
    try withTemporaryFolder { path in
      let folder = try BlobFolder(path: path)
      let partial = try folder.receive(blob, in: try list())
      for index in [2, 0, 3] { try partial.put(piece(index), as: index) }
      #expect(partial.here.count == 3 && !folder.has(blob))
      let middle = Int64(2 * pieceBytes + 7)
      #expect(try partial.read(offset: middle, length: 9) == Array(piece(2)[7..<16]))
      #expect(try partial.read(offset: Int64(pieceBytes), length: 9) == nil)
      #expect(try partial.read(offset: Int64(content.count), length: 9) == nil)
      try partial.put(piece(1), as: 1)
      try partial.publish()
      #expect(try folder.read(blob) == content)
    }
  }

  @Test("takes no piece that is not what the list says")
  func broken() throws {
    try withTemporaryFolder { path in
      let partial = try BlobFolder(path: path).receive(blob, in: try list())
      var wrong = piece(1)
      wrong[77] ^= 1
      #expect(throws: BlobError.piece(blob, index: 1)) { try partial.put(wrong, as: 1) }
      #expect(throws: BlobError.piece(blob, index: 1)) { try partial.put(piece(0), as: 1) }
      #expect(throws: BlobError.piece(blob, index: 3)) { try partial.put(piece(3) + [0], as: 3) }
      #expect(partial.here.count == 0)
    }
  }

  @Test("goes on after a restart with the pieces that the disk has kept, and with no others")
  func restart() throws {
    try withTemporaryFolder { path in
      let list = try list()
      do {
        let partial = try BlobFolder(path: path).receive(blob, in: list)
        for index in [0, 2] { try partial.put(piece(index), as: index) }
      }
      let file = path + "/incoming/\(blob.hex).part"
      let handle = try FileHandle(forUpdating: URL(filePath: file))
      try handle.seek(toOffset: UInt64(2 * pieceBytes + 5))
      try handle.write(contentsOf: Data([piece(2)[5] ^ 1]))
      try handle.close()
      let partial = try BlobFolder(path: path).receive(blob, in: list)
      #expect(partial.here.contains(0) && partial.here.count == 1)
    }
  }

  @Test("is given up when nothing of it has come for a day")
  func old() throws {
    try withTemporaryFolder { path in
      _ = try BlobFolder(path: path).receive(blob, in: try list())
      let file = path + "/incoming/\(blob.hex).part"
      _ = try BlobFolder(path: path)
      #expect(FileManager.default.fileExists(atPath: file))
      try FileManager.default.setAttributes(
        [.modificationDate: Date(timeIntervalSinceNow: -90_000)], ofItemAtPath: file)
      _ = try BlobFolder(path: path)
      #expect(!FileManager.default.fileExists(atPath: file))
    }
  }
}

@Suite("The blobs of a folder")
struct BlobContentsTests {
  @Test("are told with their sizes, the one used longest ago first")
  func order() throws {
    try withTemporaryFolder { path in
      let folder = try BlobFolder(path: path)
      let blobs = try [[1], [2, 2], [3, 3, 3]].map { try folder.put($0) }
      for (age, index) in [(300, 0), (100, 1), (200, 2)] {
        try FileManager.default.setAttributes(
          [.modificationDate: Date(timeIntervalSinceNow: -Double(age))],
          ofItemAtPath: folder.path(blobs[index]))
      }
      #expect(try folder.contents().map(\.blob) == [blobs[0], blobs[2], blobs[1]])
      #expect(try folder.contents().map(\.size) == [1, 3, 2])
      folder.touch(blobs[0])
      #expect(try folder.contents().last?.blob == blobs[0])
    }
  }

  @Test("may be referred to by a model's folder, which is made anew when one has gone and come")
  func references() throws {
    try withTemporaryFolder { path in
      let folder = try BlobFolder(path: path + "/blobs")
      let bytes = Array("weights".utf8)
      let file = try folder.put(bytes)
      let manifest = try ModelManifest(files: [
        .init(path: "a/weights", size: Int64(bytes.count), sha256: file)
      ])
      let place = path + "/model"
      try folder.materialize(manifest, at: place, as: .references)
      #expect(FileManager.default.contents(atPath: place + "/a/weights") == Data(bytes))
      try folder.remove(file)
      #expect(throws: BlobError.missing(file)) {
        try folder.materialize(manifest, at: place, as: .references)
      }
      try folder.put(bytes)
      try folder.materialize(manifest, at: place, as: .references)
      #expect(FileManager.default.contents(atPath: place + "/a/weights") == Data(bytes))
    }
  }
}
