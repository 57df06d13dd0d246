/// Reads a JSON document strictly: one value, UTF-8, nothing after it.
/// - Throws: `FormatError` with line and column.
func parseJSON(_ bytes: [UInt8], file: String) throws(FormatError) -> JSONValue {
  try parseJSON(bytes.span, file: file)
}

func parseJSON(_ bytes: Span<UInt8>, file: String) throws(FormatError) -> JSONValue {
  var cursor = JSONCursor(file: file)
  cursor.skipSpace(bytes)
  let value = try cursor.value(bytes, depth: 0)
  cursor.skipSpace(bytes)
  guard cursor.position == bytes.count else {
    throw cursor.failure(bytes, expected: "the end of the document")
  }
  return value
}

/// Where the parser stands. The bytes are handed to every call, for a span cannot be stored.
private struct JSONCursor {
  /// Deeper documents are refused: recursion would use up the stack.
  static let depthMax = 64

  let file: String
  var position = 0

  init(file: String) { self.file = file }

  func failure(_ bytes: Span<UInt8>, expected: String) -> FormatError {
    var line = 1
    var column = 1
    for index in 0..<min(position, bytes.count) {
      column = bytes[index] == UInt8(ascii: "\n") ? 1 : column + 1
      if bytes[index] == UInt8(ascii: "\n") { line += 1 }
    }
    let found =
      position < bytes.count ? "byte 0x\(String(bytes[position], radix: 16))" : "the end"
    return FormatError(
      file: file, subject: "JSON at line \(line), column \(column)",
      problem: .malformed(found: found), expected: expected,
      remedy: "the file is damaged or not JSON: fetch or write it again")
  }

  mutating func skipSpace(_ bytes: Span<UInt8>) {
    while position < bytes.count {
      switch bytes[position] {
      case 0x20, 0x09, 0x0A, 0x0D: position += 1
      default: return
      }
    }
  }

  func peek(_ bytes: Span<UInt8>) -> UInt8? { position < bytes.count ? bytes[position] : nil }

  mutating func take(_ byte: UInt8, _ bytes: Span<UInt8>) -> Bool {
    guard peek(bytes) == byte else { return false }
    position += 1
    return true
  }

  mutating func value(_ bytes: Span<UInt8>, depth: Int) throws(FormatError) -> JSONValue {
    guard depth < Self.depthMax else {
      throw failure(bytes, expected: "at most \(Self.depthMax) levels of nesting")
    }
    switch peek(bytes) {
    case UInt8(ascii: "{"): return try object(bytes, depth: depth)
    case UInt8(ascii: "["): return try array(bytes, depth: depth)
    case UInt8(ascii: "\""): return .string(try string(bytes))
    case UInt8(ascii: "t"): return try word("true", .bool(true), bytes)
    case UInt8(ascii: "f"): return try word("false", .bool(false), bytes)
    case UInt8(ascii: "n"): return try word("null", .null, bytes)
    default: return try number(bytes)
    }
  }

  mutating func word(
    _ word: StaticString, _ value: JSONValue, _ bytes: Span<UInt8>
  ) throws(FormatError) -> JSONValue {
    for byte in "\(word)".utf8 {
      guard take(byte, bytes) else { throw failure(bytes, expected: "\(word)") }
    }
    return value
  }

  mutating func object(_ bytes: Span<UInt8>, depth: Int) throws(FormatError) -> JSONValue {
    var members: [JSONMember] = []
    position += 1
    skipSpace(bytes)
    if take(UInt8(ascii: "}"), bytes) { return .object(members) }
    while true {
      skipSpace(bytes)
      guard peek(bytes) == UInt8(ascii: "\"") else {
        throw failure(bytes, expected: "a member's name in quotes")
      }
      let name = try string(bytes)
      skipSpace(bytes)
      guard take(UInt8(ascii: ":"), bytes) else { throw failure(bytes, expected: "a colon") }
      skipSpace(bytes)
      members.append(JSONMember(name: name, value: try value(bytes, depth: depth + 1)))
      skipSpace(bytes)
      if take(UInt8(ascii: "}"), bytes) { return .object(members) }
      guard take(UInt8(ascii: ","), bytes) else { throw failure(bytes, expected: "a comma or }") }
    }
  }

