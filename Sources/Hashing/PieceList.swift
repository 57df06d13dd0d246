public import Domain

/// Bytes of a piece of a blob; the last one may be shorter. Also what is read or written at once.
public let pieceBytes = 1 << 20

/// The SHA-256 of each piece of a blob, so that a broken one is known when it comes, and by it who
/// sent it.
///
/// A blob of one piece needs no list: its name is the digest of that piece.
public struct PieceList: Hashable, Sendable {
  public let size: Int64
  /// At least one: an empty blob has one empty piece.
  public let digests: [Digest]

  public var count: Int { digests.count }

  public static func count(ofSize size: Int64) -> Int {
    max(1, Int((size + Int64(pieceBytes) - 1) / Int64(pieceBytes)))
  }

  /// A blob that is its own piece.
  public init(only blob: Digest, size: Int64) {
    precondition(PieceList.count(ofSize: size) == 1, "a blob of one piece expected")
    self.size = size
    digests = [blob]
  }

  /// From the digests' bytes, one after the other; nil when there are too few or too many.
  public init?(size: Int64, bytes: [UInt8]) {
    let count = PieceList.count(ofSize: size)
    guard size >= 0, bytes.count == 32 * count else { return nil }
    self.size = size
    digests = stride(from: 0, to: bytes.count, by: 32).compactMap {
      Digest(bytes: bytes[$0..<($0 + 32)])
    }
  }

  public var bytes: [UInt8] { digests.flatMap(\.bytes) }

  /// Reads a file once.
  /// - Returns: the list, and the digest of the whole.
  public static func reading(_ path: String) throws(BlobError) -> (pieces: PieceList, blob: Digest)
  {
    var whole = IncrementalHash()
    var size: Int64 = 0
    var digests: [UInt8] = []
    try naming(path) {
      try forEachPiece(of: path) { piece in
        whole.update(piece)
        size += Int64(piece.count)
        digests += Digest(hashing: piece).bytes
      }
    }
    let blob = whole.finish()
    if size == 0 { return (PieceList(only: blob, size: 0), blob) }
    guard let list = PieceList(size: size, bytes: digests) else {
      throw .io(path: path, reason: "it changed while it was read")
    }
    return (list, blob)
  }

  /// Where a piece begins, and its length.
  public func range(_ piece: Int) -> (offset: Int64, length: Int) {
    let offset = Int64(piece) * Int64(pieceBytes)
    return (offset, Int(min(Int64(pieceBytes), size - offset)))
  }
}
