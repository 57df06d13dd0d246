extension JSONValue {
  /// The document in UTF-8. `indented` writes two spaces a level, as Hugging Face's files have it.
  func encoded(indented: Bool) -> [UInt8] {
    var bytes: [UInt8] = []
    write(into: &bytes, level: indented ? 0 : nil)
    if indented { bytes.append(UInt8(ascii: "\n")) }
    return bytes
  }

  private func write(into bytes: inout [UInt8], level: Int?) {
    switch self {
    case .null: bytes += "null".utf8
    case .bool(let value): bytes += (value ? "true" : "false").utf8
    case .integer(let value): bytes += "\(value)".utf8
    case .number(let value):
      precondition(value.isFinite, "JSON has no infinities")
      bytes += "\(value)".utf8
    case .string(let value): writeString(value, into: &bytes)
    case .array(let values):
      writeList("[", "]", values, into: &bytes, level: level) { value, bytes, level in
        value.write(into: &bytes, level: level)
      }
    case .object(let members):
      writeList("{", "}", members, into: &bytes, level: level) { member, bytes, level in
        writeString(member.name, into: &bytes)
        bytes += (level == nil ? ":" : ": ").utf8
        member.value.write(into: &bytes, level: level)
      }
    }
  }
}

private func writeList<Element>(
  _ opening: String, _ closing: String, _ elements: [Element], into bytes: inout [UInt8],
  level: Int?, _ write: (Element, inout [UInt8], Int?) -> Void
) {
  func newLine(_ level: Int?) {
    guard let level else { return }
    bytes.append(UInt8(ascii: "\n"))
    bytes += String(repeating: "  ", count: level).utf8
  }
  bytes += opening.utf8
  let inner = level.map { $0 + 1 }
  for (index, element) in elements.enumerated() {
    if index > 0 { bytes.append(UInt8(ascii: ",")) }
    newLine(inner)
    write(element, &bytes, inner)
  }
  if !elements.isEmpty { newLine(level) }
  bytes += closing.utf8
}

private func writeString(_ text: String, into bytes: inout [UInt8]) {
  bytes.append(UInt8(ascii: "\""))
  for byte in text.utf8 {
    switch byte {
    case UInt8(ascii: "\""): bytes += "\\\"".utf8
    case UInt8(ascii: "\\"): bytes += "\\\\".utf8
    case 0x0A: bytes += "\\n".utf8
    case 0x0D: bytes += "\\r".utf8
    case 0x09: bytes += "\\t".utf8
    case 0..<0x20:
      let digits = String(byte, radix: 16)
      bytes += ("\\u" + String(repeating: "0", count: 4 - digits.count) + digits).utf8
    default: bytes.append(byte)
    }
  }
  bytes.append(UInt8(ascii: "\""))
}
