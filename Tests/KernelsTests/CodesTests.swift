import Kernels
import TestSupport
import Testing

@Suite("Weights in codes of few bits")
struct CodesTests {
  static let layouts = [
    CodeLayout(bits: 4, block: 32, hasOffsets: false),
    CodeLayout(bits: 4, block: 32, hasOffsets: true),
    CodeLayout(bits: 8, block: 32, hasOffsets: false),
    CodeLayout(bits: 8, block: 32, hasOffsets: true),
    CodeLayout(bits: 8, block: 16, hasOffsets: false),
  ]

  /// A matrix in codes, and the same decoded by the definition.
  private func matrix(
    _ layout: CodeLayout, outputs: Int, inputs: Int, seed: UInt64, on compute: Compute
  ) -> (coded: PackedMatrix, decoded: Floats) {
    var values = Values(seed)
    let coded = PackedMatrix(outputs: outputs, inputs: inputs, codes: layout, on: compute)
    let decoded = Floats(zeros: outputs * inputs)
    for row in 0..<outputs {
      let codes = (0..<inputs).map { _ in
        let span: Float = layout.bits == 4 ? 16 : 256
        return UInt8(truncatingIfNeeded: Int(((values.next() + 1) / 2 * span).rounded(.down)))
      }
      let scales = (0..<inputs / layout.block).map { _ in values.next() }
      let offsets = layout.hasOffsets ? scales.map { _ in values.next() } : []
      coded.setRow(row, codes, scales: scales, offsets: offsets, on: compute)
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
    return (coded, decoded)
  }

  @Test(
    "multiply to the bits of the decoded matrix, for any rows, on every set and thread count",
    arguments: layouts)
  func product(_ layout: CodeLayout) throws {
    for compute in try everyCompute() {
      for (outputs, inputs) in [(1, 32), (64, 288), (77, 320), (200, 576)] {
        let (coded, decoded) = matrix(
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

  @Test("are decoded row by row to what the definition says", arguments: layouts)
  func rows(_ layout: CodeLayout) throws {
    let compute = try Compute()
    let (coded, decoded) = matrix(layout, outputs: 70, inputs: 96, seed: 3, on: compute)
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
      on: compute)
    #expect(coded.bytes == 256 * 512 * 5 / 8)
  }
}
