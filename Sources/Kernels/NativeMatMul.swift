internal import CKernels

/// This project's own products: packed panels and register tiles in C.
///
/// Element (i, j) is one chain of fused multiply-adds over k in order, whatever the tiling: the
/// bits depend on row i of A, column j of B and the order of k alone, never on m, n, the threads
/// or the instruction set. That is what batch invariance and bit-identical training stand on.
/// Products of bf16 are sums of another fixed order, that of `halfMatmulReference`.
struct NativeMatMul: MatMul {
  func kernelSet(on compute: Compute) -> String { "native-fma-chain-1+bf16-groups-1" }

  var multipliesBF16: Bool { true }

  func multiply(into c: Floats, _ a: Floats, _ b: Floats, _ product: Product, on compute: Compute) {
    var call = unsafe call(into: c, a, product, compute.products)
    unsafe call.b = UnsafePointer(b.base)
    unsafe ck_matmul(compute.pool, &call)
  }

  func pack(
    _ b: Floats, _ product: Product, in memory: Arena, on compute: Compute
  ) -> PackedMatrix? {
    var call = unsafe ck_product()
    unsafe (call.n, call.k, call.b) = (product.n, product.k, UnsafePointer(b.base))
    unsafe call.ldb = product.transposeB ? product.k : product.n
    unsafe call.transpose_b = product.transposeB
    unsafe call.bf16 = compute.products == .bf16
    let panels = memory.floats(
      PackedMatrix.floats(outputs: product.n, inputs: product.k, on: compute))
    unsafe ck_pack(compute.pool, &call, panels.base)
    return PackedMatrix(
      n: product.n, k: product.k, codes: nil, instructionSet: compute.instructionSet,
      products: compute.products, panels: panels)
  }

  func multiply(
    into c: Floats, _ a: Floats, _ b: PackedMatrix, bias: Floats?, _ product: Product,
    on compute: Compute
  ) {
    var call = unsafe call(into: c, a, product, compute.products)
    unsafe call.bias = bias.map { unsafe UnsafePointer($0.base) }
    guard let layout = b.codes else {
      unsafe call.panels = UnsafeRawPointer(b.panels.base)
      unsafe ck_matmul(compute.pool, &call)
      return
    }
    var codes = unsafe layout.description(of: b.panels)
    unsafe withUnsafePointer(to: &codes) { codes in
      unsafe call.codes = codes
      unsafe ck_matmul(compute.pool, &call)
    }
  }

  private func call(
    into c: Floats, _ a: Floats, _ product: Product, _ products: ProductPrecision
  ) -> ck_product {
    var call = unsafe ck_product()
    unsafe (call.m, call.n, call.k) = (product.m, product.n, product.k)
    unsafe (call.a, call.c) = (UnsafePointer(a.base), c.base)
    unsafe call.lda = product.transposeA ? product.m : product.k
    unsafe call.ldb = product.transposeB ? product.k : product.n
    unsafe call.ldc = product.n
    unsafe call.transpose_a = product.transposeA
    unsafe call.transpose_b = product.transposeB
    unsafe call.accumulate = product.accumulate
    unsafe call.bf16 = products == .bf16
    return unsafe call
  }
}
