internal import CKernels

/// How weights are kept in codes of few bits: weight = scale · code, or scale · code + offset, with
/// a scale and an offset for each block of a row.
public struct CodeLayout: Hashable, Sendable {
  /// How the other side of a product, the activations, is read.
  public enum Activations: Hashable, Sendable {
    /// As products' numbers are: a product has the bits of the product with the decoded weight.
    case f32
    /// Rounded to whole numbers −127…127, with a scale for each 256 terms of a row: a product is
    /// of whole numbers. The bits are those of `dotReference`, with every instruction set.
    case int8
  }

  /// 4, 5, 6: codes 0…2^bits−1, which without offsets stand for 2^(bits−1) less; 8: −128…127 as
  /// two's complement.
  public let bits: Int
  /// Weights that share a scale: 32, or 16 with 6 bits.
  public let block: Int
  public let hasOffsets: Bool
  public let scales: Scales
  public let activations: Activations

  /// How scales and offsets are kept.
  public enum Scales: Hashable, Sendable {
    case f32
    /// They are numbers of f16.
    case f16
    /// A whole number of 8 bits for each block, times a number of f16 for each 256 weights.
    case nested
  }

  private struct Form: Hashable {
    let bits, block: Int
    let hasOffsets: Bool
    let scales: Scales
  }

  /// What there are kernels for.
  private static let forms: Set<Form> = [
    Form(bits: 4, block: 32, hasOffsets: false, scales: .f16),
    Form(bits: 4, block: 32, hasOffsets: true, scales: .f16),
    Form(bits: 4, block: 32, hasOffsets: true, scales: .nested),
    Form(bits: 8, block: 32, hasOffsets: false, scales: .f32),
    Form(bits: 8, block: 32, hasOffsets: false, scales: .f16),
    Form(bits: 5, block: 32, hasOffsets: false, scales: .f16),
    Form(bits: 5, block: 32, hasOffsets: true, scales: .f16),
    Form(bits: 5, block: 32, hasOffsets: true, scales: .nested),
    Form(bits: 6, block: 16, hasOffsets: false, scales: .nested),
  ]

  /// - Precondition: there are kernels for it: for the forms of GGUF's encodings, and for 8 bits in
  ///   blocks of 32 with scales in f32.
  public init(
    bits: Int, block: Int, hasOffsets: Bool, scales: Scales, activations: Activations = .f32
  ) {
    let form = Form(bits: bits, block: block, hasOffsets: hasOffsets, scales: scales)
    precondition(Self.forms.contains(form), "no kernel for \(form)")
    (self.bits, self.block, self.hasOffsets) = (bits, block, hasOffsets)
    (self.scales, self.activations) = (scales, activations)
  }

  /// Inputs of a layer are whole groups of so many.
  public var group: Int { Int(scales == .nested ? CODE_NEST : CODE_GROUP) }

  func description(of panels: Floats?) -> ck_codes {
    var codes = unsafe ck_codes()
    unsafe codes.bits = Int32(bits)
    unsafe codes.block = block
    unsafe codes.offsets = hasOffsets
    unsafe codes.scales =
      switch scales {
      case .f32: CK_SCALES_F32
      case .f16: CK_SCALES_F16
      case .nested: CK_SCALES_NESTED
      }
    unsafe codes.whole = activations == .int8
    unsafe codes.panels = panels.map { unsafe UnsafeMutableRawPointer($0.base) }?
      .assumingMemoryBound(to: UInt8.self)
    return unsafe codes
  }
}

extension Compute {
  /// Whether products here read weights in codes.
  public var canReadCodes: Bool { matMul is NativeMatMul }
}

