struct OpenBLASMatMul: MatMul {
  init() throws(KernelError) {
    throw .backendUnavailable(.openBLAS, reason: "libopenblas.so.0 cannot be loaded")
  }
  func kernelSet(on compute: Compute) -> String { "openblas" }
  func multiply(into c: Floats, _ a: Floats, _ b: Floats, _ product: Product, on compute: Compute) {
    matmulReference(into: c, a, b, product)
  }
}
