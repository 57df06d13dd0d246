import Kernels
import TestSupport
import Testing

@Suite("A native product")
struct MatMulTests {
  static let shapes = [
    (1, 1, 1), (1, 576, 192), (2, 33, 7), (6, 65, 63), (7, 64, 300), (9, 192, 192),
    (14, 32, 256), (15, 31, 257), (29, 100, 65), (63, 1, 576), (113, 130, 17), (225, 77, 515),
    (40, 1030, 33),
  ]

  @Test("is bit for bit one chain of multiply-adds, on every instruction set and thread count")
  func chain() throws {
    let computes = try everyCompute()
    var values = Values(1)
    for (m, n, k) in Self.shapes {
      for variant in 0..<8 {
        let product = Product(
          m: m, n: n, k: k, transposeA: variant & 1 != 0, transposeB: variant & 2 != 0,
          accumulate: variant & 4 != 0)
        let (a, b) = (values.floats(m * k), values.floats(k * n))
        let start = values.floats(m * n)
        let expected = start.copy
        matmulReference(into: expected, a, b, product)
        for compute in computes {
          // Surrounded by guards: nothing outside C is written.
          let memory = Floats([Float](repeating: 7, count: m * n + 2))
          let c = memory[1..<m * n + 1]
          c.copy(from: start)
          matmul(into: c, a, b, product, on: compute)
          #expect(c.bits == expected.bits, "\(product) on \(compute.instructionSet)")
          #expect(memory[0] == 7 && memory[m * n + 1] == 7)
        }
      }
    }
  }

  @Test("gives a row the same bits among any number of rows, with 1 and 2 threads")
  func rowInvariance() throws {
    let (n, k, rows) = (200, 300, 256)
    var values = Values(2)
    let (a, b) = (values.floats(rows * k), values.floats(n * k))
    let one = try Compute(threads: 1)
    let two = try Compute(threads: 2)
    let whole = Floats(zeros: rows * n)
    matmul(into: whole, a, b, Product(m: rows, n: n, k: k, transposeB: true), on: one)
    let expected = whole.bits
    for m in 1...rows {
      for compute in [one, two] {
        let c = Floats(zeros: m * n)
        let product = Product(m: m, n: n, k: k, transposeB: true)
        matmul(into: c, a[0..<m * k], b, product, on: compute)
        #expect(c.bits.elementsEqual(expected[..<(m * n)]), "\(m) rows")
      }
    }
  }

  @Test("of nothing is zero, or leaves what is accumulated")
  func empty() throws {
    let compute = try Compute()
    let c = Floats([1, 2])
    matmul(
      into: c, Floats([]), Floats([]), Product(m: 1, n: 2, k: 0, accumulate: true), on: compute)
    #expect(c.array == [1, 2])
    matmul(into: c, Floats([]), Floats([]), Product(m: 1, n: 2, k: 0), on: compute)
    #expect(c.array == [0, 0])
  }

  @Test("carries the extremes of the range and not-a-number to their own row and column alone")
  func extremes() throws {
    let compute = try Compute()
    let tiny = Float.leastNormalMagnitude / 8
    let a = Floats([Float.greatestFiniteMagnitude, 1, .nan, 1, tiny, 1])
    let b = Floats([2, 1e-3, 0, 1])
    let c = Floats(zeros: 6)
    matmul(into: c, a, b, Product(m: 3, n: 2, k: 2), on: compute)
    #expect(c[0] == .infinity && c[2].isNaN && c[3].isNaN)
    #expect(c[4] == 2 * tiny)
  }

  @Test("may run on several threads at once, each with a pool of its own or all with one")
  func concurrency() async throws {
    var values = Values(3)
    let (a, b) = (values.floats(60 * 90), values.floats(90 * 70))
    let product = Product(m: 60, n: 70, k: 90)
    let expected = Floats(zeros: 60 * 70)
    matmulReference(into: expected, a, b, product)
    let shared = try Compute(threads: 2)
    await withTaskGroup(of: Bool.self) { group in
      for index in 0..<6 {
        group.addTask {
          guard let own = try? Compute(threads: 2) else { return false }
          return (0..<20).allSatisfy { _ in
            let c = Floats(zeros: 60 * 70)
            matmul(into: c, a, b, product, on: index % 2 == 0 ? shared : own)
            return c.bits == expected.bits
          }
        }
      }
      for await equal in group { #expect(equal) }
    }
  }
}

@Suite("A product by a library")
struct LibraryMatMulTests {
  @Test(
    "agrees with the reference, and says which kernels it took",
    arguments: [
      MatMulBackend.openBLAS, .oneDNN,
    ])
  func agrees(backend: MatMulBackend) throws {
    let compute = try Compute(threads: 2, matMul: backend)
    var values = Values(4)
    for (m, n, k) in [(1, 1, 1), (7, 65, 33), (130, 96, 257)] {
      for variant in 0..<8 {
        let product = Product(
          m: m, n: n, k: k, transposeA: variant & 1 != 0, transposeB: variant & 2 != 0,
          accumulate: variant & 4 != 0)
        let (a, b) = (values.floats(m * k), values.floats(k * n))
        let c = values.floats(m * n)
        let expected = c.copy
        matmulReference(into: expected, a, b, product)
        matmul(into: c, a, b, product, on: compute)
        #expect(relativeDifference(c.array, expected.array) < 1e-5, "\(product)")
      }
    }
    #expect(compute.kernelSet.contains(backend.rawValue))
    // OpenBLAS by itself would take the kernels of an older processor.
    if backend == .openBLAS && InstructionSet.best == .avx512 {
      #expect(compute.kernelSet.hasSuffix("-SkylakeX"), "\(compute.kernelSet)")
    }
  }
}
