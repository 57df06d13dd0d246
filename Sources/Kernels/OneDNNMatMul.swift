struct OneDNNMatMul: MatMul {
  init() throws(KernelError) {
    throw .backendUnavailable(.oneDNN, reason: "libdnnl cannot be loaded")
  }
  func kernelSet(on compute: Compute) -> String { "onednn" }
  func multiply(into c: Floats, _ a: Floats, _ b: Floats, _ product: Product, on compute: Compute) {
    matmulReference(into: c, a, b, product)
  }
}
