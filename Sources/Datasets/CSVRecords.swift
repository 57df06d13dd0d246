/// The rows of a file of comma-separated values after its header, the wanted columns only.
///
/// - Source: RFC 4180: fields may be quoted, a quote within is doubled, a quoted field may hold
///   commas and line ends.
struct CSVRecords: Sequence, IteratorProtocol {
  struct Row {
    /// From 1, the header not counted.
    var number: Int
    var line: Int
    /// As the wanted columns, in their order.
    var fields: [String]
  }

  private let wanted: [String]
  private var bytes: ByteReader
  private var places: [Int]?
  private var width = 0
  private var number = 0
  private var ended = false

  /// A field longer than this is taken for a quotation mark that was never closed.
  private let fieldBytesMax = 1 << 20

  init(_ file: String, columns: [String]) {
    bytes = ByteReader(file)
    wanted = columns
  }

  mutating func next() -> Result<Row, DataProblem>? {
    guard !ended else { return nil }
    do throws(DataProblem) {
      if places == nil { try readHeader() }
      let line = bytes.line
      guard let fields = try readRow() else {
        ended = true
        if number == 0 { throw DataProblem(file: bytes.file, .noRecords) }
        return nil
      }
      number += 1
      guard fields.count == width, let places else {
        return .failure(
          DataProblem(
            file: bytes.file, record: number, line: line,
            .columns(fields.count, expected: width)))
      }
      return .success(Row(number: number, line: line, fields: places.map { fields[$0] }))
    } catch {
      ended = true
      return .failure(error)
    }
  }

  private mutating func readHeader() throws(DataProblem) {
    guard var header = try readRow() else { throw DataProblem(file: bytes.file, .noRecords) }
    if header[0].unicodeScalars.first == "\u{feff}" {
      header[0] = String(String.UnicodeScalarView(header[0].unicodeScalars.dropFirst()))
    }
    width = header.count
    var places: [Int] = []
    for column in wanted {
      guard let place = header.firstIndex(where: { trimmed($0) == column }) else {
        throw DataProblem(file: bytes.file, line: 1, .missing("the column `\(column)`"))
      }
      places.append(place)
    }
    self.places = places
  }

  /// The fields of the next row that is not blank; nil at the end.
  private mutating func readRow() throws(DataProblem) -> [String]? {
    var fields: [String] = []
    var field: [UInt8] = []
    var quoted = false
    let line = bytes.line
    while let byte = try bytes.next() {
      if quoted {
        if byte != UInt8(ascii: "\"") {
          field.append(byte)
        } else if try bytes.peek() == UInt8(ascii: "\"") {
          _ = try bytes.next()
          field.append(byte)
        } else {
          quoted = false
        }
        if field.count > fieldBytesMax {
          throw DataProblem(file: bytes.file, record: number + 1, line: line, .unclosedQuote)
        }
        continue
      }
      switch byte {
      case UInt8(ascii: "\"") where field.isEmpty: quoted = true
      case UInt8(ascii: ","):
        fields.append(String(decoding: field, as: UTF8.self))
        field = []
      case UInt8(ascii: "\n"):
        if field.last == UInt8(ascii: "\r") { field.removeLast() }
        if fields.isEmpty, field.isEmpty { continue }
        return fields + [String(decoding: field, as: UTF8.self)]
      default: field.append(byte)
      }
    }
    if quoted {
      throw DataProblem(file: bytes.file, record: number + 1, line: line, .unclosedQuote)
    }
    if fields.isEmpty, field.isEmpty { return nil }
    return fields + [String(decoding: field, as: UTF8.self)]
  }
}
