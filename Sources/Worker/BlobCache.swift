import Domain
import Foundation
import Hashing
import Logging
import Synchronization

/// The blobs that a worker keeps on its disk, whole ones and those that arrive, within a bound.
final class BlobCache: Sendable {
  let folder: BlobFolder
  private let log: Logger
  private struct State {
    var ledger: CacheLedger
    var arriving: [Digest: PartialBlob] = [:]
    var hasWarned = false
  }
  private let state: Mutex<State>

  /// What of the disk's room may be used when nothing else is said.
  private static let shareOfDisk = 0.8

  /// - Parameter bytesMax: nil: most of what the disk has free, and what is here already.
  init(path: String, bytesMax: Int64? = nil, log: Logger) throws(BlobError) {
    folder = try BlobFolder(path: path)
    self.log = log
    let contents = try folder.contents()
    let free =
      try? FileManager.default.attributesOfFileSystem(forPath: path)[.systemFreeSize] as? Int64
    let here = contents.reduce(0) { $0 + $1.size }
    let room = here + Int64(Double(free ?? 0) * Self.shareOfDisk)
    var ledger = CacheLedger(bytesMax: bytesMax ?? room)
    for (blob, size) in contents { ledger.note(blob, bytes: size) }
    state = Mutex(State(ledger: ledger))
    // The bound may be a smaller one than it was.
    evict(state.withLock { $0.ledger.makeRoom(for: 0) })
  }

  func has(_ blob: Digest) -> Bool { size(blob) != nil }

  /// Size of a whole blob.
  func size(_ blob: Digest) -> Int64? { folder.size(blob) }

  /// A blob is used: it will go later than others.
  func use(_ blob: Digest) {
    folder.touch(blob)
    state.withLock { $0.ledger.use(blob) }
  }

  /// The whole blob, checked.
  func read(_ blob: Digest) throws(BlobError) -> [UInt8] {
    use(blob)
    return try folder.read(blob)
  }

  /// Blobs of more than one piece that are here, the newest first.
  func largest(_ most: Int) -> [Digest] { state.withLock { $0.ledger.large(most) } }

  /// What of a blob is here, for one that wants to fetch it; nil: nothing.
  func survey(_ blob: Digest) -> PieceSet? {
    if let size = folder.size(blob) { return PieceSet(all: PieceList.count(ofSize: size)) }
    return state.withLock { $0.arriving[blob] }?.here
  }

  /// A range of a blob that is here, or within a piece that is; nil: it is not.
  func read(
    _ blob: Digest, offset: Int64, length: Int
  ) throws(BlobError) -> (size: Int64, bytes: [UInt8])? {
    if let size = folder.size(blob) {
      guard offset >= 0, offset <= size else { return nil }
      return (size, try folder.read(blob, offset: offset, length: length))
    }
    guard let arriving = state.withLock({ $0.arriving[blob] }),
      let bytes = try arriving.read(offset: offset, length: length)
    else { return nil }
    return (arriving.pieces.size, bytes)
  }

  /// Keeps bytes under their name.
  /// - Throws: `BlobError.mismatch` when it is not theirs, and when the cache cannot hold them.
  func put(_ bytes: [UInt8], as blob: Digest) throws {
    let found = Digest(hashing: bytes)
    guard found == blob else { throw BlobError.mismatch(expected: blob, found: found) }
    try makeRoom(for: blob, bytes: Int64(bytes.count))
    try folder.put(bytes)
  }

  /// Keeps bytes that were made here.
  func put(_ bytes: [UInt8]) throws -> Digest {
    let blob = Digest(hashing: bytes)
    try put(bytes, as: blob)
    return blob
  }

  /// Keeps a copy of a file that was made here.
  func put(file: String) throws -> Digest {
    let blob = try folder.put(file: file)
    try makeRoom(for: blob, bytes: folder.size(blob) ?? 0)
    return blob
  }

  func remove(_ blob: Digest) throws(BlobError) {
    state.withLock { $0.ledger.forget(blob) }
    try folder.remove(blob)
  }

  /// Begins, or goes on, to take in a blob of many pieces; pinned until `finish` or `abandon`.
  func begin(_ blob: Digest, _ pieces: PieceList) throws -> PartialBlob {
    state.withLock { $0.ledger.pin(blob) }
    do {
      try makeRoom(for: blob, bytes: pieces.size)
      let partial = try folder.receive(blob, in: pieces)
      state.withLock { $0.arriving[blob] = partial }
      return partial
    } catch {
      state.withLock { state in
        state.ledger.forget(blob)
        state.ledger.unpin(blob)
      }
      throw error
    }
  }

  func finish(_ partial: PartialBlob) throws(BlobError) {
    try partial.publish()
    state.withLock { state in
      state.arriving[partial.digest] = nil
      state.ledger.unpin(partial.digest)
    }
  }

  /// Gives an arriving blob up for now; its pieces stay for a later attempt.
  func abandon(_ partial: PartialBlob) {
    state.withLock { state in
      state.arriving[partial.digest] = nil
      state.ledger.forget(partial.digest)
      state.ledger.unpin(partial.digest)
    }
  }

  /// Keeps blobs here as long as the pin lives.
  func pin(_ blobs: some Collection<Digest>) -> Pin {
    state.withLock { state in
      for blob in blobs { state.ledger.pin(blob) }
    }
    return Pin(cache: self, blobs: Array(blobs))
  }

  /// Blobs that do not go while somebody needs them.
  final class Pin: Sendable {
    private let cache: BlobCache
    private let blobs: [Digest]

    fileprivate init(cache: BlobCache, blobs: [Digest]) {
      self.cache = cache
      self.blobs = blobs
    }

    deinit {
      cache.state.withLock { state in
        for blob in blobs { state.ledger.unpin(blob) }
      }
    }
  }

  /// Counts a blob in, and lets others go for it.
  private func makeRoom(for blob: Digest, bytes: Int64) throws {
    let bytesMax = state.withLock { $0.ledger.bytesMax }
    guard bytes <= bytesMax else {
      throw BlobTransferError.tooLarge(blob, bytes: bytes, limit: bytesMax)
    }
    let (gone, used, isNews) = state.withLock { state in
      let gone = state.ledger.makeRoom(for: bytes)
      state.ledger.note(blob, bytes: bytes)
      let isOver = state.ledger.bytes > bytesMax
      defer { state.hasWarned = isOver }
      return (gone, state.ledger.bytes, isOver && !state.hasWarned)
    }
    evict(gone)
    if isNews {
      log.warning(
        """
        the cache holds \(used) bytes, more than its \(bytesMax): all of it is in use; \
        give this worker a larger --cache
        """)
    }
  }

  private func evict(_ blobs: [Digest]) {
    if blobs.isEmpty { return }
    for blob in blobs {
      do {
        try folder.remove(blob)
      } catch {
        log.warning("a blob could not be removed from the cache: \(error)")
      }
    }
    log.info("\(blobs.count) blobs that were used longest ago left the cache")
  }
}
