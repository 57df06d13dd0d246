/// A value of GGUF metadata. Whole numbers of every width become `Int64`, both floats `Double`.
public enum GGUFValue: Hashable, Sendable {
  case integer(Int64)
  case float(Double)
  case bool(Bool)
  case string(String)
  case integers([Int64])
  case floats([Double])
  case bools([Bool])
  case strings([String])

  /// What the value is, for error messages.
  var kind: String {
    switch self {
    case .integer(let value): "\(value)"
    case .float(let value): "\(value)"
    case .bool(let value): "\(value)"
    case .string(let value): "\"\(value.prefix(60))\""
    case .integers(let values): "\(values.count) integers"
    case .floats(let values): "\(values.count) floats"
    case .bools(let values): "\(values.count) booleans"
    case .strings(let values): "\(values.count) strings"
    }
  }
}
