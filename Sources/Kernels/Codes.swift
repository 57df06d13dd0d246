internal import CKernels

/// How weights are kept in codes of few bits: weight = scale · code, or scale · code + offset, with
/// a scale and an offset for each block of a row.
public struct CodeLayout: Hashable, Sendable {
  /// How the other side of a product, the activations, is read.
  public enum Activations: Hashable, Sendable {
    /// As it is: a product has the bits of the product with the decoded weight.
    case f32
    /// Rounded to whole numbers −127…127, with a scale for each 256 terms of a row: a product is
    /// of whole numbers. The bits are those of `dotReference`, with every instruction set.
    case int8
  }

  /// 4: codes 0…15, which without offsets stand for −8…7; 8: −128…127 as two's complement.
  public let bits: Int
  /// Weights that share a scale: 32, or 16 with 8 bits.
  public let block: Int
  public let hasOffsets: Bool
  public let activations: Activations

  /// - Precondition: `bits` and `block` as described above.
  public init(bits: Int, block: Int, hasOffsets: Bool, activations: Activations = .f32) {
    precondition(
      (bits == 4 && block == 32) || (bits == 8 && (block == 32 || block == 16)),
      "no kernel for \(bits) bits in blocks of \(block)")
    (self.bits, self.block, self.hasOffsets) = (bits, block, hasOffsets)
    self.activations = activations
  }

  /// Inputs of a layer are whole groups of so many.
  public static let group = Int(CODE_GROUP)

  func description(of panels: Floats?) -> ck_codes {
    var codes = unsafe ck_codes()
    unsafe codes.bits = Int32(bits)
    unsafe codes.block = block
    unsafe codes.offsets = hasOffsets
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
  /// - Precondition: `inputs` is a multiple of `CodeLayout.group`; `compute.canReadCodes`.
  public init(
    outputs: Int, inputs: Int, codes layout: CodeLayout, in memory: Arena, on compute: Compute
  ) {
    precondition(compute.canReadCodes, "only native products read codes")
    precondition(
      inputs % CodeLayout.group == 0, "\(inputs) inputs are no whole groups of codes")
    var codes = unsafe layout.description(of: nil)
    let bytes = unsafe ck_codes_bytes(compute.pool, &codes, outputs, inputs)
    self.init(
      n: outputs, k: inputs, codes: layout, instructionSet: compute.instructionSet,
      panels: memory.floats((bytes + 3) / 4))
    panels.fill(0)
  }

  /// Brings one output's weights; each row once, from one thread at a time.
  ///
  /// - Parameter values: (inputs) codes, of 4 bits each in a byte of its own, and (inputs / block)
  ///   scales and offsets.
  public func setRow(_ row: Int, _ values: CodedRow, on compute: Compute) {
    guard let layout = codes else { preconditionFailure("a matrix that is kept as floats") }
    check(on: compute)
    precondition((0..<n).contains(row), "row \(row) of \(n)")
    precondition(
      values.codes.count == k && values.scales.count == k / layout.block
        && values.offsets.count == (layout.hasOffsets ? values.scales.count : 0),
      "\(values.codes.count) codes and \(values.scales.count) scales for \(k) inputs")
    var codes = unsafe layout.description(of: panels)
    unsafe ck_codes_place(
      compute.pool, &codes, k, row, values.codes, values.scales, values.offsets)
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
    let count = unsafe ck_packed_count(compute.pool, outputs, inputs)
    return compute.products == .bf16 ? (count + 1) / 2 : count
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
