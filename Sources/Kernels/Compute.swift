internal import CKernels

/// Where kernels run: threads of its own, an instruction set, and a way to multiply matrices.
///
/// Pass one to every kernel. Results do not depend on `threads` nor on `instructionSet`.
/// Several threads may each have a `Compute`; if they share one, its calls take turns.
@safe
public final class Compute: Sendable {
  public let threads: Int
  public let instructionSet: InstructionSet
  public let matMul: any MatMul
  // The pool locks itself; the pointer never changes.
  nonisolated(unsafe) let pool: OpaquePointer

  /// - Parameters:
  ///   - threads: 1…256, the calling thread included.
  ///   - matMul: who multiplies matrices.
  ///   - instructionSet: at most `InstructionSet.best`.
  /// - Throws: `KernelError.backendUnavailable`.
  public init(
    threads: Int = 1, matMul: MatMulBackend = .native,
    instructionSet: InstructionSet = .best
  ) throws(KernelError) {
    precondition((1...256).contains(threads), "1…256 threads expected, \(threads) given")
    precondition(instructionSet <= .best, "\(instructionSet) is not supported by this processor")
    self.matMul = try matMul.make()
    self.threads = threads
    self.instructionSet = instructionSet
    guard let pool = unsafe ck_pool_create(Int32(threads), instructionSet.code) else {
      preconditionFailure("the operating system refuses \(threads) threads")
    }
    unsafe self.pool = pool
  }

  /// Names everything that decides the bits of a result: for a run's manifest.
  public var kernelSet: String { "comd-kernels-1+\(matMul.kernelSet(on: self))" }

  deinit { unsafe ck_pool_destroy(pool) }
}
