import Kernels
import TestSupport
import Testing

@Suite("Weights in codes of few bits")
struct CodesTests {
  static let layouts = layouts(.f32)

  static func layouts(_ activations: CodeLayout.Activations) -> [CodeLayout] {
    let forms: [(bits: Int, block: Int, hasOffsets: Bool, scales: CodeLayout.Scales)] = [
      (4, 32, false, .f16), (4, 32, true, .f16), (8, 32, false, .f32), (8, 32, false, .f16),
      (5, 32, false, .f16), (5, 32, true, .f16), (4, 32, true, .nested), (5, 32, true, .nested),
      (6, 16, false, .nested),
    ]
    return forms.map {
      CodeLayout(
        bits: $0.bits, block: $0.block, hasOffsets: $0.hasOffsets, scales: $0.scales,
        activations: activations)
    }
  }

  /// A matrix in codes, what was put into it, and the same decoded by the definition.
  private func matrix(
    _ layout: CodeLayout, outputs: Int, inputs: Int, seed: UInt64, on compute: Compute
  ) -> (coded: PackedMatrix, rows: [CodedRow], decoded: Floats) {
    var values = Values(seed)
    let coded = PackedMatrix(
      outputs: outputs, inputs: inputs, codes: layout, in: Arena(), on: compute)
    let decoded = Floats(zeros: outputs * inputs)
    var rows: [CodedRow] = []
    for row in 0..<outputs {
      let codes = (0..<inputs).map { _ in
        let span = Float(1 << layout.bits)
        return UInt8(truncatingIfNeeded: Int(((values.next() + 1) / 2 * span).rounded(.down)))
      }
      rows.append(Self.row(codes, layout, &values))
      coded.setRow(row, rows[row], on: compute)
      for column in 0..<inputs {
        let byte = codes[column]
        let code =
          layout.bits == 8
          ? Float(Int8(bitPattern: byte))
          : Float(byte) - (layout.hasOffsets ? 0 : Float(1 << (layout.bits - 1)))
        let (scale, offset) = rows[row].scale(of: column / layout.block, layout)
        decoded[row * inputs + column] =
          layout.hasOffsets ? offset.addingProduct(scale, code) : scale * code
      }
    }
    return (coded, rows, decoded)
  }

  /// Scales and offsets of all sizes that their form can hold, the smallest and 0 among them.
  private static func row(
    _ codes: [UInt8], _ layout: CodeLayout, _ values: inout Values
  ) -> CodedRow {
    func numbers(_ count: Int) -> [Float] {
      (0..<count).map { place in
        let value = values.next()
        if layout.scales == .f32 { return value }
        return place % 7 == 3 ? [0, -0x1p-24, 0x1.8p-15][place % 3] : Float(Float16(value))
      }
    }
    let isNested = layout.scales == .nested
    let blocks = codes.count / layout.block
    func steps(_ from: Int) -> [Int8] {
      isNested ? (0..<blocks).map { Int8(truncatingIfNeeded: 37 * $0 + from) } : []
    }
    let scales = numbers(isNested ? codes.count / layout.group : blocks)
    return CodedRow(
      codes: codes, scales: scales, offsets: layout.hasOffsets ? numbers(scales.count) : [],
      scaleSteps: steps(-128), offsetSteps: layout.hasOffsets ? steps(5) : [])
  }

  /// As many inputs, in whole groups.
  private static func whole(_ inputs: Int, _ layout: CodeLayout) -> Int {
    (inputs + layout.group - 1) / layout.group * layout.group
  }

  @Test(
    "multiply to the bits of the decoded matrix, for any rows, on every set and thread count",
    arguments: layouts, ProductPrecision.allCases)
  func product(_ layout: CodeLayout, products: ProductPrecision) throws {
    for compute in try everyCompute().map({ $0.multiplying(products) }) {
      for (outputs, about) in [(1, 32), (64, 288), (77, 320), (200, 576)] {
        let inputs = Self.whole(about, layout)
        let (coded, _, decoded) = matrix(
          layout, outputs: outputs, inputs: inputs, seed: UInt64(outputs), on: compute)
        var values = Values(9)
        for rows in [1, 2, 3, 4, 5, 6, 7, 14, 33, 130] {
          let x = values.floats(rows * inputs)
          let start = values.floats(rows * outputs)
          let product = Product(
            m: rows, n: outputs, k: inputs, transposeB: true, accumulate: rows % 2 == 0)
          let (expected, found) = (start.copy, start.copy)
          matmul(
            into: expected, x, decoded, product,
            on: try Compute(matMul: .reference).multiplying(products))
          matmul(into: found, x, coded, product, on: compute)
          #expect(found.bits == expected.bits, "\(rows) rows of (\(outputs), \(inputs))")
        }
      }
    }
  }