extension PackedMatrix {
  /// A linear layer's weight (outputs, inputs) in codes, all of whose rows `setRow` is to bring;
  /// see `pack` for `memory`.
  ///
  /// - Precondition: `inputs` is a multiple of the layout's `group`; `compute.canReadCodes`.
  public init(
    outputs: Int, inputs: Int, codes layout: CodeLayout, in memory: Arena, on compute: Compute
  ) {
    precondition(compute.canReadCodes, "only native products read codes")
    precondition(
      inputs % layout.group == 0, "\(inputs) inputs are no whole groups of codes")
    var codes = unsafe layout.description(of: nil)
    let bytes = unsafe ck_codes_bytes(compute.pool, &codes, outputs, inputs)
    self.init(
      n: outputs, k: inputs, codes: layout, instructionSet: compute.instructionSet,
      panels: memory.floats((bytes + 3) / 4))
    panels.fill(0)
  }

  /// Brings one output's weights; each row once, from one thread at a time.
  ///
  /// - Parameter values: (inputs) codes; scales, offsets and steps as the layout has them.
  public func setRow(_ row: Int, _ values: CodedRow, on compute: Compute) {
    guard let layout = codes else { preconditionFailure("a matrix that is kept as floats") }
    check(on: compute)
    precondition((0..<n).contains(row), "row \(row) of \(n)")
    let steps = layout.scales == .nested ? k / layout.block : 0
    let scales = layout.scales == .nested ? k / layout.group : k / layout.block
    precondition(
      values.codes.count == k && values.scales.count == scales && values.scaleSteps.count == steps
        && values.offsets.count == (layout.hasOffsets ? scales : 0)
        && values.offsetSteps.count == (layout.hasOffsets ? steps : 0),
      "\(values.codes.count) codes, \(values.scales.count) scales for \(k) inputs as \(layout)")
    var codes = unsafe layout.description(of: panels)
    unsafe values.codes.withUnsafeBufferPointer { bytes in
      unsafe values.scales.withUnsafeBufferPointer { scales in
        unsafe values.offsets.withUnsafeBufferPointer { offsets in
          unsafe values.scaleSteps.withUnsafeBufferPointer { scaleSteps in
            unsafe values.offsetSteps.withUnsafeBufferPointer { offsetSteps in
              var coded = unsafe ck_coded_row(
                codes: bytes.baseAddress, scales: scales.baseAddress,
                offsets: offsets.baseAddress, scale_steps: scaleSteps.baseAddress,
                offset_steps: offsetSteps.baseAddress)
              unsafe ck_codes_place(compute.pool, &codes, k, row, &coded)
            }
          }
        }
      }
    }
  }

  /// Bytes that a linear layer's weight takes, in codes or (nil) as floats; in a backend that packs
  /// nothing, as it lies.
  public static func bytes(
    outputs: Int, inputs: Int, codes layout: CodeLayout?, on compute: Compute
  ) -> Int {
    guard compute.canReadCodes else { return 4 * outputs * inputs }
    guard let layout else { return 4 * floats(outputs: outputs, inputs: inputs, on: compute) }
    var codes = unsafe layout.description(of: nil)
    return unsafe ck_codes_bytes(compute.pool, &codes, outputs, inputs)
  }

  /// Memory that native products pack a weight into, counted in floats.
  static func floats(outputs: Int, inputs: Int, on compute: Compute) -> Int {
    let bytes = unsafe ck_packed_bytes(
      compute.pool, outputs, inputs, compute.products == .bf16)
    return (bytes + 3) / 4
  }

  /// Rows of a packed weight, out of its codes if it is in codes: `y[t] = W[ids[t]]`.
  ///
  /// - Parameters:
  ///   - y: (T, inputs), overwritten.
  ///   - ids: (T), each below `outputs`.
  public func gatherRows(into y: Floats, ids: [Int32], on compute: Compute) {
    check(on: compute)
    precondition(y.count == ids.count * k, "(\(ids.count), \(k)) expected")
    for (place, id) in ids.enumerated() {
      precondition((0..<n).contains(Int(id)), "row \(id) of \(n)")
      let row = y[place * k..<(place + 1) * k]
      if let codes {
        var codes = unsafe codes.description(of: panels)
        unsafe ck_codes_row(compute.pool, &codes, k, Int(id), row.base)
      } else {
        unsafe ck_packed_row(
          compute.pool, n, k, products == .bf16, Int(id), panels.base, row.base)
      }
    }
  }
}
