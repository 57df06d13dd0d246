internal import CKernels

/// What a processor's multiply-adds may be of.
public enum MultipliedNumbers: Sendable, CaseIterable {
  case f32, bf16, int8
}

/// The multiply-adds of one thread, measured: the roof under which every kernel stands.
///
/// - Parameters:
///   - numbers: what is multiplied, by the set's quickest instruction for it.
///   - instructionSet: at most `InstructionSet.best`.
/// - Returns: the best of `runs` short measurements, in GFLOP/s (two for a multiply-add).
public func peakGigaflops(
  _ numbers: MultipliedNumbers = .f32, _ instructionSet: InstructionSet = .best, runs: Int = 20
) -> Double {
  precondition(instructionSet <= .best, "\(instructionSet) is not supported by this processor")
  let isa = instructionSet.code
  return (0..<max(1, runs)).reduce(0) { best, _ in
    let rate =
      switch numbers {
      case .f32: ck_fma_rate(isa)
      case .bf16: ck_half_rate(isa)
      case .int8: ck_whole_rate(isa)
      }
    return max(best, rate / 1e9)
  }
}
