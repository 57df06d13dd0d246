import Foundation
import Kernels
import TestSupport
import Testing

@Suite("Operations on elements")
struct ElementTests {
  /// Both ends of the range, the middle densely, and counts that leave a rest.
  static let inputs: [Float] =
    (0...4001).map { Float($0 - 2000) / 100 }
    + [0, -0.0, 1e-30, -1e-30, 88, -88, 103, -103, 1000, -1000, 3e38, -3e38]
    + (1...60).map { Float($0) * -1.5 }

  @Test("activations and their derivatives equal their twins", arguments: Activation.allCases)
  func activations(activation: Activation) throws {
    let x = Floats(Self.inputs)
    var values = Values(1)
    let dy = values.floats(x.count)
    let (expected, dExpected) = (Floats(zeros: x.count), Floats(zeros: x.count))
    activateReference(into: expected, x, activation)
    activateBackwardReference(dx: dExpected, dy: dy, x, activation)
    var first: [[UInt32]]?
    for compute in try everyCompute() {
      let (y, dx) = (Floats(zeros: x.count), Floats(zeros: x.count))
      activate(into: y, x, activation, on: compute)
      activateBackward(dx: dx, dy: dy, x, activation, on: compute)
      for i in 0..<x.count {
        let near = abs(y[i] - expected[i]) <= 2e-6 * abs(expected[i]) + 1e-12
        #expect(near, "f(\(x[i])) = \(y[i]), expected \(expected[i])")
        #expect(abs(dx[i] - dExpected[i]) <= 2e-6, "f'(\(x[i])) = \(dx[i]), not \(dExpected[i])")
      }
      #expect([y.bits, dx.bits] == first ?? [y.bits, dx.bits])
      first = [y.bits, dx.bits]
    }
  }

  @Test(
    "gated units and their derivatives equal their twins, also in place", arguments: oddSizes,
    GateFunction.allCases)
  func gatedUnit(count: Int, function: GateFunction) throws {
    var values = Values(UInt64(count))
    let gate = values.floats(count, scale: 9)
    let (up, dh) = (values.floats(count), values.floats(count))
    let expected = (0..<3).map { _ in Floats(zeros: count) }
    gatedReference(into: expected[0], gate: gate, up: up, function)
    gatedBackwardReference(
      dGate: expected[1], dUp: expected[2], dh: dh, gate: gate, up: up, function)
    for compute in try everyCompute() {
      let h = Floats(zeros: count)
      gated(into: h, gate: gate, up: up, function, on: compute)
      let (g, u) = (gate.copy, up.copy)
      gatedBackward(dGate: g, dUp: u, dh: dh, gate: g, up: u, function, on: compute)
      for (result, wanted) in zip([h, g, u], expected) {
        #expect(relativeDifference(result.array, wanted.array) < 2e-6)
      }
    }
  }

  @Test("rounding to bf16 is to the nearest, ties to even, in any place of a row")
  func rounding() throws {
    let quiet = Float(bitPattern: 0x7fc0_0000)
    let cases: [(Float, Float)] = [
      (1, 1), (-0.0, -0.0), (0x1.01p0, 1), (0x1.03p0, 0x1.04p0), (0x1.010002p0, 0x1.02p0),
      (-0x1.05p0, -0x1.04p0), (.greatestFiniteMagnitude, .infinity), (-.infinity, -.infinity),
      (.leastNonzeroMagnitude, 0), (Float(bitPattern: 0x7f80_0001), quiet),
    ]
    for compute in try everyCompute() {
      for count in 1...40 {
        let wanted = (0..<count).map { cases[$0 % cases.count] }
        let x = Floats(wanted.map(\.0))
        roundToBF16(x, on: compute)
        #expect(x.bits == wanted.map(\.1.bitPattern))
      }
    }
  }

  @Test("exp is within 2 ulp from −87 to 88, and right at and beyond the ends of the range")
  func exponentials() throws {
    let dense = (0...40_000).map { Float($0) * (175.0 / 40_000) - 87 }
    let ends: [Float] = [-.infinity, -200, -104, -103, -95, 88.7, 88.8, 1000, .infinity, .nan]
    for compute in try everyCompute() {
      let y = Floats(zeros: dense.count)
      exponential(into: y, Floats(dense), on: compute)
      var worst = 0.0
      for (x, value) in zip(dense, y.array) {
        let exact = exp(Double(x))
        worst = max(worst, abs(Double(value) - exact) / Double(Float(exact).ulp))
      }
      #expect(worst < 2, "\(worst) ulp")
      let e = Floats(zeros: ends.count)
      exponential(into: e, Floats(ends), on: compute)
      #expect(e[0] == 0 && e[1] == 0 && e[2] == 0 && e[9].isNaN)
      #expect(e[6] == .infinity && e[7] == .infinity && e[8] == .infinity)
      for i in 3...5 {
        #expect(abs(Double(e[i]) - exp(Double(ends[i]))) <= 2 * Double(e[i].ulp))
      }
    }
  }

