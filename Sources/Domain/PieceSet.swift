/// Which pieces of a blob, or segments of a vector, are somewhere.
public struct PieceSet: Hashable, Sendable {
  /// Of the whole.
  public let pieceCount: Int
  /// How many of them are in the set.
  public private(set) var count: Int
  private var words: [UInt64]

  public init(none pieceCount: Int) {
    precondition(pieceCount >= 0, "a number of pieces expected")
    self.pieceCount = pieceCount
    count = 0
    words = Array(repeating: 0, count: (pieceCount + 63) / 64)
  }

  public init(all pieceCount: Int) {
    self.init(none: pieceCount)
    for index in words.indices {
      words[index] = ~0 >> UInt64(max(0, 64 * (index + 1) - pieceCount))
    }
    count = pieceCount
  }

  /// From its bytes on the wire, a bit for each piece, the lowest one first; nil when there are too
  /// few or too many.
  public init?(_ bytes: [UInt8], of pieceCount: Int) {
    self.init(none: pieceCount)
    guard bytes.count == (pieceCount + 7) / 8 else { return nil }
    for (index, byte) in bytes.enumerated() { words[index / 8] |= UInt64(byte) << (index % 8 * 8) }
    if let last = words.last, pieceCount % 64 > 0, last >> (pieceCount % 64) != 0 { return nil }
    count = words.reduce(0) { $0 + $1.nonzeroBitCount }
  }

  public var bytes: [UInt8] {
    (0..<(pieceCount + 7) / 8).map {
      UInt8(truncatingIfNeeded: words[$0 / 8] >> ($0 % 8 * 8))
    }
  }

  /// The same pieces, sharing no memory with this set, which somebody else may go on changing.
  public var copy: PieceSet {
    var copy = self
    copy.words = words.map(\.self)
    return copy
  }

  public var isWhole: Bool { count == pieceCount }

  public func contains(_ piece: Int) -> Bool { words[piece / 64] >> (piece % 64) & 1 == 1 }

  public mutating func insert(_ piece: Int) {
    if contains(piece) { return }
    words[piece / 64] |= 1 << (piece % 64)
    count += 1
  }

  /// Those in the set, in order.
  public var members: [Int] { (0..<pieceCount).filter(contains) }
}
