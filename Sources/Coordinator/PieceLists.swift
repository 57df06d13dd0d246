import Domain
import Executors
import Foundation
import Hashing

/// The lists of the pieces of blobs that workers fetch from each other: made when the first one
/// asks, by reading the whole blob, and kept in `RUN/pieces`.
///
/// An actor on a thread of its own: a model of gigabytes takes seconds to read.
actor PieceLists {
  private let executor = ThreadExecutor(label: "piece lists")
  nonisolated var unownedExecutor: UnownedSerialExecutor {
    executor.asUnownedSerialExecutor()
  }

  private let folder: String
  /// The last asked for, the newest last.
  private var known: [(blob: Digest, pieces: PieceList)] = []
  private static let knownMax = 64

  init(folder: String) { self.folder = folder }

  /// - Parameter path: where the blob's bytes are.
  /// - Throws: `BlobError`; `.corrupt` when the file is not what the blob's name says any more.
  func list(of blob: Digest, size: Int64, at path: String) throws(BlobError) -> PieceList {
    if let list = known.first(where: { $0.blob == blob })?.pieces { return list }
    let file = "\(folder)/\(blob.hex)"
    let list: PieceList
    if let kept = read(file, size: size) {
      list = kept
    } else {
      let (made, found) = try PieceList.reading(path)
      guard found == blob else { throw .corrupt(blob, path: path) }
      list = made
      write(list, to: file)
    }
    known.append((blob, list))
    if known.count > Self.knownMax { known.removeFirst() }
    return list
  }

  /// A kept list ends with the digest of all before it; one that was torn is made again.
  private func read(_ file: String, size: Int64) -> PieceList? {
    guard let bytes = FileManager.default.contents(atPath: file), bytes.count > 32,
      Digest(bytes: bytes.suffix(32)) == Digest(hashing: bytes.dropLast(32))
    else { return nil }
    return PieceList(size: size, bytes: Array(bytes.dropLast(32)))
  }

  /// One that cannot be kept is made again after a restart.
  private func write(_ list: PieceList, to file: String) {
    let bytes = list.bytes
    try? FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    try? Data(bytes + Digest(hashing: bytes).bytes).write(
      to: URL(filePath: file), options: .atomic)
  }
}
