/// Reads the header of a GGUF file from front to back; no count or length is believed before the
/// bytes that it announces are known to be there.
struct GGUFReader {
  let file: MappedFile
  var position = 0

  init(_ file: MappedFile) { self.file = file }

  func failure(
    _ subject: String, _ problem: FormatError.Problem, expected: String
  ) -> FormatError {
    FormatError(
      file: file.path, subject: subject, problem: problem, expected: expected,
      remedy: "the file is damaged or of another kind: fetch or convert it again")
  }

  /// Makes sure that `count` items of at least `bytes` bytes each can follow.
  func require(
    _ count: UInt64, of bytes: UInt64, _ subject: @autoclosure () -> String
  ) throws(FormatError) {
    let (needed, overflow) = count.multipliedReportingOverflow(by: bytes)
    let left = UInt64(file.count - position)
    guard !overflow && needed <= left else {
      throw failure(
        subject(),
        .truncated(needsBytes: overflow ? .max : needed, hasBytes: left),
        expected: "\(count) items after byte \(position)")
    }
  }

  /// A little-endian number of as many bytes as `type` has.
  mutating func number<T: FixedWidthInteger & UnsignedInteger>(
    _ type: T.Type, _ subject: @autoclosure () -> String
  ) throws(FormatError) -> T {
    let width = T.bitWidth / 8
    try require(1, of: UInt64(width), subject())
    let value = file.withBytes(position..<position + width) { bytes in
      (0..<width).reduce(T(0)) { $0 | T(bytes[$1]) << T(8 * $1) }
    }
    position += width
    return value
  }

  mutating func string(_ subject: @autoclosure () -> String) throws(FormatError) -> String {
    let length = try number(UInt64.self, subject())
    try require(length, of: 1, subject())
    let text = file.withBytes(position..<position + Int(length)) { bytes in
      String(validating: (0..<bytes.count).map { bytes[$0] }, as: UTF8.self)
    }
    guard let text else {
      throw failure(
        subject(), .malformed(found: "bytes at \(position) that are not UTF-8"),
        expected: "text in UTF-8")
    }
    position += Int(length)
    return text
  }

  mutating func value(of key: String) throws(FormatError) -> GGUFValue {
    let subject = "key \(key)"
    let type = try number(UInt32.self, subject)
    guard type == GGUFType.array.rawValue else { return try scalar(type, subject) }
    let element = try number(UInt32.self, subject)
    let count = try number(UInt64.self, subject)
    guard let kind = GGUFType(rawValue: element), kind != .array else {
      throw failure(
        subject, .unsupported(found: "an array of type \(element)"),
        expected: "an array of numbers, booleans or strings")
    }
    try require(count, of: UInt64(kind.bytesMin), subject)
    return try array(kind, count: Int(count), subject)
  }

  private mutating func array(
    _ kind: GGUFType, count: Int, _ subject: String
  ) throws(FormatError) -> GGUFValue {
    switch kind {
    case .string:
      var strings: [String] = []
      strings.reserveCapacity(count)
      for _ in 0..<count { strings.append(try string(subject)) }
      return .strings(strings)
    case .bool:
      var bools: [Bool] = []
      bools.reserveCapacity(count)
      for _ in 0..<count { bools.append(try number(UInt8.self, subject) != 0) }
      return .bools(bools)
    case .float32, .float64:
      var floats: [Double] = []
      floats.reserveCapacity(count)
      for _ in 0..<count { floats.append(try float(kind, subject)) }
      return .floats(floats)
    case .uint8, .int8, .uint16, .int16, .uint32, .int32, .uint64, .int64:
      var integers: [Int64] = []
      integers.reserveCapacity(count)
      for _ in 0..<count { integers.append(try integer(kind, subject)) }
      return .integers(integers)
    case .array: preconditionFailure("arrays of arrays were refused before")
    }
  }

  private mutating func scalar(_ type: UInt32, _ subject: String) throws(FormatError) -> GGUFValue {
    guard let kind = GGUFType(rawValue: type) else {
      throw failure(subject, .unsupported(found: "type \(type)"), expected: "a type from 0 to 12")
    }
    switch kind {
    case .string: return .string(try string(subject))
    case .bool: return .bool(try number(UInt8.self, subject) != 0)
    case .float32, .float64: return .float(try float(kind, subject))
    case .uint8, .int8, .uint16, .int16, .uint32, .int32, .uint64, .int64:
      return .integer(try integer(kind, subject))
    case .array: preconditionFailure("arrays are read elsewhere")
    }
  }

  private mutating func float(_ kind: GGUFType, _ subject: String) throws(FormatError) -> Double {
    kind == .float32
      ? Double(Float(bitPattern: try number(UInt32.self, subject)))
      : Double(bitPattern: try number(UInt64.self, subject))
  }

  private mutating func integer(_ kind: GGUFType, _ subject: String) throws(FormatError) -> Int64 {
    switch kind {
    case .uint8: return Int64(try number(UInt8.self, subject))
    case .int8: return Int64(Int8(bitPattern: try number(UInt8.self, subject)))
    case .uint16: return Int64(try number(UInt16.self, subject))
    case .int16: return Int64(Int16(bitPattern: try number(UInt16.self, subject)))
    case .uint32: return Int64(try number(UInt32.self, subject))
    case .int32: return Int64(Int32(bitPattern: try number(UInt32.self, subject)))
    case .int64: return Int64(bitPattern: try number(UInt64.self, subject))
    case .uint64:
      let value = try number(UInt64.self, subject)
      guard let signed = Int64(exactly: value) else {
        throw failure(subject, .unsupported(found: "\(value)"), expected: "at most 63 bits")
      }
      return signed
    case .float32, .float64, .bool, .string, .array:
      preconditionFailure("not the type of a whole number")
    }
  }
}

/// The types of metadata values, as numbered in the file.
enum GGUFType: UInt32 {
  case uint8, int8, uint16, int16, uint32, int32, float32, bool, string, array
  case uint64, int64, float64

  /// The fewest bytes that one value takes.
  var bytesMin: Int {
    switch self {
    case .uint8, .int8, .bool: 1
    case .uint16, .int16: 2
    case .uint32, .int32, .float32: 4
    case .uint64, .int64, .float64, .string: 8
    case .array: 12
    }
  }
}
