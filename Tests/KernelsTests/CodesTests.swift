import Kernels
import TestSupport
import Testing

@Suite("Weights in codes of few bits")
struct CodesTests {
  static let layouts = layouts(.f32)

  static func layouts(_ activations: CodeLayout.Activations) -> [CodeLayout] {
    [(4, 32, false), (4, 32, true), (8, 32, false), (8, 32, true), (8, 16, false)].map {
      CodeLayout(bits: $0, block: $1, hasOffsets: $2, activations: activations)
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
        let span: Float = layout.bits == 4 ? 16 : 256
        return UInt8(truncatingIfNeeded: Int(((values.next() + 1) / 2 * span).rounded(.down)))
      }
      let scales = (0..<inputs / layout.block).map { _ in values.next() }
      let offsets = layout.hasOffsets ? scales.map { _ in values.next() } : []
      rows.append(CodedRow(codes: codes, scales: scales, offsets: offsets))
      coded.setRow(row, rows[row], on: compute)
      for column in 0..<inputs {
        let byte = codes[column]
        let code =
          layout.bits == 8
          ? Float(Int8(bitPattern: byte)) : Float(byte) - (layout.hasOffsets ? 0 : 8)
        let block = column / layout.block
        decoded[row * inputs + column] =
          layout.hasOffsets
          ? offsets[block].addingProduct(scales[block], code) : scales[block] * code
      }
    }
    return (coded, rows, decoded)
  }

  @Test(
    "multiply to the bits of the decoded matrix, for any rows, on every set and thread count",
    arguments: layouts)
  func product(_ layout: CodeLayout) throws {
    for compute in try everyCompute() {
      for (outputs, inputs) in [(1, 32), (64, 288), (77, 320), (200, 576)] {
        let (coded, _, decoded) = matrix(
          layout, outputs: outputs, inputs: inputs, seed: UInt64(outputs), on: compute)
        var values = Values(9)
        for rows in [1, 2, 3, 4, 5, 6, 7, 14, 33, 130] {
          let x = values.floats(rows * inputs)
          let start = values.floats(rows * outputs)
          let product = Product(
            m: rows, n: outputs, k: inputs, transposeB: true, accumulate: rows % 2 == 0)
          let (expected, found) = (start.copy, start.copy)
          matmulReference(into: expected, x, decoded, product)
          matmul(into: found, x, coded, product, on: compute)
          #expect(found.bits == expected.bits, "\(rows) rows of (\(outputs), \(inputs))")
        }
      }
    }
  }

  @Test(
    "multiply activations in 8 bits to the twin's bits, for any rows, on every set and thread count",
    arguments: layouts(.int8))
  func wholeNumbers(_ layout: CodeLayout) throws {
    for compute in try everyCompute() {
      for (outputs, inputs) in [(1, 32), (77, 320), (130, 800)] {
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
    arguments: layouts(.f32) + layouts(.int8))
  func bias(_ layout: CodeLayout) throws {
    for compute in try everyCompute() {
      let (coded, _, _) = matrix(layout, outputs: 77, inputs: 320, seed: 5, on: compute)
      var values = Values(3)
      let bias = values.floats(77)
      for rows in [1, 4, 20] {
        let x = values.floats(rows * 320)
        let (expected, found) = (Floats(zeros: rows * 77), values.floats(rows * 77))
        for row in 0..<rows { expected[row * 77..<(row + 1) * 77].copy(from: bias) }
        var product = Product(m: rows, n: 77, k: 320, transposeB: true)
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
    let (coded, _, decoded) = matrix(layout, outputs: 70, inputs: 96, seed: 3, on: compute)
    let ids: [Int32] = [69, 0, 31, 32, 0]
    let found = Floats(zeros: ids.count * 96)
    coded.gatherRows(into: found, ids: ids, on: compute)
    let expected = ids.flatMap { decoded[Int($0) * 96..<(Int($0) + 1) * 96].bits }
    #expect(found.bits == expected)
  }

  @Test("take about the memory that their bits say")
  func memory() throws {
    let compute = try Compute()
    let coded = PackedMatrix(
      outputs: 256, inputs: 512, codes: CodeLayout(bits: 4, block: 32, hasOffsets: false),
      in: Arena(), on: compute)
    #expect(coded.bytes == 256 * 512 * 5 / 8)
  }
}
