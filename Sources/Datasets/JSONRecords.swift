import Foundation

/// The records of a JSON file one by one: the objects of one array, or objects one after another
/// as in JSON Lines. Memory is that of the largest record, whatever the size of the file.
///
/// A record that cannot be decoded is a problem of its own, and the next one follows; a file that
/// is broken between records ends with its problem.
struct JSONRecords<Record: Decodable>: Sequence, IteratorProtocol {
  struct Numbered {
    var number: Int
    var line: Int
    var record: Record
  }

  private enum State {
    case start
    case inArray(first: Bool)
    case inLines, ended
  }

  private var bytes: ByteReader
  private var state = State.start
  private var number = 0
  private let decoder = JSONDecoder()
  private let recordBytesMax: Int

  init(_ file: String, of type: Record.Type, recordBytesMax: Int = 16 << 20) {
    bytes = ByteReader(file)
    self.recordBytesMax = recordBytesMax
  }

  mutating func next() -> Result<Numbered, DataProblem>? {
    let line: Int
    let object: [UInt8]
    do throws(DataProblem) {
      guard try findObject() else { return nil }
      number += 1
      line = bytes.line
      object = try takeObject(line: line)
    } catch {
      state = .ended
      return .failure(error)
    }
    do {
      let record = try decoder.decode(Record.self, from: Data(object))
      return .success(Numbered(number: number, line: line, record: record))
    } catch {
      return .failure(
        DataProblem(file: bytes.file, record: number, line: line, decodingProblem(error)))
    }
  }

  /// Goes to the next object's brace; false at the end of the records.
  private mutating func findObject() throws(DataProblem) -> Bool {
    switch state {
    case .ended: return false
    case .start:
      try skipByteOrderMark()
      switch try nextVisible() {
      case nil: throw DataProblem(file: bytes.file, .noRecords)
      case UInt8(ascii: "["):
        _ = try bytes.next()
        state = .inArray(first: true)
        return try findObject()
      case UInt8(ascii: "{"):
        state = .inLines
        return true
      case .some: throw broken("an array or an object expected")
      }
    case .inLines:
      switch try nextVisible() {
      case nil:
        state = .ended
        return false
      case UInt8(ascii: "{"): return true
      case .some: throw broken("an object expected")
      }
    case .inArray(let first):
      return try findInArray(first: first)
    }
  }

  private mutating func findInArray(first: Bool) throws(DataProblem) -> Bool {
    var byte = try nextVisible()
    if byte == UInt8(ascii: "]") {
      state = .ended
      if first { throw DataProblem(file: bytes.file, .noRecords) }
      return false
    }
    if !first {
      guard byte == UInt8(ascii: ",") else { throw broken("a comma or the array's end expected") }
      _ = try bytes.next()
      byte = try nextVisible()
    }
    state = .inArray(first: false)
    guard byte == UInt8(ascii: "{") else { throw broken("an object expected") }
    return true
  }

  /// The bytes from a brace to the one that closes it.
  private mutating func takeObject(line: Int) throws(DataProblem) -> [UInt8] {
    var object: [UInt8] = []
    var depth = 0
    var inString = false
    var escaped = false
    while let byte = try bytes.next() {
      object.append(byte)
      if inString {
        if escaped {
          escaped = false
        } else if byte == UInt8(ascii: "\\") {
          escaped = true
        } else if byte == UInt8(ascii: "\"") {
          inString = false
        }
      } else {
        switch byte {
        case UInt8(ascii: "\""): inString = true
        case UInt8(ascii: "{"), UInt8(ascii: "["): depth += 1
        case UInt8(ascii: "}"), UInt8(ascii: "]"): depth -= 1
        default: break
        }
        if depth == 0 { return object }
      }
      if object.count > recordBytesMax {
        throw DataProblem(
          file: bytes.file, record: number, line: line, .recordTooLarge(recordBytesMax))
      }
    }
    throw DataProblem(
      file: bytes.file, record: number, line: line, .notJSON("the file ends within the record"))
  }

  private mutating func nextVisible() throws(DataProblem) -> UInt8? {
    while let byte = try bytes.peek() {
      guard byte == 0x20 || (0x09...0x0d).contains(byte) else { return byte }
      _ = try bytes.next()
    }
    return nil
  }

  private mutating func skipByteOrderMark() throws(DataProblem) {
    for mark in [0xef, 0xbb, 0xbf] as [UInt8] {
      guard try bytes.peek() == mark else { return }
      _ = try bytes.next()
    }
  }

  private func broken(_ expected: String) -> DataProblem {
    DataProblem(file: bytes.file, record: number + 1, line: bytes.line, .notJSON(expected))
  }
}

/// What a decoder's error says about a record, in our words.
func decodingProblem(_ error: any Error) -> DataProblem.Kind {
  guard let error = error as? DecodingError else { return .notJSON(reason(error)) }
  func path(_ context: DecodingError.Context, _ key: (any CodingKey)? = nil) -> String {
    (context.codingPath + (key.map { [$0] } ?? [])).map { key in
      key.intValue.map { "[\($0)]" } ?? key.stringValue
    }.joined(separator: ".").replacing(".[", with: "[")
  }
  switch error {
  case .keyNotFound(let key, let context): return .missing(path(context, key))
  case .valueNotFound(_, let context): return .missing(path(context))
  case .typeMismatch(let type, let context): return .unexpected(path(context), "\(type)")
  case .dataCorrupted(let context):
    return context.codingPath.isEmpty
      ? .notJSON(context.underlyingError.map(reason) ?? context.debugDescription)
      : .unexpected(path(context), context.debugDescription)
  @unknown default: return .notJSON(error.localizedDescription)
  }
}

/// An id that files write as a text or as a number.
struct RecordName: Decodable {
  var text: String

  init(from decoder: any Decoder) throws {
    let container = try decoder.singleValueContainer()
    if let number = try? container.decode(Int64.self) {
      text = String(number)
    } else {
      text = try container.decode(String.self)
    }
  }
}
