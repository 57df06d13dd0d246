/// A GGUF file of version 2 or 3: metadata and tensors.
///
/// - Source: github.com/ggml-org/ggml, docs/gguf.md.
public struct GGUFFile: Sendable {
  /// More keys or tensors than this are refused.
  static let itemsMax: UInt64 = 1 << 20

  public let path: String
  public let version: Int
  public let metadata: [String: GGUFValue]
  /// The tensors under the names and with the rows that the file has. Shapes are turned round into
  /// row-major order, (out, in), for GGUF names the fastest dimension first.
  public let tensors: TensorStore

  public init(path: String) throws(FormatError) { try self.init(MappedFile(path: path)) }

  /// Reads the bytes of a file; `name` stands for it in errors.
  public init(bytes: [UInt8], name: String) throws(FormatError) {
    try self.init(MappedFile(bytes: bytes, name: name))
  }

  private init(_ file: MappedFile) throws(FormatError) {
    var reader = GGUFReader(file)
    let magic = try reader.number(UInt32.self, "magic")
    guard magic == 0x4655_4747 else {
      throw reader.failure(
        "magic", .malformed(found: "0x\(String(magic, radix: 16))"), expected: "GGUF")
    }
    let version = try reader.number(UInt32.self, "version")
    guard version == 2 || version == 3 else {
      throw reader.failure(
        "version", .unsupported(found: "\(version)"), expected: "2 or 3, little-endian")
    }
    let tensorCount = try reader.number(UInt64.self, "number of tensors")
    let keyCount = try reader.number(UInt64.self, "number of keys")
    for (count, subject) in [(tensorCount, "number of tensors"), (keyCount, "number of keys")] {
      guard count <= Self.itemsMax else {
        throw reader.failure(
          subject, .overLimit(found: count, limit: Self.itemsMax), expected: "a model's header")
      }
    }
    var metadata: [String: GGUFValue] = [:]
    for index in 0..<keyCount {
      let key = try reader.string("name of key \(index)")
      let value = try reader.value(of: key)
      guard metadata.updateValue(value, forKey: key) == nil else {
        throw reader.failure(
          "key \(key)", .malformed(found: "a second of that name"), expected: "one of each name")
      }
    }
    path = file.path
    self.version = Int(version)
    self.metadata = metadata
    tensors = try readTensors(&reader, count: tensorCount, metadata)
  }
}

private func readTensors(
  _ reader: inout GGUFReader, count: UInt64, _ metadata: [String: GGUFValue]
) throws(FormatError) -> TensorStore {
  var alignment = 32
  if let value = metadata["general.alignment"] {
    guard case .integer(let bytes) = value, bytes >= 1, bytes <= 1 << 20, bytes.nonzeroBitCount == 1
    else {
      throw reader.failure(
        "key general.alignment", .malformed(found: value.kind), expected: "a power of two")
    }
    alignment = Int(bytes)
  }
  var headers: [(name: String, shape: [Int], encoding: TensorEncoding, offset: UInt64)] = []
  for index in 0..<count {
    let name = try reader.string("name of tensor \(index)")
    let subject = "tensor \(name)"
    let dimensions = try reader.number(UInt32.self, subject)
    guard dimensions <= 8 else {
      throw reader.failure(
        subject, .malformed(found: "\(dimensions) dimensions"), expected: "at most 8")
    }
    var shape: [Int] = []
    for _ in 0..<dimensions {
      shape.insert(Int(truncatingIfNeeded: try reader.number(UInt64.self, subject)), at: 0)
    }
    let type = try reader.number(UInt32.self, subject)
    guard let encoding = ggmlEncoding(type) else {
      throw reader.failure(
        subject, .unsupported(found: "ggml type \(type)"), expected: "a type that ggml has")
    }
    headers.append((name, shape, encoding, try reader.number(UInt64.self, subject)))
  }
  let dataStart = (reader.position + alignment - 1) / alignment * alignment
  var entries: [String: TensorStore.Entry] = [:]
  for header in headers {
    let subject = "tensor \(header.name)"
    guard let size = storedSize(of: header.shape, header.encoding) else {
      throw reader.failure(
        subject, .malformed(found: "shape \(header.shape)"),
        expected: "rows of a multiple of \(header.encoding.elementsPerBlock) elements")
    }
    guard header.offset % UInt64(alignment) == 0 else {
      throw reader.failure(
        subject, .malformed(found: "offset \(header.offset)"),
        expected: "a multiple of \(alignment)")
    }
    let has = UInt64(max(0, reader.file.count - dataStart))
    let (end, overflow) = header.offset.addingReportingOverflow(UInt64(size.bytes))
    guard !overflow && end <= has else {
      throw reader.failure(
        subject, .truncated(needsBytes: overflow ? .max : end, hasBytes: has),
        expected: "the data of every tensor")
    }
    let start = dataStart + Int(header.offset)
    let entry = TensorStore.Entry(
      file: reader.file, encoding: header.encoding, shape: header.shape,
      bytes: start..<start + size.bytes)
    guard entries.updateValue(entry, forKey: header.name) == nil else {
      throw reader.failure(
        subject, .malformed(found: "a second of that name"), expected: "one of each name")
    }
  }
  return TensorStore(origin: reader.file.path, entries: entries)
}

/// The encoding of a ggml type number, nil for numbers that ggml has not.
private func ggmlEncoding(_ type: UInt32) -> TensorEncoding? {
  switch type {
  case 0: .f32
  case 1: .f16
  case 2: .q40
  case 3: .q41
  case 6: .q50
  case 7: .q51
  case 8: .q80
  case 12: .q4K
  case 13: .q5K
  case 14: .q6K
  case 30: .bf16
  default:
    otherTypes[type].map { .other($0.name, bytesPerBlock: $0.bytes, elementsPerBlock: $0.elements) }
  }
}

/// Types that are told from damage but not decoded: name, bytes and elements of a block.
/// - Source: gguf-py, `GGML_QUANT_SIZES`.
private let otherTypes: [UInt32: (name: String, bytes: Int, elements: Int)] = [
  9: ("Q8_1", 40, 32), 10: ("Q2_K", 84, 256), 11: ("Q3_K", 110, 256), 15: ("Q8_K", 292, 256),
  16: ("IQ2_XXS", 66, 256), 17: ("IQ2_XS", 74, 256), 18: ("IQ3_XXS", 98, 256),
  19: ("IQ1_S", 50, 256), 20: ("IQ4_NL", 18, 32), 21: ("IQ3_S", 110, 256),
  22: ("IQ2_S", 82, 256), 23: ("IQ4_XS", 136, 256), 24: ("I8", 1, 1), 25: ("I16", 2, 1),
  26: ("I32", 4, 1), 27: ("I64", 8, 1), 28: ("F64", 8, 1), 29: ("IQ1_M", 56, 256),
  34: ("TQ1_0", 54, 256), 35: ("TQ2_0", 66, 256), 39: ("MXFP4", 17, 32),
]
