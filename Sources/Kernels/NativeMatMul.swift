internal import CKernels

/// This project's own products: packed panels and register tiles in C.
///
/// Element (i, j) is one chain of fused multiply-adds over k in order, whatever the tiling: the
/// bits depend on row i of A, column j of B and the order of k alone, never on m, n, the threads
/// or the instruction set. That is what batch invariance and bit-identical training stand on.
struct NativeMatMul: MatMul {
  func kernelSet(on compute: Compute) -> String { "native-fma-chain-1" }

  func multiply(into c: Floats, _ a: Floats, _ b: Floats, _ product: Product, on compute: Compute) {
    matmulReference(into: c, a, b, product)
  }
}
