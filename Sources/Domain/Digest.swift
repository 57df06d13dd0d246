/// A SHA-256, the address of everything that has content: pictures, models, requests, weights.
public struct Digest: Hashable, Comparable, Sendable, CustomStringConvertible {
  /// The 32 bytes as four big-endian words.
  public var words: (UInt64, UInt64, UInt64, UInt64)

  public init(words: (UInt64, UInt64, UInt64, UInt64)) { self.words = words }

  /// Nil unless there are exactly 32 bytes.
  @inlinable
  public init?(bytes: some Collection<UInt8>) {
    guard bytes.count == 32 else { return nil }
    var rest = bytes.makeIterator()
    func word() -> UInt64 {
      var word: UInt64 = 0
      for _ in 0..<8 { word = word << 8 | UInt64(rest.next() ?? 0) }
      return word
    }
    self.init(words: (word(), word(), word(), word()))
  }

  /// Nil unless `hex` is 64 hexadecimal digits.
  public init?(hex: some StringProtocol) {
    let digits = hex.utf8.map(hexValue)
    guard digits.count == 64, !digits.contains(nil) else { return nil }
    self.init(
      bytes: stride(from: 0, to: 64, by: 2).map { digits[$0]! << 4 | digits[$0 + 1]! })
  }

  public var bytes: [UInt8] {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(32)
    for word in [words.0, words.1, words.2, words.3] {
      for shift in stride(from: 56 as UInt64, through: 0, by: -8) {
        bytes.append(UInt8(truncatingIfNeeded: word >> shift))
      }
    }
    return bytes
  }

  public var hex: String {
    let digits = Array("0123456789abcdef".utf8)
    return String(
      decoding: bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
  }

  public var description: String { String(hex.prefix(12)) }

  public static func == (a: Digest, b: Digest) -> Bool { a.words == b.words }
  public static func < (a: Digest, b: Digest) -> Bool { a.words < b.words }
  public func hash(into hasher: inout Hasher) { hasher.combine(words.0) }
}

extension Digest: Codable {
  /// As 64 hexadecimal digits.
  public func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    try container.encode(hex)
  }

  public init(from decoder: any Decoder) throws {
    let container = try decoder.singleValueContainer()
    guard let digest = Digest(hex: try container.decode(String.self)) else {
      throw DecodingError.dataCorruptedError(
        in: container, debugDescription: "a digest is 64 hexadecimal digits")
    }
    self = digest
  }
}

private func hexValue(_ digit: UInt8) -> UInt8? {
  switch digit {
  case UInt8(ascii: "0")...UInt8(ascii: "9"): digit - UInt8(ascii: "0")
  case UInt8(ascii: "a")...UInt8(ascii: "f"): digit - UInt8(ascii: "a") + 10
  case UInt8(ascii: "A")...UInt8(ascii: "F"): digit - UInt8(ascii: "A") + 10
  default: nil
  }
}
