internal import CKernels

/// What the numbers of products are.
public enum ProductPrecision: String, Hashable, Sendable, CaseIterable {
  case f32
  /// Both sides are rounded to bf16 first, to the nearest, ties to even; products and sums are f32,
  /// in the order of `halfMatmulReference`. Weights in codes of few bits are decoded and rounded.
  case bf16
}

/// Where kernels run: threads of its own, an instruction set, and a way to multiply matrices.
///
/// Pass one to every kernel. Results do not depend on `threads` nor on `instructionSet`.
/// Several threads may each have a `Compute`; if they share one, its calls take turns.
@safe
public final class Compute: Sendable {
  public let threads: Int
  public let instructionSet: InstructionSet
  public let matMul: any MatMul
  /// Of the products that `matmul` and `attention` are asked for.
  public let products: ProductPrecision
  private let owner: Pool
  // The pool locks itself; the pointer never changes.
  nonisolated(unsafe) let pool: OpaquePointer

  /// - Parameters:
  ///   - threads: 1…256, the calling thread included.
  ///   - matMul: who multiplies matrices.
  ///   - instructionSet: at most `InstructionSet.best`.
  ///   - isPinned: each thread but the calling one stays on a core of its own, from the second that
  ///     this process may use on; for machines that do nothing else. Linux alone does so.
  /// - Throws: `KernelError.backendUnavailable`.
  public init(
    threads: Int = 1, matMul: MatMulBackend = .native,
    instructionSet: InstructionSet = .best, isPinned: Bool = false
  ) throws(KernelError) {
    precondition((1...256).contains(threads), "1…256 threads expected, \(threads) given")
    precondition(instructionSet <= .best, "\(instructionSet) is not supported by this processor")
    self.matMul = try matMul.make()
    self.threads = threads
    self.instructionSet = instructionSet
    products = .f32
    owner = Pool(threads: threads, instructionSet, isPinned: isPinned)
    unsafe pool = owner.handle
  }

  private init(_ other: Compute, _ products: ProductPrecision) {
    (threads, instructionSet, matMul) = (other.threads, other.instructionSet, other.matMul)
    self.products = products
    owner = other.owner
    unsafe pool = owner.handle
  }

  /// The same threads with other products.
  /// - Precondition: bf16 is for native products and those of the reference.
  public func multiplying(_ products: ProductPrecision) -> Compute {
    precondition(
      products == .f32 || matMul.multipliesBF16, "\(type(of: matMul)) multiplies f32 alone")
    return products == self.products ? self : Compute(self, products)
  }

  /// Names everything that decides the bits of a result, but for the precision that is asked for
  /// each: for a run's manifest.
  public var kernelSet: String { "comd-kernels-2+\(matMul.kernelSet(on: self))" }
}

/// The threads, ended with the last `Compute` that uses them.
@safe
private final class Pool: Sendable {
  nonisolated(unsafe) let handle: OpaquePointer

  init(threads: Int, _ instructionSet: InstructionSet, isPinned: Bool) {
    guard let handle = unsafe ck_pool_create(Int32(threads), instructionSet.code, isPinned) else {
      preconditionFailure("the operating system refuses \(threads) threads")
    }
    unsafe self.handle = handle
  }

  deinit { unsafe ck_pool_destroy(handle) }
}
