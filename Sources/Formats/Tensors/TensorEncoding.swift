/// How a tensor's elements are stored: plain, or in the blocks of ggml's quantisations.
public enum TensorEncoding: Hashable, Sendable {
  case f32, f16, bf16
  case q4_0, q4_1, q5_0, q5_1, q8_0, q4_K, q5_K, q6_K
  /// Known to the container and not to us; reading such a tensor is an error, its neighbours' not.
  case other(String, bytesPerBlock: Int, elementsPerBlock: Int)

  /// Elements that are stored together; a row is a whole number of blocks.
  public var elementsPerBlock: Int {
    switch self {
    case .f32, .f16, .bf16: 1
    case .q4_0, .q4_1, .q5_0, .q5_1, .q8_0: 32
    case .q4_K, .q5_K, .q6_K: 256
    case .other(_, _, let elements): elements
    }
  }

  public var bytesPerBlock: Int {
    switch self {
    case .f32: 4
    case .f16, .bf16: 2
    case .q4_0: 2 + 16
    case .q4_1: 4 + 16
    case .q5_0: 2 + 4 + 16
    case .q5_1: 4 + 4 + 16
    case .q8_0: 2 + 32
    case .q4_K: 4 + 12 + 128
    case .q5_K: 4 + 12 + 32 + 128
    case .q6_K: 128 + 64 + 16 + 2
    case .other(_, let bytes, _): bytes
    }
  }
}
