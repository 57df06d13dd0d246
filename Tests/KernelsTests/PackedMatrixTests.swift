import Kernels
import Testing

@Suite("A packed matrix")
struct PackedMatrixTests {
  @Test("gives every product the bits of the matrix as it lies, on every set and thread count")
  func sameBits() throws {
    var values = Values(5)
    for compute in try everyCompute() {
      for (m, n, k) in MatMulTests.shapes {
        let (a, b, start) = (
          values.floats(m * k), values.floats(k * n), values.floats(m * n)
        )
        for variant in 0..<8 {
          let product = Product(
            m: m, n: n, k: k, transposeA: variant & 1 != 0, transposeB: variant & 2 != 0,
            accumulate: variant & 4 != 0)
          let expected = start.copy
          matmulReference(into: expected, a, b, product)
          let packed = try #require(pack(b, product, in: Arena(), on: compute))
          let c = start.copy
          matmul(into: c, a, packed, product, on: compute)
          #expect(c.bits == expected.bits, "\(product) on \(compute.instructionSet)")
        }
      }
    }
  }

  @Test("begins its sums with a bias as if it had been in every row of C, terms or none")
  func bias() throws {
    var values = Values(8)
    for compute in try everyCompute() {
      for (m, n, k) in MatMulTests.shapes {
        let (a, b, bias) = (values.floats(m * k), values.floats(k * n), values.floats(n))
        var product = Product(m: m, n: n, k: k, transposeB: true)
        let packed = try #require(pack(b, product, in: Arena(), on: compute))
        let (expected, found) = (Floats(zeros: m * n), values.floats(m * n))
        for row in 0..<m { expected[row * n..<(row + 1) * n].copy(from: bias) }
        matmul(into: found, a, packed, bias: bias, product, on: compute)
        product.accumulate = true
        matmulReference(into: expected, a, b, product)
        #expect(found.bits == expected.bits, "\(product) on \(compute.instructionSet)")
      }
    }
  }

  @Test("gives its rows back, and says beforehand what it takes")
  func rows() throws {
    var values = Values(7)
    for compute in try everyCompute() {
      for (n, k) in [(1, 5), (70, 256), (33, 600)] {
        let weight = values.floats(n * k)
        let packed = try #require(packLinear(weight, outputs: n, in: Arena(), on: compute))
        let ids = [0, n - 1, n / 2].map { Int32($0) }
        let rows = Floats(zeros: 3 * k)
        packed.gatherRows(into: rows, ids: ids, on: compute)
        let expected = ids.flatMap { weight[Int($0) * k..<(Int($0) + 1) * k].array }
        #expect(rows.array == expected)
        #expect(
          PackedMatrix.bytes(outputs: n, inputs: k, codes: nil, on: compute) == packed.bytes)
      }
    }
  }

  @Test("is read for any number of rows once it is there")
  func anyRows() throws {
    let (n, k, rows) = (200, 300, 40)
    var values = Values(6)
    let (a, b) = (values.floats(rows * k), values.floats(n * k))
    let compute = try Compute(threads: 2)
    let packed = try #require(packLinear(b, outputs: n, in: Arena(), on: compute))
    #expect(packed.bytes >= 4 * n * k)
    for m in 1...rows {
      let (c, expected) = (Floats(zeros: m * n), Floats(zeros: m * n))
      let product = Product(m: m, n: n, k: k, transposeB: true)
      matmul(into: c, a[0..<m * k], packed, product, on: compute)
      matmul(into: expected, a[0..<m * k], b, product, on: compute)
      #expect(c.bits == expected.bits, "\(m) rows")
    }
  }

  @Test("of a backend that has no layout of its own is none")
  func otherBackends() throws {
    let compute = try Compute(matMul: .reference)
    #expect(packLinear(Floats([1, 2, 3, 4]), outputs: 2, in: Arena(), on: compute)?.n == nil)
  }
}
