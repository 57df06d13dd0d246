public import Domain
import Foundation
import Synchronization

#if canImport(Glibc)
  import Glibc
#endif

/// `SEEK_DATA` of Linux's `lseek`, which Swift does not see.
private let seekData: Int32 = 3

/// A blob whose pieces arrive in any order, each checked against the list of its pieces; what is
/// here can be read while the rest is on its way.
///
/// Its file lies beside the whole ones. After a restart the pieces that are on the disk, and are
/// what they should be, need not come again.
public final class PartialBlob: Sendable {
  static let suffix = ".part"

  public let digest: Digest
  public let pieces: PieceList
  private let descriptor: Int32
  private let aside: String
  private let final: String
  private let present: Mutex<PieceSet>

  init(digest: Digest, pieces: PieceList, aside: String, final: String) throws {
    self.digest = digest
    self.pieces = pieces
    self.aside = aside
    self.final = final
    let descriptor = open(aside, O_RDWR | O_CREAT | O_CLOEXEC, 0o644)
    guard descriptor >= 0 else { throw posixError(aside) }
    self.descriptor = descriptor
    present = Mutex(PieceSet(none: pieces.count))
    guard ftruncate(descriptor, off_t(pieces.size)) == 0 else { throw posixError(aside) }
    for piece in 0..<pieces.count where isWritten(piece) {
      let bytes = try bytes(of: piece)
      if Digest(hashing: bytes) == pieces.digests[piece] {
        present.withLock { $0.insert(piece) }
      }
    }
  }

  deinit { close(descriptor) }

  public var here: PieceSet { present.withLock { $0.copy } }

  /// Keeps a piece.
  /// - Throws: `BlobError.piece` when it is not what it should be.
  public func put(_ bytes: [UInt8], as piece: Int) throws(BlobError) {
    let (offset, length) = pieces.range(piece)
    guard bytes.count == length, Digest(hashing: bytes) == pieces.digests[piece] else {
      throw .piece(digest, index: piece)
    }
    try naming(aside) {
      try transfer(length) { done in
        bytes[done...].withUnsafeBytes {
          pwrite(descriptor, $0.baseAddress, $0.count, off_t(offset) + off_t(done))
        }
      }
    }
    present.withLock { $0.insert(piece) }
  }

  /// A range that lies within one piece that is here; nil otherwise.
  public func read(offset: Int64, length: Int) throws(BlobError) -> [UInt8]? {
    guard offset >= 0, offset < pieces.size, length > 0 else { return nil }
    let piece = Int(offset / Int64(pieceBytes))
    let (start, size) = pieces.range(piece)
    guard present.withLock({ $0.contains(piece) }) else { return nil }
    let from = Int(offset - start)
    let bytes = try naming(aside) { try self.bytes(of: piece) }
    return Array(bytes[from..<min(size, from + length)])
  }

  /// Puts the whole blob in its place, durably. All pieces have to be here.
  public func publish() throws(BlobError) {
    precondition(here.isWhole, "a whole blob expected")
    try naming(final) {
      guard fsync(descriptor) == 0 else { throw posixError(aside) }
      let folder = (final as NSString).deletingLastPathComponent
      try makeFolder(folder)
      guard rename(aside, final) == 0 else { throw posixError(final) }
      try synchronizeFolder(folder)
    }
  }

  private func bytes(of piece: Int) throws -> [UInt8] {
    let (offset, length) = pieces.range(piece)
    var bytes = [UInt8](repeating: 0, count: length)
    try transfer(length) { done in
      bytes[done...].withUnsafeMutableBytes {
        pread(descriptor, $0.baseAddress, $0.count, off_t(offset) + off_t(done))
      }
    }
    return bytes
  }

  /// Calls the system until so many bytes have gone; `call` is told how many have.
  private func transfer(_ length: Int, _ call: (_ done: Int) -> Int) throws {
    var done = 0
    while done < length {
      let count = call(done)
      if count < 0, errno == EINTR { continue }
      guard count >= 0 else { throw posixError(aside) }
      // The file has the size of the whole blob: it ends early when somebody else made it shorter.
      guard count > 0 else { throw BlobError.io(path: aside, reason: "it has become shorter") }
      done += count
    }
  }

  /// Whether something of a piece lies on the disk: a new file is one hole.
  private func isWritten(_ piece: Int) -> Bool {
    let (offset, length) = pieces.range(piece)
    // A file system that knows no holes says that all is data.
    let data = lseek(descriptor, off_t(offset), seekData)
    return data >= 0 ? data < off_t(offset) + off_t(length) : errno != ENXIO
  }
}
