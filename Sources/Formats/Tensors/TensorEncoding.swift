/// How a tensor's elements are stored: plain, or in the blocks of ggml's quantisations.
public enum TensorEncoding: Hashable, Sendable {
  case f32, f16, bf16
  case q40, q41, q50, q51, q80, q4K, q5K, q6K
  /// Known to the container and not to us; reading such a tensor is an error, its neighbours' not.
  case other(String, bytesPerBlock: Int, elementsPerBlock: Int)

  /// Elements that are stored together; a row is a whole number of blocks.
  public var elementsPerBlock: Int {
    switch self {
    case .f32, .f16, .bf16: 1
    case .q40, .q41, .q50, .q51, .q80: 32
    case .q4K, .q5K, .q6K: 256
    case .other(_, _, let elements): elements
    }
  }

  public var bytesPerBlock: Int {
    switch self {
    case .f32: 4
    case .f16, .bf16: 2
    case .q40: 2 + 16
    case .q41: 4 + 16
    case .q50: 2 + 4 + 16
    case .q51: 4 + 4 + 16
    case .q80: 2 + 32
    case .q4K: 4 + 12 + 128
    case .q5K: 4 + 12 + 32 + 128
    case .q6K: 128 + 64 + 16 + 2
    case .other(_, let bytes, _): bytes
    }
  }
}