  @Test("AdamW gives the bits of its twin, step after step", arguments: oddSizes)
  func adamWSteps(count: Int) throws {
    var values = Values(UInt64(count) + 5)
    let start = values.floats(count)
    let gradients = (0..<3).map { _ in values.floats(count, scale: 1e-2) }
    let expected = [start.copy, Floats(zeros: count), Floats(zeros: count)]
    func step(_ i: Int) -> AdamWStep {
      AdamWStep(
        index: i + 1, learningRate: 1e-3, beta2: 0.98, weightDecay: 0.05, gradientScale: 0.37)
    }
    for (i, gradient) in gradients.enumerated() {
      adamWReference(
        expected[0], firstMoments: expected[1], secondMoments: expected[2], gradients: gradient,
        step(i))
    }
    for compute in try everyCompute() {
      let state = [start.copy, Floats(zeros: count), Floats(zeros: count)]
      for (i, gradient) in gradients.enumerated() {
        adamW(
          state[0], firstMoments: state[1], secondMoments: state[2], gradients: gradient,
          step(i), on: compute)
      }
      #expect(state.map(\.bits) == expected.map(\.bits))
    }
  }

  @Test("AdamW does what PyTorch does in one step worked by hand")
  func adamWByHand() throws {
    // w 1, g 0.5: m 0.05, v 0.00025, both corrected to 0.5 and 0.25;
    // w·(1 − 0.1·0.01) − 0.1·0.5/(0.5 + 1e-8) = 0.999 − 0.1
    let w = Floats([1])
    adamW(
      w, firstMoments: Floats(zeros: 1), secondMoments: Floats(zeros: 1), gradients: Floats([0.5]),
      AdamWStep(index: 1, learningRate: 0.1, weightDecay: 0.01), on: try Compute())
    #expect(abs(w[0] - 0.899) < 1e-6)
  }

  @Test(
    "a sum of squares is near its twin and the same bits everywhere",
    arguments: [
      0, 1, 7, 63, 4096, 4097, 100_000, 2_200_000,
    ])
  func squares(count: Int) throws {
    var values = Values(UInt64(count) + 6)
    let x = values.floats(count, scale: 1e-3)
    let expected = sumOfSquaresReference(x)
    var first: Double?
    for compute in try everyCompute() {
      let sum = sumOfSquares(x, on: compute)
      #expect(abs(sum - expected) <= 1e-12 * expected)
      #expect(sum == first ?? sum)
      first = sum
    }
  }

  @Test("sums and scalings are what they say", arguments: oddSizes)
  func simple(count: Int) throws {
    var values = Values(UInt64(count) + 7)
    let (x, y) = (values.floats(count), values.floats(count))
    for compute in try everyCompute() {
      let (sum, scaled, both, apart) = (y.copy, x.copy, y.copy, Floats(unfilled: count))
      add(into: sum, x, on: compute)
      add(x, y, into: apart, on: compute)
      scale(scaled, by: 3, on: compute)
      addScaled(into: both, x, by: -2, on: compute)
      for i in 0..<count {
        #expect(sum[i] == y[i] + x[i] && scaled[i] == x[i] * 3)
        #expect(apart[i] == sum[i])
        #expect(both[i] == y[i].addingProduct(-2, x[i]))
      }
    }
  }

  @Test("rows are gathered, and added back in order where an id stands twice")
  func embedding() throws {
    let table = Floats([1, 2, 3, 4, 5, 6])
    let rows = Floats(zeros: 6)
    gatherRows(into: rows, table, ids: [2, 0, 2], columns: 2)
    #expect(rows.array == [5, 6, 1, 2, 5, 6])
    let gradient = Floats(zeros: 6)
    scatterAddRows(into: gradient, rows, ids: [2, 0, 2], columns: 2, on: try Compute())
    #expect(gradient.array == [1, 2, 0, 0, 10, 12])
  }

  @Test("a picture is cut into patches in the order of a convolution's weight")
  func patches() {
    let pixels = Floats((0..<2 * 3 * 5).map(Float.init))
    let rows = Floats(zeros: 2 * 2 * 2 * 2)
    unfoldPatches(into: rows, pixels, channels: 2, height: 3, width: 5, patch: 2)
    #expect(rows.array == [0, 1, 5, 6, 15, 16, 20, 21, 2, 3, 7, 8, 17, 18, 22, 23])
  }
}
