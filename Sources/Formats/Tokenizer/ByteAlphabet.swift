/// GPT-2's printable stand-in for every byte: itself where it prints, else a character from U+0100.
enum ByteAlphabet {
  static let scalars: [Unicode.Scalar] = {
    var next: UInt32 = 0x100
    return (UInt8.min...UInt8.max).map { byte in
      switch byte {
      case 0x21...0x7E, 0xA1...0xAC, 0xAE...0xFF: return Unicode.Scalar(byte)
      default:
        next += 1
        return Unicode.Scalar(next - 1) ?? "?"
      }
    }
  }()

  private static let bytes: [UInt32: UInt8] = Dictionary(
    uniqueKeysWithValues: scalars.enumerated().map { ($1.value, UInt8($0)) })

  static func encode(_ piece: [Unicode.Scalar]) -> [Unicode.Scalar] {
    var mapped: [Unicode.Scalar] = []
    mapped.reserveCapacity(piece.count)
    for scalar in piece {
      for byte in UTF8.encode(scalar) ?? UTF8.encodedReplacementCharacter {
        mapped.append(scalars[Int(byte)])
      }
    }
    return mapped
  }

  /// The bytes that a token stands for; one with a character outside the alphabet is plain text.
  static func decode(_ token: String) -> [UInt8] {
    var decoded: [UInt8] = []
    for scalar in token.unicodeScalars {
      guard let byte = bytes[scalar.value] else { return Array(token.utf8) }
      decoded.append(byte)
    }
    return decoded
  }
}
