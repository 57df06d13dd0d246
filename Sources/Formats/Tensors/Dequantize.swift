/// Decodes stored elements to f32, exactly as ggml and its `gguf` Python package do.
///
/// - Parameters:
///   - bytes: whole blocks, little-endian.
///   - target: receives `bytes.count / bytesPerBlock · elementsPerBlock` elements from `start` on.
/// - Precondition: the elements fit, and the encoding is not `.other`.
/// - Source: ggml-quants.c, `dequantize_row_*`; block layouts in ggml-common.h.
func dequantize(
  _ bytes: Span<UInt8>, _ encoding: TensorEncoding, into target: inout MutableSpan<Float>,
  at start: Int
) {
  let blocks = bytes.count / encoding.bytesPerBlock
  precondition(
    bytes.count == blocks * encoding.bytesPerBlock
      && start + blocks * encoding.elementsPerBlock <= target.count,
    "stored elements do not fit")
  for block in 0..<blocks {
    let source = block * encoding.bytesPerBlock
    let first = start + block * encoding.elementsPerBlock
    switch encoding {
    case .f32: target[first] = Float(bitPattern: word32(bytes, source))
    case .f16: target[first] = half(bytes, source)
    case .bf16: target[first] = Float(bitPattern: UInt32(word16(bytes, source)) << 16)
    case .q40: nibbles(bytes, source + 2, half(bytes, source), nil, high: nil, &target, first)
    case .q41:
      nibbles(
        bytes, source + 4, half(bytes, source), half(bytes, source + 2), high: nil, &target, first)
    case .q50:
      nibbles(
        bytes, source + 6, half(bytes, source), nil, high: word32(bytes, source + 2), &target,
        first)
    case .q51:
      nibbles(
        bytes, source + 8, half(bytes, source), half(bytes, source + 2),
        high: word32(bytes, source + 4), &target, first)
    case .q80:
      let scale = half(bytes, source)
      for index in 0..<32 {
        target[first + index] = Float(Int8(bitPattern: bytes[source + 2 + index])) * scale
      }
    case .q4K: superBlock(bytes, source, highBits: nil, low: source + 16, &target, first)
    case .q5K: superBlock(bytes, source, highBits: source + 16, low: source + 48, &target, first)
    case .q6K: sixBits(bytes, source, &target, first)
    case .other: preconditionFailure("an encoding that cannot be decoded")
    }
  }
}

func word16(_ bytes: Span<UInt8>, _ at: Int) -> UInt16 {
  UInt16(bytes[at]) | UInt16(bytes[at + 1]) << 8
}

func word32(_ bytes: Span<UInt8>, _ at: Int) -> UInt32 {
  UInt32(word16(bytes, at)) | UInt32(word16(bytes, at + 2)) << 16
}

func half(_ bytes: Span<UInt8>, _ at: Int) -> Float {
  Float(Float16(bitPattern: word16(bytes, at)))
}

/// 32 elements of 4 bits, or 5 with one bit each in `high`: `q · scale + minimum`, or with q
/// counted from the middle of its range when there is no minimum.
private func nibbles(
  _ bytes: Span<UInt8>, _ low: Int, _ scale: Float, _ minimum: Float?, high: UInt32?,
  _ target: inout MutableSpan<Float>, _ first: Int
) {
  let middle: Int32 = high == nil ? 8 : 16
  for index in 0..<16 {
    var a = Int32(bytes[low + index] & 0xF)
    var b = Int32(bytes[low + index] >> 4)
    if let high {
      a |= Int32(high >> UInt32(index) & 1) << 4
      b |= Int32(high >> UInt32(index + 16) & 1) << 4
    }
    // Not `+ 0` without a minimum: that would make a plus of a minus zero.
    target[first + index] = minimum.map { Float(a) * scale + $0 } ?? Float(a - middle) * scale
    target[first + index + 16] = minimum.map { Float(b) * scale + $0 } ?? Float(b - middle) * scale
  }
}

/// Q4_K and Q5_K: 256 elements in 8 groups of 32, each with a 6-bit scale and a 6-bit minimum:
/// `scale · q − minimum`. Two groups share 32 bytes, the first in the low nibbles.
private func superBlock(
  _ bytes: Span<UInt8>, _ source: Int, highBits: Int?, low: Int,
  _ target: inout MutableSpan<Float>, _ first: Int
) {
  let scaleOfScales = half(bytes, source)
  let scaleOfMinima = half(bytes, source + 2)
  for group in 0..<8 {
    let (scaleBits, minimumBits) = sixBitPair(bytes, source + 4, group)
    let scale = scaleOfScales * Float(scaleBits)
    let minimum = scaleOfMinima * Float(minimumBits)
    for index in 0..<32 {
      let pair = bytes[low + group / 2 * 32 + index]
      var q = group % 2 == 0 ? pair & 0xF : pair >> 4
      if let highBits { q |= (bytes[highBits + index] >> UInt8(group) & 1) << 4 }
      target[first + group * 32 + index] = scale * Float(q) - minimum
    }
  }
}

/// Scale and minimum of a group: the first four in the low 6 bits of bytes 0…7, the others in the
/// nibbles of bytes 8…11 with their two upper bits in the upper bits of bytes 0…7.
func sixBitPair(
  _ bytes: Span<UInt8>, _ at: Int, _ group: Int
) -> (scale: UInt8, minimum: UInt8) {
  if group < 4 { return (bytes[at + group] & 63, bytes[at + group + 4] & 63) }
  return (
    bytes[at + group + 4] & 0xF | (bytes[at + group - 4] >> 6) << 4,
    bytes[at + group + 4] >> 4 | (bytes[at + group] >> 6) << 4
  )
}

/// Q6_K: 256 elements of 6 bits, 16 groups of 16 with an 8-bit scale each: `d · scale · (q − 32)`.
private func sixBits(
  _ bytes: Span<UInt8>, _ source: Int, _ target: inout MutableSpan<Float>, _ first: Int
) {
  let scale = half(bytes, source + 208)
  for element in 0..<256 {
    let group = Int8(bitPattern: bytes[source + 192 + element / 16])
    let code = Int32(sixBitCode(bytes, source, element)) - 32
    target[first + element] = scale * Float(group) * Float(code)
  }
}

/// 0…63: four bits in the first 128 bytes of the block, two in the next 64.
func sixBitCode(_ bytes: Span<UInt8>, _ source: Int, _ element: Int) -> UInt8 {
  let part = element / 128
  let quarter = element % 128 / 32
  let index = element % 32
  let pair = bytes[source + part * 64 + quarter % 2 * 32 + index]
  let low = quarter < 2 ? pair & 0xF : pair >> 4
  let high = bytes[source + 128 + part * 32 + index] >> UInt8(2 * quarter) & 3
  return low | high << 4
}
