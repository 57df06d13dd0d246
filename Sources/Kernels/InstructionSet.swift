internal import CKernels

/// The vector instructions that the kernels use. Results are the same bits with each of them.
public enum InstructionSet: String, CaseIterable, Comparable, Sendable {
  /// Plain C; runs everywhere, but emulates fused multiply-add where the processor has none.
  case portable
  /// AVX2 and FMA3: x86-64 since 2013.
  case avx2
  /// AVX-512 F, VL, BW, DQ.
  case avx512
  /// The same and VNNI, which multiplies four whole numbers of 8 bits at a time.
  case avx512vnni
  /// The same and AMX, which multiplies tiles of numbers of bf16 or of 8 bits.
  case avx512amx

  /// The best one that this processor and its operating system support.
  public static let best: InstructionSet =
    switch ck_isa_best() {
    case CK_ISA_AVX512_AMX: .avx512amx
    case CK_ISA_AVX512_VNNI: .avx512vnni
    case CK_ISA_AVX512: .avx512
    case CK_ISA_AVX2: .avx2
    case CK_ISA_PORTABLE: .portable
    default: .portable
    }

  /// Those that this processor supports, slowest first.
  public static var supported: [InstructionSet] { allCases.filter { $0 <= best } }

  public static func < (a: Self, b: Self) -> Bool { a.code.rawValue < b.code.rawValue }

  var code: ck_isa {
    switch self {
    case .portable: CK_ISA_PORTABLE
    case .avx2: CK_ISA_AVX2
    case .avx512: CK_ISA_AVX512
    case .avx512vnni: CK_ISA_AVX512_VNNI
    case .avx512amx: CK_ISA_AVX512_AMX
    }
  }
}
