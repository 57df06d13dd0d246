/// How the elements of a quantised row are made from small whole numbers: element = scale · code,
/// or scale · code + offset. Scale and offset hold for a block of neighbouring elements.
///
/// The products are exact in f32 and the sum is rounded once, so the elements are those of ggml and
/// of its `gguf` package, bit for bit.
public struct CodeForm: Hashable, Sendable {
  /// 4, 5, 6: codes 0…2^bits−1, which without offsets stand for 2^(bits−1) less; 8: codes
  /// −128…127.
  public let bits: Int
  /// Elements that share a scale: 16 or 32.
  public let block: Int
  public let hasOffsets: Bool
  public let scales: Scales

  /// How scales and offsets are kept.
  public enum Scales: Hashable, Sendable {
    case f32, f16
    /// A whole number of 8 bits for each block, times an f16 number for each 256 elements.
    case nested
  }

  public init(bits: Int, block: Int, hasOffsets: Bool, scales: Scales) {
    (self.bits, self.block, self.hasOffsets) = (bits, block, hasOffsets)
    self.scales = scales
  }

  /// The whole number that a code stands for.
  func meaning(of code: UInt8) -> Int32 {
    bits == 8 ? Int32(Int8(bitPattern: code)) : Int32(code) - (hasOffsets ? 0 : 1 << (bits - 1))
  }
}

extension TensorEncoding {
  /// Nil for what is not quantised.
  public var codeForm: CodeForm? {
    switch self {
    case .q40: CodeForm(bits: 4, block: 32, hasOffsets: false, scales: .f16)
    case .q41: CodeForm(bits: 4, block: 32, hasOffsets: true, scales: .f16)
    case .q50: CodeForm(bits: 5, block: 32, hasOffsets: false, scales: .f16)
    case .q80: CodeForm(bits: 8, block: 32, hasOffsets: false, scales: .f16)
    case .q51: CodeForm(bits: 5, block: 32, hasOffsets: true, scales: .f16)
    case .q4K: CodeForm(bits: 4, block: 32, hasOffsets: true, scales: .nested)
    case .q5K: CodeForm(bits: 5, block: 32, hasOffsets: true, scales: .nested)
    case .q6K: CodeForm(bits: 6, block: 16, hasOffsets: false, scales: .nested)
    case .f32, .f16, .bf16, .other: nil
    }
  }
}

/// The codes of one row.
public struct RowCodes {
  public let form: CodeForm
  /// One for each element; of 8 bits as two's complement.
  public private(set) var codes: [UInt8]
  /// One for each block; nested, one for each 256 elements.
  public private(set) var scales: [Float]
  /// As `scales`; empty without offsets.
  public private(set) var offsets: [Float]
  /// What a block multiplies its scale and its offset with; empty where they are not nested.
  public private(set) var scaleSteps: [Int8]
  public private(set) var offsetSteps: [Int8]

  init(_ form: CodeForm, columns: Int) {
    self.form = form
    let isNested = form.scales == .nested
    codes = Array(repeating: 0, count: columns)
    scales = Array(repeating: 0, count: columns / (isNested ? 256 : form.block))
    offsets = form.hasOffsets ? scales : []
    scaleSteps = isNested ? Array(repeating: 0, count: columns / form.block) : []
    offsetSteps = form.hasOffsets ? scaleSteps : []
  }

  /// A stored row.
  init(_ form: CodeForm, columns: Int, reading bytes: Span<UInt8>, _ encoding: TensorEncoding) {
    self.init(form, columns: columns)
    read(bytes, encoding)
  }

  /// The scale of an element.
  public func scale(at element: Int) -> Float { part(scales, scaleSteps, element) }

  /// Its offset; 0 without offsets.
  public func offset(at element: Int) -> Float {
    form.hasOffsets ? part(offsets, offsetSteps, element) : 0
  }

  private func part(_ values: [Float], _ steps: [Int8], _ element: Int) -> Float {
    let block = element / form.block
    return steps.isEmpty ? values[block] : values[element / 256] * Float(steps[block])
  }

