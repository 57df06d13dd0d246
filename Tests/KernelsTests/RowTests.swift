import Kernels
import TestSupport
import Testing

@Suite("Operations on rows")
struct RowTests {
  /// Runs an operation on every compute; all bits must be equal and near the twin.
  func compare(
    _ name: String, tolerance: Float = 2e-6, _ fast: (Compute) -> [Floats],
    _ reference: () -> [Floats]
  ) throws {
    let expected = reference()
    var first: [[UInt32]]?
    for compute in try everyCompute() {
      let results = fast(compute)
      for (result, wanted) in zip(results, expected) {
        let d = relativeDifference(result.array, wanted.array)
        #expect(d < tolerance, "\(name) on \(compute.instructionSet): \(d)")
      }
      let bits = results.map(\.bits)
      #expect(bits == first ?? bits, "\(name): other bits on \(compute.instructionSet)")
      first = bits
    }
  }

  @Test("RMSNorm and its derivatives equal their twins", arguments: oddSizes, [0, 1])
  func rms(columns: Int, plus: Float) throws {
    var values = Values(UInt64(columns))
    let rows = 5
    for scale in [1e-12, 1, 1e12] as [Float] {
      let x = values.floats(rows * columns, scale: scale)
      let dy = values.floats(rows * columns)
      let (weight, start) = (values.floats(columns), values.floats(columns))
      try compare("rmsNorm") { compute in
        let y = Floats(zeros: x.count)
        rmsNorm(into: y, x, weight: weight, plus: plus, eps: 1e-5, on: compute)
        return [y]
      } _: {
        let y = Floats(zeros: x.count)
        rmsNormReference(into: y, x, weight: weight, plus: plus, eps: 1e-5)
        return [y]
      }
      try compare("rmsNormBackward", tolerance: 1e-5) { compute in
        let (dx, dw) = (dy.copy, start.copy)
        rmsNormBackward(
          dx: dx, dWeight: dw, dy: dy, x, weight: weight, plus: plus, eps: 1e-5,
          accumulateInput: true,
          on: compute)
        return [dx, dw]
      } _: {
        let (dx, dw) = (dy.copy, start.copy)
        rmsNormBackwardReference(
          dx: dx, dWeight: dw, dy: dy, x, weight: weight, plus: plus, eps: 1e-5,
          accumulateInput: true)
        return [dx, dw]
      }
    }
  }

  @Test("LayerNorm and its derivatives equal their twins", arguments: oddSizes)
  func layer(columns: Int) throws {
    var values = Values(UInt64(columns) + 1)
    let rows = 5
    for offset in [0, 3] as [Float] {
      let x = Floats((0..<rows * columns).map { _ in values.next() + offset })
      let dy = values.floats(rows * columns)
      let (weight, bias) = (values.floats(columns), values.floats(columns))
      try compare("layerNorm", tolerance: 1e-5) { compute in
        let y = Floats(zeros: x.count)
        layerNorm(into: y, x, weight: weight, bias: bias, eps: 1e-6, on: compute)
        return [y]
      } _: {
        let y = Floats(zeros: x.count)
        layerNormReference(into: y, x, weight: weight, bias: bias, eps: 1e-6)
        return [y]
      }
      // One column has no variance: its derivative is 0 and rounding alone is left.
      guard columns > 1 else { continue }
      try compare("layerNormBackward", tolerance: 2e-5) { compute in
        let (dx, dw, db) = (Floats(zeros: x.count), bias.copy, weight.copy)
        layerNormBackward(
          dx: dx, dWeight: dw, dBias: db, dy: dy, x, weight: weight, eps: 1e-6, on: compute)
        return [dx, dw, db]
      } _: {
        let (dx, dw, db) = (Floats(zeros: x.count), bias.copy, weight.copy)
        layerNormBackwardReference(
          dx: dx, dWeight: dw, dBias: db, dy: dy, x, weight: weight, eps: 1e-6)
        return [dx, dw, db]
      }
    }
  }

  @Test("softmax equals its twin, also where exp alone would overflow", arguments: oddSizes)
  func softmaxRows(columns: Int) throws {
    var values = Values(UInt64(columns) + 2)
    for scale in [1e-3, 10, 1000] as [Float] {
      let x = values.floats(4 * columns, scale: scale)
      try compare("softmax") { compute in
        let y = x.copy
        softmax(into: y, y, columns: columns, on: compute)
        return [y]
      } _: {
        let y = Floats(zeros: x.count)
        softmaxReference(into: y, x, columns: columns)
        return [y]
      }
    }
  }

