internal import COpenBLAS

/// OpenBLAS, on one thread per call.
///
/// Its results depend on the number of rows and on the kernels it chose: for measurements and
/// comparisons, not where results must be the same in any batch.
@safe
struct OpenBLASMatMul: MatMul {
  // Filled once, before it is handed out, and never changed.
  nonisolated(unsafe) private let library: UnsafePointer<comd_openblas>

  /// - Throws: `KernelError.backendUnavailable` when the library is missing.
  init() throws(KernelError) {
    // It does not know processors newer than itself and would take the kernels of an old one.
    let prefer: StaticString? = InstructionSet.best == .avx512 ? "SkylakeX" : nil
    var reason: UnsafePointer<CChar>?
    let loaded =
      unsafe prefer.map { name in
        name.withUTF8Buffer { bytes in
          unsafe bytes.withMemoryRebound(to: CChar.self) {
            unsafe comd_openblas_load($0.baseAddress, &reason)
          }
        }
      } ?? comd_openblas_load(nil, &reason)
    guard let loaded = unsafe loaded else {
      let text = unsafe reason.map { unsafe String(cString: $0) }
      throw .backendUnavailable(.openBLAS, reason: text ?? "it cannot be loaded")
    }
    unsafe library = unsafe loaded
  }

  func kernelSet(on compute: Compute) -> String {
    let config = unsafe String(cString: library.pointee.config).split(separator: " ")
    let core = unsafe String(cString: library.pointee.core)
    return "openblas-\(config.dropFirst().first ?? "unknown")-\(core)"
  }

  func multiply(into c: Floats, _ a: Floats, _ b: Floats, _ product: Product, on compute: Compute) {
    let (rowMajor, plain, transposed) = (101 as Int32, 111 as Int32, 112 as Int32)
    let (m, n, k) = (Int32(product.m), Int32(product.n), Int32(product.k))
    unsafe library.pointee.sgemm(
      rowMajor, product.transposeA ? transposed : plain, product.transposeB ? transposed : plain,
      m, n, k, 1, a.base, max(1, product.transposeA ? m : k),
      b.base, max(1, product.transposeB ? k : n), product.accumulate ? 1 : 0, c.base, n)
  }
}
