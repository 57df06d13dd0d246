import Domain
import Foundation
import Hashing
import TestSupport
import Testing

private func withFolder(_ body: (BlobFolder) throws -> Void) throws {
  try withTemporaryFolder { try body(BlobFolder(path: $0 + "/blobs")) }
}

/// Names of the files below a folder that are no folders themselves.
private func files(_ path: String) throws -> [String] {
  try FileManager.default.subpathsOfDirectory(atPath: path).filter {
    var isFolder: ObjCBool = false
    _ = FileManager.default.fileExists(atPath: path + "/" + $0, isDirectory: &isFolder)
    return !isFolder.boolValue
  }.sorted()
}

private let large = (0..<3_000_000).map { UInt8(truncatingIfNeeded: $0 &* 2_654_435_761 >> 13) }

@Suite("A blob")
struct BlobTests {
  @Test("is kept under its SHA-256 and read back, whole or a piece", arguments: [0, 1, 3_000_000])
  func roundTrip(count: Int) throws {
    try withFolder { folder in
      let bytes = Array(large.prefix(count))
      let digest = try folder.put(bytes)
      #expect(digest == Digest(hashing: bytes))
      #expect(folder.has(digest) && folder.size(digest) == Int64(count))
      #expect(try folder.read(digest) == bytes)
      #expect(
        try folder.read(digest, offset: Int64(count / 2), length: count)
          == Array(bytes[(count / 2)...]))
      #expect(try folder.put(bytes) == digest)
      try folder.verify(digest)
      #expect(try files(folder.path) == ["\(digest.hex.prefix(2))/\(digest.hex)"])
      try folder.remove(digest)
      try folder.remove(digest)
      #expect(throws: BlobError.missing(digest)) { try folder.read(digest) }
    }
  }

  @Test("can be a copy of a file")
  func fromFile() throws {
    try withFolder { folder in
      let elsewhere = try TemporaryFolder()
      let source = try elsewhere.write("source", large)
      let digest = try folder.put(file: source)
      #expect(try folder.put(file: source) == digest)
      #expect(try folder.read(digest) == large)
      #expect(try files(folder.path).count == 1)
    }
  }

  @Test("that changed on the disk is not given out but set aside")
  func damaged() throws {
    try withFolder { folder in
      let digest = try folder.put(large)
      var changed = large
      changed[1_500_000] ^= 1
      try Data(changed).write(to: URL(filePath: folder.path(digest)))
      let error = BlobError.corrupt(digest, path: folder.path(digest))
      #expect(throws: error) { try folder.verify(digest) }
      #expect(!folder.has(digest))
      try folder.put(large)
      try Data(changed).write(to: URL(filePath: folder.path(digest)))
      #expect(throws: error) { try folder.read(digest) }
      #expect(throws: BlobError.missing(digest)) { try folder.read(digest) }
    }
  }

  @Test("whose writing was cut off is not there, and its rest is removed at the next start")
  func cutOff() throws {
    try withFolder { folder in
      let rest = folder.path + "/incoming/half"
      try Data(large).write(to: URL(filePath: rest))
      _ = try BlobFolder(path: folder.path)
      #expect(!FileManager.default.fileExists(atPath: rest))
    }
  }
}

@Suite("A blob that arrives in chunks")
struct BlobWriterTests {
  private let digest = Digest(hashing: large)
  private let size = Int64(large.count)

  @Test("is there when all have come and the digest is right")
  func arrives() throws {
    try withFolder { folder in
      let writer = try folder.receive(digest, size: size)
      for start in stride(from: 0, to: large.count, by: 700_000) {
        #expect(writer.received == Int64(start))
        let end = min(large.count, start + 700_000)
        try writer.append(Array(large[start..<end]), at: Int64(start))
        #expect(!folder.has(digest))
      }
      try writer.finish()
      #expect(try folder.read(digest) == large)
    }
  }

