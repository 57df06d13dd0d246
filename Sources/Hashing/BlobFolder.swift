public import Domain
import Foundation

#if canImport(Glibc)
  import Glibc
#endif

/// Bytes under the name of their SHA-256: pictures, models, data sets, checkpoints.
///
/// A blob is `<path>/ab/ab12…`. It is written aside, made durable and then put in its place, so a
/// name that is there is whole. One process at a time writes to a folder; its owner holds a lock.
public struct BlobFolder: Sendable {
  public let path: String
  private var aside: String { path + "/incoming" }

  /// Makes the folder where there is none, and removes what cut-off writes have left, but for blobs
  /// that arrive in pieces and were written to within a day: they go on.
  public init(path: String) throws(BlobError) {
    self.path = path
    let aside = path + "/incoming"
    try naming(path) {
      try makeFolder(aside)
      for name in try FileManager.default.contentsOfDirectory(atPath: aside) {
        let file = aside + "/" + name
        let changed =
          try FileManager.default.attributesOfItem(atPath: file)[.modificationDate] as? Date
        if name.hasSuffix(PartialBlob.suffix), let changed, changed.timeIntervalSinceNow > -86_400 {
          continue
        }
        try FileManager.default.removeItem(atPath: file)
      }
    }
  }

  /// A folder that another process may be writing to: nothing is made, removed or put in.
  public init(reading path: String) { self.path = path }

  /// All blobs that are here, with their sizes, from the one that was used longest ago to the last:
  /// as far as `touch` has told.
  public func contents() throws(BlobError) -> [(blob: Digest, size: Int64)] {
    var found: [(blob: Digest, size: Int64, used: Date)] = []
    let keys: Set<URLResourceKey> = [.fileSizeKey, .contentModificationDateKey]
    try naming(path) {
      let files = FileManager.default.enumerator(
        at: URL(filePath: path), includingPropertiesForKeys: Array(keys))
      while let file = files?.nextObject() as? URL {
        guard let blob = Digest(hex: file.lastPathComponent) else { continue }
        let values = try file.resourceValues(forKeys: keys)
        found.append(
          (blob, Int64(values.fileSize ?? 0), values.contentModificationDate ?? .distantPast))
      }
    }
    return found.sorted { ($0.used, $0.blob) < ($1.used, $1.blob) }.map { ($0.blob, $0.size) }
  }

  /// Notes on the disk that a blob is used now; one that is not here is no error.
  public func touch(_ digest: Digest) { utimensat(AT_FDCWD, path(digest), nil, 0) }

  public func path(_ digest: Digest) -> String {
    let name = digest.hex
    return "\(path)/\(name.prefix(2))/\(name)"
  }

  public func has(_ digest: Digest) -> Bool { size(digest) != nil }

  public func size(_ digest: Digest) -> Int64? { fileSize(path(digest)) }

  /// Keeps the bytes; they are durable on return.
  @discardableResult
  public func put(_ bytes: [UInt8]) throws(BlobError) -> Digest {
    let digest = Digest(hashing: bytes)
    if has(digest) { return digest }
    try write(to: digest) { file throws in
      for start in stride(from: 0, to: bytes.count, by: pieceBytes) {
        try file.write(bytes[start..<min(bytes.count, start + pieceBytes)])
      }
    }
    return digest
  }

  /// Keeps a copy of a file, which is read once; durable on return.
  @discardableResult
  public func put(file: String) throws(BlobError) -> Digest {
    let name = aside + "/" + UUID().uuidString
    return try naming(file) {
      let copy = try AsideFile(path: name)
      var hash = IncrementalHash()
      do {
        try forEachPiece(of: file) { piece in
          hash.update(piece)
          try copy.write(piece)
        }
      } catch {
        copy.discard()
        throw error
      }
      let digest = hash.finish()
      if has(digest) {
        copy.discard()
      } else {
        try makeFolder((path(digest) as NSString).deletingLastPathComponent)
        try copy.publish(as: path(digest))
      }
      return digest
    }
  }

  private func write(
    to digest: Digest, _ body: (borrowing AsideFile) throws -> Void
  ) throws(BlobError) {
    let final = path(digest)
    try naming(final) {
      try makeFolder((final as NSString).deletingLastPathComponent)
      let file = try AsideFile(path: aside + "/" + UUID().uuidString)
      do {
        try body(file)
      } catch {
        file.discard()
        throw error
      }
      try file.publish(as: final)
    }
  }

  /// The whole blob, checked against its name.
  public func read(_ digest: Digest) throws(BlobError) -> [UInt8] {
    guard let size = size(digest) else { throw .missing(digest) }
    let bytes = try read(digest, offset: 0, length: Int(size))
    guard Digest(hashing: bytes) == digest else { throw setAside(digest) }
    return bytes
  }

  /// A piece of a blob, not checked; shorter where the blob ends.
  public func read(
    _ digest: Digest, offset: Int64, length: Int
  ) throws(BlobError) -> [UInt8] {
    precondition(offset >= 0 && length >= 0, "a range within a blob expected")
    guard has(digest) else { throw .missing(digest) }
    return try readFile(path(digest), offset: offset, length: length)
  }

