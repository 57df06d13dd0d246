public import Domain

/// What draws values of the vocabulary from a seed.
public protocol RandomValues {
  var random: SeededRandom { get set }
}

extension RandomValues {
  public mutating func pick<Value>(_ values: [Value]) -> Value {
    values[random.below(values.count)]
  }

  public mutating func digest() -> Digest {
    Digest(words: (random.next(), random.next(), random.next(), random.next()))
  }

  /// Up to 8 pieces, awkward ones among them: empty, U+0000, characters of four bytes, turned
  /// writing.
  public mutating func text() -> String {
    let pieces = ["", "a", "\0", "é", "🦆", "?\n", "wörter ", "</s>", "\u{202e}", "  "]
    return (0..<random.below(9)).map { _ in pick(pieces) }.joined()
  }
}

/// Bytes of which no part is like another; the same ones each time.
public func randomBytes(_ count: Int, seed: UInt64 = 1) -> [UInt8] {
  var random = SeededRandom(seed: seed)
  var bytes: [UInt8] = []
  bytes.reserveCapacity(count + 8)
  while bytes.count < count { withUnsafeBytes(of: random.next()) { bytes += $0 } }
  bytes.removeLast(bytes.count - count)
  return bytes
}