  @Test(
    "multiply activations in 8 bits to the twin's bits, for any rows, on every set and thread count",
    arguments: layouts(.int8), ProductPrecision.allCases)
  func wholeNumbers(_ layout: CodeLayout, products: ProductPrecision) throws {
    for compute in try everyCompute().map({ $0.multiplying(products) }) {
      for (outputs, about) in [(1, 32), (77, 320), (130, 800)] {
        let inputs = Self.whole(about, layout)
        let (coded, weight, _) = matrix(
          layout, outputs: outputs, inputs: inputs, seed: UInt64(outputs), on: compute)
        var values = Values(9)
        for rows in [1, 2, 3, 4, 5, 6, 7, 31] {
          let x = values.floats(rows * inputs)
          x[inputs / 2..<inputs].fill(rows == 5 ? 0 : 0.25)
          let start = values.floats(rows * outputs)
          let product = Product(
            m: rows, n: outputs, k: inputs, transposeB: true, accumulate: rows % 2 == 0)
          let (expected, found) = (start.copy, start.copy)
          dotReference(into: expected, x, weight, layout, accumulate: product.accumulate)
          matmul(into: found, x, coded, product, on: compute)
          #expect(found.bits == expected.bits, "\(rows) rows of (\(outputs), \(inputs))")
        }
      }
    }
  }

  @Test(
    "begin their sums with a bias as if it had been in every row of C",
    arguments: layouts(.f32) + layouts(.int8), ProductPrecision.allCases)
  func bias(_ layout: CodeLayout, products: ProductPrecision) throws {
    let inputs = Self.whole(320, layout)
    for compute in try everyCompute().map({ $0.multiplying(products) }) {
      let (coded, _, _) = matrix(layout, outputs: 77, inputs: inputs, seed: 5, on: compute)
      var values = Values(3)
      let bias = values.floats(77)
      for rows in [1, 4, 20] {
        let x = values.floats(rows * inputs)
        let (expected, found) = (Floats(zeros: rows * 77), values.floats(rows * 77))
        for row in 0..<rows { expected[row * 77..<(row + 1) * 77].copy(from: bias) }
        var product = Product(m: rows, n: 77, k: inputs, transposeB: true)
        matmul(into: found, x, coded, bias: bias, product, on: compute)
        product.accumulate = true
        matmul(into: expected, x, coded, product, on: compute)
        #expect(found.bits == expected.bits, "\(rows) rows")
      }
    }
  }

  @Test("take no activation that is no number, and no infinite one, for more than 0")
  func notNumbers() throws {
    for compute in try everyCompute() {
      let (coded, weight, _) = matrix(
        Self.layouts(.int8)[2], outputs: 3, inputs: 544, seed: 1, on: compute)
      let x = Floats((0..<544).map { Float($0 % 9) - 4 })
      x[3] = .nan
      x[300] = .infinity
      let (expected, found) = (Floats(zeros: 3), Floats(zeros: 3))
      dotReference(into: expected, x, weight, Self.layouts(.int8)[2], accumulate: false)
      matmul(
        into: found, x, coded, Product(m: 1, n: 3, k: 544, transposeB: true), on: compute)
      #expect(found.bits == expected.bits)
      #expect(!found.array.contains { !$0.isFinite })
    }
  }

  @Test("are made from floats to within half a step of 1/127 of a block's largest")
  func quantizing() {
    var values = Values(4)
    let row = values.floats(96).array
    let coded = CodedRow(quantizing: row)
    for (index, value) in row.enumerated() {
      let scale = coded.scales[index / 32]
      let found = scale * Float(Int8(bitPattern: coded.codes[index]))
      #expect(abs(found - value) <= scale * 0.5001, "element \(index)")
    }
    #expect(CodedRow(quantizing: Array(repeating: 0, count: 32)).scales == [0])
  }

  @Test("are decoded row by row to what the definition says", arguments: layouts)
  func rows(_ layout: CodeLayout) throws {
    let compute = try Compute()
    let inputs = Self.whole(96, layout)
    let (coded, _, decoded) = matrix(layout, outputs: 70, inputs: inputs, seed: 3, on: compute)
    let ids: [Int32] = [69, 0, 31, 32, 0]
    let found = Floats(zeros: ids.count * inputs)
    coded.gatherRows(into: found, ids: ids, on: compute)
    let expected = ids.flatMap { decoded[Int($0) * inputs..<(Int($0) + 1) * inputs].bits }
    #expect(found.bits == expected)
  }

  @Test("take about the memory that their bits say")
  func memory() throws {
    let compute = try Compute()
    let bits = Self.layouts.map { layout in
      let coded = PackedMatrix(
        outputs: 256, inputs: 512, codes: layout, in: Arena(), on: compute)
      return Double(8 * coded.bytes) / (256 * 512)
    }
    #expect(bits == [4.5, 5, 9, 8.5, 5.5, 6, 4.625, 5.625, 6.5625])
  }
}
