/// What the world can do to the compute room; a wrong shape is our bug and a precondition instead.
public enum KernelError: Error, Equatable, Sendable, CustomStringConvertible {
  case file(path: String, reason: FileReason)
  /// A library that a `MatMul` backend stands on is missing or cannot do what was asked.
  case backendUnavailable(MatMulBackend, reason: String)

  public enum FileReason: Equatable, Sendable {
    case notReadable(errorNumber: Int32)
    case notMappable(errorNumber: Int32)
    case tooShort(bytes: Int, needed: Int)
  }

  public var description: String {
    switch self {
    case .file(let path, .notReadable(let number)):
      "\(path): cannot be opened (errno \(number)); check that it exists and may be read"
    case .file(let path, .notMappable(let number)):
      "\(path): cannot be mapped (errno \(number)); check the limit on memory (ulimit -v)"
    case .file(let path, .tooShort(let bytes, let needed)):
      "\(path): has \(bytes) bytes where \(needed) are needed; it is truncated, fetch it again"
    case .backendUnavailable(let backend, let reason):
      "matrix products by \(backend.rawValue) are not available: \(reason); use 'native'"
    }
  }
}