  /// Reads stored blocks.
  /// - Precondition: `bytes` are the whole blocks of a row with as many columns as `codes`.
  mutating func read(_ bytes: Span<UInt8>, _ encoding: TensorEncoding) {
    for block in 0..<bytes.count / encoding.bytesPerBlock {
      let source = block * encoding.bytesPerBlock
      switch encoding {
      case .q40: nibbles(bytes, block, scale: source, minimum: nil, high: nil, low: source + 2)
      case .q41:
        nibbles(bytes, block, scale: source, minimum: source + 2, high: nil, low: source + 4)
      case .q50:
        nibbles(bytes, block, scale: source, minimum: nil, high: source + 2, low: source + 6)
      case .q51:
        nibbles(
          bytes, block, scale: source, minimum: source + 2, high: source + 4, low: source + 8)
      case .q80:
        scales[block] = half(bytes, source)
        for index in 0..<32 { codes[block * 32 + index] = bytes[source + 2 + index] }
      case .q4K: superBlock(bytes, block, source, high: nil, low: source + 16)
      case .q5K: superBlock(bytes, block, source, high: source + 16, low: source + 48)
      case .q6K: sixBits(bytes, block, source)
      case .f32, .f16, .bf16, .other: preconditionFailure("an encoding without codes")
      }
    }
  }

  private mutating func nibbles(
    _ bytes: Span<UInt8>, _ block: Int, scale: Int, minimum: Int?, high: Int?, low: Int
  ) {
    scales[block] = half(bytes, scale)
    if let minimum { offsets[block] = half(bytes, minimum) }
    let fifth = high.map { word32(bytes, $0) }
    for index in 0..<16 {
      var (a, b) = (bytes[low + index] & 0xF, bytes[low + index] >> 4)
      if let fifth {
        a |= UInt8(fifth >> UInt32(index) & 1) << 4
        b |= UInt8(fifth >> UInt32(index + 16) & 1) << 4
      }
      codes[block * 32 + index] = a
      codes[block * 32 + index + 16] = b
    }
  }

  private mutating func superBlock(
    _ bytes: Span<UInt8>, _ block: Int, _ source: Int, high: Int?, low: Int
  ) {
    (scales[block], offsets[block]) = (half(bytes, source), -half(bytes, source + 2))
    for group in 0..<8 {
      let (scale, minimum) = sixBitPair(bytes, source + 4, group)
      scaleSteps[block * 8 + group] = Int8(scale)
      offsetSteps[block * 8 + group] = Int8(minimum)
      for index in 0..<32 {
        let pair = bytes[low + group / 2 * 32 + index]
        var code = group % 2 == 0 ? pair & 0xF : pair >> 4
        if let high { code |= (bytes[high + index] >> UInt8(group) & 1) << 4 }
        codes[block * 256 + group * 32 + index] = code
      }
    }
  }

  private mutating func sixBits(_ bytes: Span<UInt8>, _ block: Int, _ source: Int) {
    scales[block] = half(bytes, source + 208)
    for group in 0..<16 {
      scaleSteps[block * 16 + group] = Int8(bitPattern: bytes[source + 192 + group])
    }
    for element in 0..<256 {
      codes[block * 256 + element] = sixBitCode(bytes, source, element)
    }
  }
}

/// Scale and minimum of a group: the first four in the low 6 bits of bytes 0…7, the others in the
/// nibbles of bytes 8…11 with their two upper bits in the upper bits of bytes 0…7.
private func sixBitPair(
  _ bytes: Span<UInt8>, _ at: Int, _ group: Int
) -> (scale: UInt8, minimum: UInt8) {
  if group < 4 { return (bytes[at + group] & 63, bytes[at + group + 4] & 63) }
  return (
    bytes[at + group + 4] & 0xF | (bytes[at + group - 4] >> 6) << 4,
    bytes[at + group + 4] >> 4 | (bytes[at + group] >> 6) << 4
  )
}

/// 0…63: four bits in the first 128 bytes of the block, two in the next 64.
private func sixBitCode(_ bytes: Span<UInt8>, _ source: Int, _ element: Int) -> UInt8 {
  let part = element / 128
  let quarter = element % 128 / 32
  let index = element % 32
  let pair = bytes[source + part * 64 + quarter % 2 * 32 + index]
  let low = quarter < 2 ? pair & 0xF : pair >> 4
  let high = bytes[source + 128 + part * 32 + index] >> UInt8(2 * quarter) & 3
  return low | high << 4
}
