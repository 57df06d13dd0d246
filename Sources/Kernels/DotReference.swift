/// One output's weights in codes, as `PackedMatrix.setRow` takes them.
public struct CodedRow: Sendable {
  /// (inputs), each in a byte of its own.
  public var codes: [UInt8]
  /// (inputs / block); nested (inputs / 256).
  public var scales: [Float]
  /// As `scales`; empty without offsets.
  public var offsets: [Float]
  /// (inputs / block): what a block multiplies scale and offset with; empty where not nested.
  public var scaleSteps, offsetSteps: [Int8]

  public init(
    codes: [UInt8], scales: [Float], offsets: [Float] = [], scaleSteps: [Int8] = [],
    offsetSteps: [Int8] = []
  ) {
    (self.codes, self.scales, self.offsets) = (codes, scales, offsets)
    (self.scaleSteps, self.offsetSteps) = (scaleSteps, offsetSteps)
  }

  /// The scale and the offset (0 without) of a block.
  public func scale(of block: Int, _ layout: CodeLayout) -> (scale: Float, offset: Float) {
    guard layout.scales == .nested else {
      return (scales[block], layout.hasOffsets ? offsets[block] : 0)
    }
    let nest = block * layout.block / layout.group
    return (
      scales[nest] * Float(scaleSteps[block]),
      layout.hasOffsets ? offsets[nest] * Float(offsetSteps[block]) : 0
    )
  }

  /// A row of weights in 8 bits, 32 of which share a scale.
  ///
  /// - Parameter values: (inputs), finite; a multiple of 32.
  public init(quantizing values: [Float]) {
    self.init(codes: [], scales: [])
    codes.reserveCapacity(values.count)
    for start in stride(from: 0, to: values.count, by: 32) {
      let (whole, scale) = wholeNumbers(values[start..<start + 32])
      codes += whole.map { UInt8(bitPattern: Int8($0)) }
      scales.append(scale)
    }
  }
}

/// Values as whole numbers −127…127 times a scale, each the nearest, ties to even. All 0 where the
/// largest is no usable scale (below 2⁻¹⁰⁰, above 2¹²⁰ or not a number).
private func wholeNumbers(_ values: ArraySlice<Float>) -> (whole: [Int32], scale: Float) {
  let most = values.reduce(Float(0)) { abs($1) > $0 ? abs($1) : $0 }
  guard most >= 0x1p-100, most <= 0x1p120 else {
    return (values.map { _ in 0 }, 0)
  }
  let inverse = 127 / most
  let whole = values.map { Int32(($0.isNaN ? 0 : $0 * inverse).rounded(.toNearestOrEven)) }
  return (whole, most / 127)
}

/// The naive twin of products with activations in 8 bits: `C = A · Wᵀ`, or `C += …`.
///
/// Every 256 terms of a row of A share a scale s. Over these parts in order,
/// `C = fma(s, P, C)`, with P over the part's blocks in order
/// `P = fma(scale of the block, Σ code · a, P)`, then `P = fma(offset, Σ a, P)` where there are
/// offsets; the sums are of whole numbers and exact.
/// - Parameters:
///   - c: (m, rows of W).
///   - a: (m, inputs).
public func dotReference(
  into c: Floats, _ a: Floats, _ weight: [CodedRow], _ layout: CodeLayout, accumulate: Bool
) {
  let outputs = weight.count
  let rows = c.count / outputs
  let inputs = a.count / rows
  for row in 0..<rows {
    let values = a[row * inputs..<(row + 1) * inputs].array
    let parts = stride(from: 0, to: inputs, by: 256).map { start in
      (start: start, content: wholeNumbers(values[start..<min(start + 256, inputs)]))
    }
    for (output, coded) in weight.enumerated() {
      var sum = accumulate ? c[row * outputs + output] : 0
      for (start, (whole, scale)) in parts {
        var part: Float = 0
        for block in stride(from: 0, to: whole.count, by: layout.block) {
          let range = block..<block + layout.block
          let products = range.reduce(Int32(0)) { sum, term in
            sum + whole[term] * layout.meaning(of: coded.codes[start + term])
          }
          let index = (start + block) / layout.block
          let (scale, offset) = coded.scale(of: index, layout)
          part.addProduct(Float(products), scale)
          if layout.hasOffsets { part.addProduct(Float(whole[range].reduce(0, +)), offset) }
        }
        sum.addProduct(part, scale)
      }
      c[row * outputs + output] = sum
    }
  }
}

extension CodeLayout {
  /// The whole number that a code stands for.
  func meaning(of code: UInt8) -> Int32 {
    bits == 8 ? Int32(Int8(bitPattern: code)) : Int32(code) - (hasOffsets ? 0 : 1 << (bits - 1))
  }
}