  @Test("refuses chunks out of order or beyond its size, and an early end")
  func order() throws {
    try withFolder { folder in
      let writer = try folder.receive(digest, size: size)
      #expect(throws: BlobError.chunk(digest, offset: 1, expected: 0, size: size)) {
        try writer.append([1], at: 1)
      }
      #expect(throws: BlobError.chunk(digest, offset: 0, expected: 0, size: size)) {
        try writer.append(large + [0], at: 0)
      }
      try writer.append([large[0]], at: 0)
      #expect(throws: BlobError.self) { try writer.finish() }
      #expect(!folder.has(digest))
    }
  }

  @Test("of other bytes than its name says is refused and leaves nothing")
  func mismatch() throws {
    try withFolder { folder in
      let writer = try folder.receive(digest, size: 3)
      try writer.append([1, 2, 3], at: 0)
      #expect(
        throws: BlobError.mismatch(expected: digest, found: Digest(hashing: [1, 2, 3]))
      ) { try writer.finish() }
      #expect(try files(folder.path).isEmpty)
    }
  }

  @Test("leaves nothing when it is given up, or forgotten")
  func abandoned() throws {
    try withFolder { folder in
      let writer = try folder.receive(digest, size: size)
      try writer.append([large[0]], at: 0)
      writer.abandon()
      #expect(throws: BlobError.self) { try writer.append([large[1]], at: 1) }
      do {
        let forgotten = try folder.receive(digest, size: size)
        try forgotten.append([large[0]], at: 0)
      }
      #expect(try files(folder.path).isEmpty)
    }
  }
}

@Suite("A model's manifest")
struct ModelManifestTests {
  private func modelFolder() throws -> TemporaryFolder {
    let folder = try TemporaryFolder()
    try folder.write("config.json", "{}")
    try folder.write("sub/weights.safetensors", large)
    try folder.write(".hidden", "x")
    try FileManager.default.createSymbolicLink(
      atPath: folder.path("link.json"), withDestinationPath: folder.path("config.json"))
    return folder
  }

  @Test("lists a folder's files by path, through links, without hidden ones")
  func scanning() throws {
    let model = try modelFolder()
    let manifest = try ModelManifest(scanning: model.path)
    #expect(manifest.files.map(\.path) == ["config.json", "link.json", "sub/weights.safetensors"])
    #expect(manifest.files.map(\.size) == [2, 2, 3_000_000])
    #expect(manifest.files[2].sha256 == Digest(hashing: large))
    #expect(manifest.totalBytes == 3_000_004)
    let single = try ModelManifest(scanning: model.path("config.json"))
    #expect(single.files.map(\.path) == ["config.json"])
  }

  @Test("has one text, which is read back; the order of its making does not matter")
  func canonical() throws {
    let a = ModelManifest.File(path: "a b", size: 1, sha256: Digest(hashing: [1]))
    let b = ModelManifest.File(path: "ü", size: 0, sha256: Digest(hashing: []))
    let manifest = try ModelManifest(files: [b, a])
    #expect(try ModelManifest(files: [a, b]) == manifest)
    #expect(try ModelManifest(parsing: manifest.canonicalBytes) == manifest)
    let text = "comd-manifest-1\n\(a.sha256.hex) 1 a b\n\(b.sha256.hex) 0 ü\n"
    #expect(manifest.canonicalBytes == Array(text.utf8))
  }

  @Test(
    "that leads out of the folder, or is no canonical text, is refused",
    arguments: [
      "", "comd-manifest-1\n", "comd-manifest-2\nH 1 a\n", "comd-manifest-1\nH 1 a",
      "comd-manifest-1\nH 1 ../a\n", "comd-manifest-1\nH 1 /a\n", "comd-manifest-1\nH 1 a//b\n",
      "comd-manifest-1\nH 1 .\n", "comd-manifest-1\nH 1 a\u{7f}\n", "comd-manifest-1\nH -1 a\n",
      "comd-manifest-1\nH +1 a\n", "comd-manifest-1\nH 01 a\n", "comd-manifest-1\nH 1 b\nH 1 a\n",
      "comd-manifest-1\nH 1 a\nH 1 a\n", "comd-manifest-1\nH  1 a\n", "comd-manifest-1\nx 1 a\n",
    ])
  func refused(text: String) {
    let bytes = text.replacingOccurrences(of: "H", with: Digest(hashing: [1]).hex).utf8
    #expect(throws: ManifestError.self) { try ModelManifest(parsing: Array(bytes)) }
  }

  @Test("is laid out as a folder again")
  func materialized() throws {
    let model = try modelFolder()
    try withFolder { folder in
      let manifest = try ModelManifest(scanning: model.path)
      let target = folder.path + "/laid out"
      let missing = manifest.files[0].sha256
      #expect(throws: BlobError.missing(missing)) { try folder.materialize(manifest, at: target) }
      for file in manifest.files { try folder.put(file: model.path(file.path)) }
      try folder.materialize(manifest, at: target)
      try folder.materialize(manifest, at: target)
      #expect(try ModelManifest(scanning: target) == manifest)
      // A folder that lost a file is made anew.
      try FileManager.default.removeItem(atPath: target + "/config.json")
      try folder.materialize(manifest, at: target)
      #expect(try ModelManifest(scanning: target) == manifest)
    }
  }
}
