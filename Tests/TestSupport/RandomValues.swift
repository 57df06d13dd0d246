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
