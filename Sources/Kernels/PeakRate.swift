internal import CKernels

/// The fused multiply-adds of one thread, measured: the roof under which every kernel stands.
///
/// - Parameter instructionSet: at most `InstructionSet.best`.
/// - Returns: the best of `runs` short measurements, in f32 GFLOP/s (two for a multiply-add).
public func peakGigaflops(
  _ instructionSet: InstructionSet = .best, runs: Int = 20
) -> Double {
  precondition(instructionSet <= .best, "\(instructionSet) is not supported by this processor")
  return (0..<max(1, runs)).reduce(0) { best, _ in
    max(best, ck_fma_rate(instructionSet.code) / 1e9)
  }
}
