import Kernels
import TestSupport
import Testing

@Suite("A linear layer")
struct LinearTests {
  @Test("and its derivatives are the sums that they stand for", arguments: oddSizes)
  func sums(inputs: Int) throws {
    let (rows, outputs) = (5, 11)
    var values = Values(UInt64(inputs))
    let (x, weight) = (values.floats(rows * inputs), values.floats(outputs * inputs))
    let (bias, dy) = (values.floats(outputs), values.floats(rows * outputs))
    let (y, dx) = (Floats(zeros: rows * outputs), Floats(zeros: rows * inputs))
    let (dWeight, dBias) = (weight.copy, bias.copy)
    let (dWanted, bWanted, yWanted) = (weight.copy, bias.copy, Floats(zeros: rows * outputs))
    let xWanted = Floats(zeros: rows * inputs)
    for t in 0..<rows {
      for o in 0..<outputs {
        var sum = bias[o]
        for i in 0..<inputs {
          sum += x[t * inputs + i] * weight[o * inputs + i]
          dWanted[o * inputs + i] += dy[t * outputs + o] * x[t * inputs + i]
          xWanted[t * inputs + i] += dy[t * outputs + o] * weight[o * inputs + i]
        }
        yWanted[t * outputs + o] = sum
        bWanted[o] += dy[t * outputs + o]
      }
    }
    let compute = try Compute(threads: 2)
    linear(into: y, x, weight: weight, bias: bias, rows: rows, on: compute)
    linearBackward(
      dx: dx, dWeight: dWeight, dBias: dBias, dy: dy, x, weight: weight, rows: rows, on: compute)
    for (result, wanted) in [(y, yWanted), (dx, xWanted), (dWeight, dWanted), (dBias, bWanted)] {
      #expect(relativeDifference(result.array, wanted.array) < 3e-6)
    }
    let once = dx.copy
    linearBackward(
      dx: dx, dWeight: nil, dBias: nil, dy: dy, x, weight: weight, rows: rows,
      accumulateInput: true, on: compute)
    scale(once, by: 2, on: compute)
    #expect(relativeDifference(dx.array, once.array) < 3e-6)
  }
}
