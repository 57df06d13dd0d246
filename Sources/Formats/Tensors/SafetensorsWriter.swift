/// A tensor to be written: its name and its row-major shape.
public struct TensorShape: Hashable, Sendable {
  public var name: String
  public var shape: [Int]
  public init(name: String, shape: [Int]) {
    self.name = name
    self.shape = shape
  }
}

/// The width in which weights are written.
public enum StoredPrecision: Hashable, Sendable {
  case f32, f16, bf16

  var encoding: TensorEncoding {
    switch self {
    case .f32: .f32
    case .f16: .f16
    case .bf16: .bf16
    }
  }

  var name: String {
    switch self {
    case .f32: "F32"
    case .f16: "F16"
    case .bf16: "BF16"
    }
  }
}

/// Writes one safetensors file: tensors and metadata in ascending order of their names, the bytes
/// that the reference implementation writes for the same tensors.
///
/// Rounding to f16 and bf16 is to nearest, ties to even, as PyTorch's.
///
/// - Parameter values: fills `target` with the elements `range`, counted row-major, of a tensor;
///   asked in order, for at most 65,536 elements at a time.
/// - Throws: `FormatError` when the file cannot be written; nothing is left of it then.
/// - Precondition: names differ.
public func writeSafetensors(
  _ tensors: [TensorShape], precision: StoredPrecision,
  metadata: [String: String] = ["format": "pt"], to path: String,
  values: (_ name: String, _ range: Range<Int>, _ target: inout MutableSpan<Float>) -> Void
) throws(FormatError) {
  precondition(Set(tensors.map(\.name)).count == tensors.count, "two tensors of one name")
  let ordered = tensors.sorted { $0.name < $1.name }
  let width = precision.encoding.bytesPerBlock
  var members: [(String, JSONValue)] = []
  if !metadata.isEmpty {
    let pairs = metadata.sorted { $0.key < $1.key }.map { ($0.key, JSONValue.string($0.value)) }
    members.append(("__metadata__", .members(pairs)))
  }
  var offset = 0
  for tensor in ordered {
    let end = offset + tensor.shape.reduce(1, *) * width
    members.append(
      (
        tensor.name,
        .members([
          ("dtype", .string(precision.name)),
          ("shape", .array(tensor.shape.map { .integer(Int64($0)) })),
          ("data_offsets", .array([.integer(Int64(offset)), .integer(Int64(end))])),
        ])
      ))
    offset = end
  }
  var header = JSONValue.members(members).encoded(indented: false)
  while header.count % 8 != 0 { header.append(UInt8(ascii: " ")) }

  let writer = try FileWriter(path: path)
  try writer.append((0..<8).map { UInt8(truncatingIfNeeded: header.count >> (8 * $0)) })
  try writer.append(header)
  let chunkElementsMax = 65_536
  var chunk: [Float] = []
  for tensor in ordered {
    let count = tensor.shape.reduce(1, *)
    for start in stride(from: 0, to: count, by: chunkElementsMax) {
      let range = start..<min(start + chunkElementsMax, count)
      if chunk.count != range.count { chunk = [Float](repeating: 0, count: range.count) }
      var target = chunk.mutableSpan
      values(tensor.name, range, &target)
      try writer.append(encoded(chunk, precision))
    }
  }
  try writer.finish()
}

private func encoded(_ values: [Float], _ precision: StoredPrecision) -> [UInt8] {
  var bytes: [UInt8] = []
  bytes.reserveCapacity(values.count * precision.encoding.bytesPerBlock)
  for value in values {
    var word: UInt32
    switch precision {
    case .f32: word = value.bitPattern
    case .f16: word = UInt32(Float16(value).bitPattern)
    case .bf16: word = UInt32(bfloat16(value))
    }
    for _ in 0..<precision.encoding.bytesPerBlock {
      bytes.append(UInt8(truncatingIfNeeded: word))
      word >>= 8
    }
  }
  return bytes
}

/// The upper half of the bits, rounded to nearest, ties to even; NaN stays a NaN.
func bfloat16(_ value: Float) -> UInt16 {
  if value.isNaN { return 0x7FC0 }
  let bits = value.bitPattern
  return UInt16(truncatingIfNeeded: (bits + 0x7FFF + (bits >> 16 & 1)) >> 16)
}