  mutating func array(_ bytes: Span<UInt8>, depth: Int) throws(FormatError) -> JSONValue {
    var values: [JSONValue] = []
    position += 1
    skipSpace(bytes)
    if take(UInt8(ascii: "]"), bytes) { return .array(values) }
    while true {
      skipSpace(bytes)
      values.append(try value(bytes, depth: depth + 1))
      skipSpace(bytes)
      if take(UInt8(ascii: "]"), bytes) { return .array(values) }
      guard take(UInt8(ascii: ","), bytes) else { throw failure(bytes, expected: "a comma or ]") }
    }
  }

  mutating func number(_ bytes: Span<UInt8>) throws(FormatError) -> JSONValue {
    var text: [UInt8] = []
    var whole = true
    func digits(_ cursor: inout JSONCursor) throws(FormatError) {
      let before = text.count
      while let byte = cursor.peek(bytes), byte >= 0x30 && byte <= 0x39 {
        text.append(byte)
        cursor.position += 1
      }
      guard text.count > before else { throw cursor.failure(bytes, expected: "a value") }
    }
    if take(UInt8(ascii: "-"), bytes) { text.append(UInt8(ascii: "-")) }
    if take(UInt8(ascii: "0"), bytes) {
      text.append(UInt8(ascii: "0"))
    } else {
      try digits(&self)
    }
    if take(UInt8(ascii: "."), bytes) {
      whole = false
      text.append(UInt8(ascii: "."))
      try digits(&self)
    }
    if let byte = peek(bytes), byte | 0x20 == UInt8(ascii: "e") {
      whole = false
      text.append(byte)
      position += 1
      if let sign = peek(bytes), sign == UInt8(ascii: "+") || sign == UInt8(ascii: "-") {
        text.append(sign)
        position += 1
      }
      try digits(&self)
    }
    let written = String(decoding: text, as: UTF8.self)
    if whole, let integer = Int64(written) { return .integer(integer) }
    guard let double = Double(written), double.isFinite else {
      throw failure(bytes, expected: "a number that a double can hold, not \(written.prefix(40))")
    }
    return .number(double)
  }

  mutating func string(_ bytes: Span<UInt8>) throws(FormatError) -> String {
    var text: [UInt8] = []
    position += 1
    while let byte = peek(bytes) {
      position += 1
      switch byte {
      case UInt8(ascii: "\""):
        guard let string = String(validating: text, as: UTF8.self) else {
          throw failure(bytes, expected: "text in UTF-8")
        }
        return string
      case UInt8(ascii: "\\"): try escape(into: &text, bytes)
      case 0..<0x20:
        position -= 1
        throw failure(bytes, expected: "no bare control characters in a string")
      default: text.append(byte)
      }
    }
    throw failure(bytes, expected: "a closing quote")
  }

  mutating func escape(into text: inout [UInt8], _ bytes: Span<UInt8>) throws(FormatError) {
    guard let byte = peek(bytes) else { throw failure(bytes, expected: "an escape") }
    position += 1
    switch byte {
    case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): text.append(byte)
    case UInt8(ascii: "b"): text.append(0x08)
    case UInt8(ascii: "f"): text.append(0x0C)
    case UInt8(ascii: "n"): text.append(0x0A)
    case UInt8(ascii: "r"): text.append(0x0D)
    case UInt8(ascii: "t"): text.append(0x09)
    case UInt8(ascii: "u"):
      var code = try hex4(bytes)
      if code >= 0xD800 && code < 0xDC00 {
        guard take(UInt8(ascii: "\\"), bytes), take(UInt8(ascii: "u"), bytes) else {
          throw failure(bytes, expected: "the second half of a surrogate pair")
        }
        let low = try hex4(bytes)
        guard low >= 0xDC00 && low < 0xE000 else {
          throw failure(bytes, expected: "the second half of a surrogate pair")
        }
        code = 0x10000 + (code - 0xD800) << 10 + (low - 0xDC00)
      }
      guard let scalar = Unicode.Scalar(code) else {
        throw failure(bytes, expected: "a Unicode scalar, not half a surrogate pair")
      }
      text.append(contentsOf: Array(String(scalar).utf8))
    default:
      position -= 1
      throw failure(bytes, expected: "one of the escapes of JSON")
    }
  }

  mutating func hex4(_ bytes: Span<UInt8>) throws(FormatError) -> UInt32 {
    var code: UInt32 = 0
    for _ in 0..<4 {
      guard let byte = peek(bytes), let digit = Character(Unicode.Scalar(byte)).hexDigitValue else {
        throw failure(bytes, expected: "four hexadecimal digits")
      }
      position += 1
      code = code << 4 | UInt32(digit)
    }
    return code
  }
}