  /// Reads the whole blob and checks it against its name; a damaged one is set aside.
  public func verify(_ digest: Digest) throws(BlobError) {
    guard has(digest) else { throw .missing(digest) }
    let path = path(digest)
    var hash = IncrementalHash()
    try naming(path) { try forEachPiece(of: path) { hash.update($0) } }
    guard hash.finish() == digest else { throw setAside(digest) }
  }

  private func setAside(_ digest: Digest) -> BlobError {
    let path = path(digest)
    rename(path, path + ".corrupt")
    return .corrupt(digest, path: path)
  }

  public func remove(_ digest: Digest) throws(BlobError) {
    let path = path(digest)
    try naming(path) {
      guard unlink(path) == 0 || errno == ENOENT else { throw posixError(path) }
    }
  }

  /// Begins to take in a blob whose bytes come in chunks.
  public func receive(_ digest: Digest, size: Int64) throws(BlobError) -> BlobWriter {
    let aside = aside + "/" + UUID().uuidString
    return try naming(aside) {
      try BlobWriter(digest: digest, size: size, aside: aside, final: path(digest))
    }
  }

  /// Begins to take in a blob whose pieces come in any order, or goes on with one.
  public func receive(_ digest: Digest, in pieces: PieceList) throws(BlobError) -> PartialBlob {
    let aside = "\(aside)/\(digest.hex)\(PartialBlob.suffix)"
    return try naming(aside) {
      try PartialBlob(digest: digest, pieces: pieces, aside: aside, final: path(digest))
    }
  }

  /// How the files of a model's folder come to lie there.
  public enum Layout: Sendable {
    /// As files of their own, which outlive the blobs: hard links where the file system has them.
    case files
    /// As references, which are dead when the blobs go.
    case references
  }

  /// Lays out a model's files as a folder.
  ///
  /// A folder that is there and has all files in their sizes is left as it is.
  public func materialize(
    _ manifest: ModelManifest, at folder: String, as layout: Layout = .files
  ) throws(BlobError) {
    if manifest.files.allSatisfy({ fileSize(folder + "/" + $0.path) == $0.size }) { return }
    let new = folder + ".new"
    try naming(folder) {
      let files = FileManager.default
      if files.fileExists(atPath: new) { try files.removeItem(atPath: new) }
      try makeFolder(new)
      for file in manifest.files {
        guard has(file.sha256) else { throw BlobError.missing(file.sha256) }
        let target = new + "/" + file.path
        try makeFolder((target as NSString).deletingLastPathComponent)
        let blob = path(file.sha256)
        switch layout {
        case .references:
          try files.createSymbolicLink(
            atPath: target, withDestinationPath: URL(filePath: blob).standardizedFileURL.path)
        case .files:
          if link(blob, target) != 0 { try files.copyItem(atPath: blob, toPath: target) }
        }
      }
      if files.fileExists(atPath: folder) { try files.removeItem(atPath: folder) }
      guard rename(new, folder) == 0 else { throw posixError(folder) }
    }
  }
}

/// A blob that arrives in chunks, in order.
public final class BlobWriter {
  public let digest: Digest
  public let size: Int64
  /// Bytes taken in so far: the offset of the next chunk.
  public private(set) var received: Int64 = 0
  private var file: AsideFile?
  private var hash = IncrementalHash()
  private let aside: String
  private let final: String

  init(digest: Digest, size: Int64, aside: String, final: String) throws {
    precondition(size >= 0, "a size expected")
    self.digest = digest
    self.size = size
    self.aside = aside
    self.final = final
    file = try AsideFile(path: aside)
  }

  deinit { abandon() }

  public func append(_ chunk: [UInt8], at offset: Int64) throws(BlobError) {
    guard offset == received, Int64(chunk.count) <= size - received else {
      throw .chunk(digest, offset: offset, expected: received, size: size)
    }
    guard file != nil else { throw .io(path: final, reason: "the transfer was given up") }
    try naming(final) { try file?.write(chunk) }
    hash.update(chunk)
    received += Int64(chunk.count)
  }

  /// Checks size and SHA-256 and puts the blob in its place, durably.
  public func finish() throws(BlobError) {
    guard received == size, let whole = file.take() else {
      throw .chunk(digest, offset: received, expected: received, size: size)
    }
    let found = hash.finish()
    hash = IncrementalHash()
    guard found == digest else {
      whole.discard()
      throw .mismatch(expected: digest, found: found)
    }
    try naming(final) { [final] in
      try makeFolder((final as NSString).deletingLastPathComponent)
    }
    do {
      // Of checkpoints and models, written far more often than they are read.
      try whole.publish(as: final, isReadSoon: size < pieceBytes)
    } catch {
      unlink(aside)
      try naming(final) { throw error }
    }
  }

  /// Removes what has arrived.
  public func abandon() {
    guard let part = file.take() else { return }
    part.discard()
  }
}
