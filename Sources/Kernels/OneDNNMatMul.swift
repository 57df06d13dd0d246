internal import COneDNN
internal import Synchronization

/// oneDNN's matmul, on one OpenMP thread per call; matrices stay as they lie, nothing is repacked
/// between calls.
///
/// It picks its kernels by itself from the processor and the shape; `kernelSet` names the best
/// instructions that it may use. Calls on one `Compute` take turns.
final class OneDNNMatMul: MatMul {
  private let state: Mutex<OneDNNState>

  /// - Throws: `KernelError.backendUnavailable` when the library has no CPU engine.
  init() throws(KernelError) {
    state = Mutex(try OneDNNState())
  }

  func kernelSet(on compute: Compute) -> String {
    guard let version = unsafe dnnl_version()?.pointee else { return "onednn-unknown" }
    let isa = dnnl_get_effective_cpu_isa().rawValue
    return unsafe "onednn-\(version.major).\(version.minor).\(version.patch)-isa\(isa)"
  }

  func multiply(into c: Floats, _ a: Floats, _ b: Floats, _ product: Product, on compute: Compute) {
    guard product.k > 0 else {
      if !product.accumulate { c.fill(0) }
      return
    }
    state.withLock { $0.multiply(into: c, a, b, product) }
  }
}

/// The library's handles, and one primitive for each shape seen.
@safe
private struct OneDNNState: ~Copyable {
  /// A shape's primitive and the descriptions of its matrices.
  @safe
  private struct Primitive {
    let handle: OpaquePointer
    let a, b, c: dnnl_memory_desc_t
  }

  private struct Shape: Hashable {
    let m, n, k: Int
    let transposeA, transposeB, accumulate: Bool
  }

  /// Beyond so many shapes all are forgotten: generation makes a new one with each length.
  private static let shapesMax = 512

  private let engine: OpaquePointer
  private let stream: OpaquePointer
  private var primitives: [Shape: Primitive] = [:]

  init() throws(KernelError) {
    var engine: OpaquePointer?
    var stream: OpaquePointer?
    guard unsafe dnnl_engine_create(&engine, dnnl_cpu, 0) == dnnl_success,
      let engine = unsafe engine,
      unsafe dnnl_stream_create(&stream, engine, dnnl_stream_default_flags.rawValue)
        == dnnl_success,
      let stream = unsafe stream
    else { throw .backendUnavailable(.oneDNN, reason: "it gives no engine for this processor") }
    unsafe self.engine = unsafe engine
    unsafe self.stream = unsafe stream
  }

  deinit {
    for primitive in primitives.values { unsafe dnnl_primitive_destroy(primitive.handle) }
    unsafe dnnl_stream_destroy(stream)
    unsafe dnnl_engine_destroy(engine)
  }

  mutating func multiply(into c: Floats, _ a: Floats, _ b: Floats, _ product: Product) {
    comd_one_openmp_thread()
    let primitive = primitive(for: product)
    let operands = [
      (DNNL_ARG_SRC, primitive.a, a), (DNNL_ARG_WEIGHTS, primitive.b, b),
      (DNNL_ARG_DST, primitive.c, c),
    ]
    var arguments = unsafe operands.map { argument, description, floats in
      var description = description
      var memory: OpaquePointer?
      unsafe check(dnnl_memory_create(&memory, &description, engine, floats.base), product)
      return unsafe dnnl_exec_arg_t(arg: argument, memory: memory)
    }
    unsafe check(
      dnnl_primitive_execute(primitive.handle, stream, Int32(arguments.count), &arguments), product)
    unsafe check(dnnl_stream_wait(stream), product)
    unsafe arguments.forEach { unsafe dnnl_memory_destroy($0.memory) }
  }

  private mutating func primitive(for product: Product) -> Primitive {
    let shape = Shape(
      m: product.m, n: product.n, k: product.k, transposeA: product.transposeA,
      transposeB: product.transposeB, accumulate: product.accumulate)
    if let known = primitives[shape] { return known }
    if primitives.count >= Self.shapesMax {
      for primitive in primitives.values { unsafe dnnl_primitive_destroy(primitive.handle) }
      primitives.removeAll()
    }
    let primitive = make(product)
    primitives[shape] = primitive
    return primitive
  }

  private func make(_ product: Product) -> Primitive {
    let (m, n, k) = (product.m, product.n, product.k)
    let a = describe(m, k, product.transposeA, product)
    let b = describe(k, n, product.transposeB, product)
    let c = describe(m, n, false, product)
    var (x, y, z) = (a, b, c)
    var operation = dnnl_matmul_desc_t()
    unsafe check(dnnl_matmul_desc_init(&operation, &x, &y, nil, &z), product)
    var attributes: OpaquePointer?
    unsafe check(dnnl_primitive_attr_create(&attributes), product)
    if product.accumulate {
      var after: OpaquePointer?
      unsafe check(dnnl_post_ops_create(&after), product)
      unsafe check(dnnl_post_ops_append_sum(after, 1), product)
      unsafe check(dnnl_primitive_attr_set_post_ops(attributes, after), product)
      unsafe dnnl_post_ops_destroy(after)
    }
    var description: OpaquePointer?
    unsafe check(
      dnnl_primitive_desc_create(&description, &operation, attributes, engine, nil), product)
    var handle: OpaquePointer?
    unsafe check(dnnl_primitive_create(&handle, description), product)
    unsafe dnnl_primitive_desc_destroy(description)
    unsafe dnnl_primitive_attr_destroy(attributes)
    guard let handle = unsafe handle else { preconditionFailure("no primitive for \(product)") }
    return unsafe Primitive(handle: handle, a: a, b: b, c: c)
  }

  /// A row-major matrix, or the transpose of one.
  private func describe(
    _ rows: Int, _ columns: Int, _ transposed: Bool, _ product: Product
  ) -> dnnl_memory_desc_t {
    var description = dnnl_memory_desc_t()
    let sizes = [Int64(rows), Int64(columns)]
    let strides = transposed ? [1, Int64(rows)] : [Int64(columns), 1]
    unsafe check(
      dnnl_memory_desc_init_by_strides(&description, 2, sizes, dnnl_f32, strides), product)
    return description
  }

  /// The library refuses only shapes that `matmul` has excluded.
  private func check(_ status: dnnl_status_t, _ product: Product) {
    precondition(status == dnnl_success, "oneDNN refuses \(product): status \(status.rawValue)")
  }
}
