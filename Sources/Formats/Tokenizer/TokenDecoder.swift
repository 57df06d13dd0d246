/// A step from tokens back to text; as `tokenizers` names them.
enum TokenDecoder: Hashable, Sendable {
  case byteLevel
  case replace(String, with: String)
  /// Tokens `<0x00>`…`<0xFF>` become bytes; runs that are not UTF-8 a U+FFFD per byte.
  case byteFallback
  case fuse
  /// Takes up to `start` and `stop` of a character from the ends of every token.
  case strip(Unicode.Scalar, start: Int, stop: Int)
  case metaspace(Unicode.Scalar, PrependScheme)

  func apply(_ tokens: [String]) -> [String] {
    switch self {
    case .byteLevel:
      return [String(decoding: tokens.flatMap { ByteAlphabet.decode($0) }, as: UTF8.self)]
    case .replace(let pattern, let content):
      let (pattern, content) = (Array(pattern.unicodeScalars), Array(content.unicodeScalars))
      return tokens.map { string(replacing(pattern, content, in: Array($0.unicodeScalars))) }
    case .byteFallback: return decodeFallback(tokens)
    case .fuse: return [tokens.joined()]
    case .strip(let scalar, let start, let stop):
      return tokens.map { token in
        var scalars = Array(token.unicodeScalars)
        scalars.removeFirst(min(start, scalars.prefix { $0 == scalar }.count))
        scalars.removeLast(min(stop, scalars.reversed().prefix { $0 == scalar }.count))
        return string(scalars)
      }
    case .metaspace(let mark, let scheme):
      return tokens.enumerated().map { index, token in
        string(
          token.unicodeScalars.compactMap { scalar in
            guard scalar == mark else { return scalar }
            return index == 0 && scheme != .never ? nil : " "
          })
      }
    }
  }
}

private func decodeFallback(_ tokens: [String]) -> [String] {
  var decoded: [String] = []
  var bytes: [UInt8] = []
  func flush() {
    if bytes.isEmpty { return }
    if let text = String(validating: bytes, as: UTF8.self) {
      decoded.append(text)
    } else {
      decoded += bytes.map { _ in "\u{FFFD}" }
    }
    bytes = []
  }
  for token in tokens {
    if let byte = fallbackByte(token) {
      bytes.append(byte)
    } else {
      flush()
      decoded.append(token)
    }
  }
  flush()
  return decoded
}

private func fallbackByte(_ token: String) -> UInt8? {
  guard token.utf8.count == 6, token.hasPrefix("<0x"), token.hasSuffix(">") else { return nil }
  return UInt8(token.dropFirst(3).dropLast(), radix: 16)
}
