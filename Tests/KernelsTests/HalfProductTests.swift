import Kernels
import TestSupport
import Testing

@Suite("A product of numbers rounded to bf16")
struct HalfProductTests {
  /// The naive twin.
  private func expected(
    _ start: Floats, _ a: Floats, _ b: Floats, _ product: Product
  ) throws -> [UInt32] {
    let c = start.copy
    matmul(
      into: c, a, b, product, on: try Compute(matMul: .reference).multiplying(.bf16))
    return c.bits
  }

  @Test("is bit for bit its naive twin's, packed and as it lies, on every set and thread count")
  func chain() throws {
    var values = Values(21)
    for (m, n, k) in MatMulTests.shapes {
      let (a, b, start) = (values.floats(m * k), values.floats(k * n), values.floats(m * n))
      for variant in 0..<8 {
        let product = Product(
          m: m, n: n, k: k, transposeA: variant & 1 != 0, transposeB: variant & 2 != 0,
          accumulate: variant & 4 != 0)
        let expected = try expected(start, a, b, product)
        for compute in try everyCompute().map({ $0.multiplying(.bf16) }) {
          let (lying, packed) = (start.copy, start.copy)
          matmul(into: lying, a, b, product, on: compute)
          #expect(lying.bits == expected, "\(product) on \(compute.instructionSet)")
          let matrix = try #require(pack(b, product, in: Arena(), on: compute))
          matmul(into: packed, a, matrix, product, on: compute)
          #expect(packed.bits == expected, "packed \(product) on \(compute.instructionSet)")
        }
      }
    }
  }

  @Test("counts subnormal numbers as 0, in terms, sums and what is added to")
  func subnormal() throws {
    var values = Values(24)
    let (m, n, k) = (33, 35, 70)
    // Products and sums around the smallest normal number, 2⁻¹²⁶.
    func small(_ count: Int, _ size: Float) -> Floats {
      let result = values.floats(count)
      for index in 0..<count { result[index] *= size }
      return result
    }
    let (a, b, start) = (small(m * k, 0x1p-62), small(k * n, 0x1p-62), small(m * n, 0x1p-126))
    for accumulate in [false, true] {
      let product = Product(m: m, n: n, k: k, accumulate: accumulate)
      let expected = try expected(start, a, b, product)
      let nothing = expected.filter { $0 << 1 == 0 }.count
      #expect(nothing > 10 && nothing < expected.count / 2)
      for compute in try everyCompute().map({ $0.multiplying(.bf16) }) {
        let c = start.copy
        matmul(into: c, a, b, product, on: compute)
        #expect(c.bits == expected, "\(compute.instructionSet)")
      }
    }
  }

  @Test("rounds to the nearest, ties to even, and keeps infinities and what is no number")
  func rounding() throws {
    let numbers: [(Float, Float)] = [
      (1, 1), (0x1.01p0, 0x1p0), (0x1.03p0, 0x1.04p0), (0x1.010002p0, 0x1.02p0),
      (-0x1.01p0, -0x1p0), (0x1p-140, 0), (Float.leastNormalMagnitude.nextDown, 0),
      (.greatestFiniteMagnitude, .infinity), (-.infinity, -.infinity), (0x1.fep-126, 0x1.fep-126),
    ]
    for compute in try everyCompute().map({ $0.multiplying(.bf16) }) {
      let count = numbers.count
      let (c, last) = (Floats(zeros: count), Floats(zeros: 1))
      let product = Product(m: count, n: 1, k: 1)
      matmul(into: c, Floats(numbers.map(\.0)), Floats([1]), product, on: compute)
      #expect(c.array == numbers.map(\.1), "\(compute.instructionSet)")
      for bits: UInt32 in [0x7fff_ffff, 0x7f80_0001, 0xffff_ffff] {
        let none = Floats([Float(bitPattern: bits)])
        matmul(into: last, none, Floats([1]), Product(m: 1, n: 1, k: 1), on: compute)
        #expect(last[0].isNaN)
        matmul(into: last, Floats([1]), none, Product(m: 1, n: 1, k: 1), on: compute)
        #expect(last[0].isNaN)
      }
    }
  }

  @Test("takes half the memory when packed, and gives rows back rounded")
  func memory() throws {
    var values = Values(22)
    for compute in try everyCompute().map({ $0.multiplying(.bf16) }) {
      for (n, k) in [(1, 5), (70, 256), (33, 600)] {
        let weight = values.floats(n * k)
        let packed = try #require(packLinear(weight, outputs: n, in: Arena(), on: compute))
        #expect(
          packed.bytes == PackedMatrix.bytes(outputs: n, inputs: k, codes: nil, on: compute))
        // Two bytes each, in whole panels and groups.
        #expect(packed.bytes == 2 * ((n + 15) / 16 * 16) * ((k + 31) / 32 * 32))
        let row = Floats(zeros: k)
        packed.gatherRows(into: row, ids: [Int32(n - 1)], on: compute)
        let one = Floats(zeros: k)
        matmul(
          into: one, Floats([1]), weight[(n - 1) * k..<n * k], Product(m: 1, n: k, k: 1),
          on: compute)
        #expect(row.bits == one.bits)
      }
    }
  }

  @Test("shares the threads of the compute that it came from")
  func sharing() throws {
    var values = Values(23)
    let compute = try Compute(threads: 2)
    let (a, b) = (values.floats(300 * 70), values.floats(70 * 90))
    let product = Product(m: 300, n: 90, k: 70)
    let expected = Floats(zeros: 300 * 90)
    matmulReference(into: expected, a, b, product)
    #expect(compute.multiplying(.f32) === compute)
    // The pool outlives the one that made it.
    let back = compute.multiplying(.bf16).multiplying(.f32)
    let c = Floats(zeros: 300 * 90)
    matmul(into: c, a, b, product, on: back)
    #expect(c.bits == expected.bits)
  }
}