  @Test("cross-entropy, its gradient and its mask equal their twins", arguments: oddSizes)
  func crossEntropy(columns: Int) throws {
    var values = Values(UInt64(columns) + 3)
    let rows = 6
    let logits = values.floats(rows * columns, scale: 20)
    let targets = (0..<rows).map { Int32(($0 * 37) % columns) }
    let counted = (0..<rows).map { $0 != 2 }
    let dExpected = Floats(zeros: logits.count)
    let expected = softmaxCrossEntropyReference(
      dLogits: dExpected, logits, targets: targets, counted: counted)
    var first: UInt64?
    for compute in try everyCompute() {
      let place = logits.copy
      let loss = softmaxCrossEntropy(
        dLogits: place, place, targets: targets, counted: counted, on: compute)
      #expect(abs(loss - expected) <= 1e-6 * abs(expected) + 1e-6)
      #expect(relativeDifference(place.array, dExpected.array) < 2e-6)
      #expect(place[2 * columns..<3 * columns].array.allSatisfy { $0 == 0 })
      let alone = softmaxCrossEntropy(
        dLogits: nil, logits, targets: targets, counted: counted, on: compute)
      #expect(alone == loss)
      #expect(loss.bitPattern == first ?? loss.bitPattern)
      first = loss.bitPattern
    }
  }

  @Test("rotary turns equal their twins and turn back", arguments: [2, 16, 20, 64, 128])
  func rotary(size: Int) throws {
    var values = Values(UInt64(size))
    let divisors = (0..<size / 2).map { Float($0 + 1) }
    let table = RotaryTable(headSize: size, base: 1e5, divisors: divisors, positions: 50)
    let positions: [Int32] = [0, 49, 7, 7, 20]
    let x = values.floats(5 * 3 * size)
    for pairing in [RotaryPairing.halfSplit, .interleaved] {
      try compare("rotate") { compute in
        let y = x.copy
        rotate(y, positions: positions, table, pairing, on: compute)
        return [y]
      } _: {
        let y = x.copy
        rotateReference(y, positions: positions, table, pairing)
        return [y]
      }
      let compute = try Compute()
      let y = x.copy
      rotate(y, positions: positions, table, pairing, on: compute)
      rotate(y, positions: positions, table, pairing, inverse: true, on: compute)
      #expect(relativeDifference(y.array, x.array) < 1e-6)
    }
  }

  @Test("rows do not depend on how many are in the call")
  func rowInvariance() throws {
    var values = Values(9)
    let columns = 77
    let x = values.floats(300 * columns)
    let weight = values.floats(columns)
    let one = try Compute()
    let three = try Compute(threads: 3)
    let whole = Floats(zeros: x.count)
    rmsNorm(into: whole, x, weight: weight, eps: 1e-5, on: one)
    for rows in [1, 2, 3, 16, 299] {
      let y = Floats(zeros: rows * columns)
      rmsNorm(into: y, x[0..<y.count], weight: weight, eps: 1e-5, on: three)
      #expect(y.bits == whole[0..<y.count].bits)
    }
  }

  @Test("column sums, scaled columns and added rows are what they say")
  func columns() throws {
    var values = Values(10)
    for columns in oddSizes {
      let (x, dy) = (values.floats(30 * columns), values.floats(30 * columns))
      let scales = values.floats(columns)
      try compare("columns") { compute in
        let (sums, dScales) = (scales.copy, scales.copy)
        let (dx, y, z) = (Floats(zeros: x.count), Floats(zeros: x.count), x.copy)
        addColumnSums(into: sums, dy, on: compute)
        layerScaleBackward(dx: dx, dScales: dScales, dy: dy, x, scales: scales, on: compute)
        layerScale(into: y, x, scales: scales, on: compute)
        addToRows(z, scales, on: compute)
        return [sums, dScales, dx, y, z]
      } _: {
        let (sums, dScales) = (scales.copy, scales.copy)
        let (dx, y, z) = (Floats(zeros: x.count), Floats(zeros: x.count), x.copy)
        for i in 0..<x.count {
          let c = i % columns
          sums[c] += dy[i]
          dScales[c] += dy[i] * x[i]
          dx[i] = dy[i] * scales[c]
          y[i] = x[i] * scales[c]
          z[i] += scales[c]
        }
        return [sums, dScales, dx, y, z]
      }
    }
  }
}
