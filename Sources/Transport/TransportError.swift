import Glibc

/// What keeps a message or a socket from working. The world's fault, not the program's.
public enum TransportError: Error, Hashable, Sendable {
  case bind(endpoint: String, reason: String)
  case connect(endpoint: String, reason: String)
  /// Not a CURVE key.
  case key(reason: String)
  /// The bounded queue of outgoing messages is full: wait, then send again.
  case full(limit: String)
  /// No connection with the server at the moment.
  case notConnected
  /// The peer's connection is gone, or its key was revoked.
  case unreachable(ConnectionID)
  case tooLarge(bytes: Int, limit: Int)
  /// A message needs at least one frame.
  case noFrames
  case closed
  case accessFile(path: String, reason: String)
  case system(call: String, reason: String)
}

extension TransportError {
  /// Why a call to the system, made just before, has failed.
  static func lastSystemCall(_ call: String) -> TransportError {
    .system(call: call, reason: unsafe String(cString: strerror(errno)))
  }
}

extension TransportError: CustomStringConvertible {
  public var description: String {
    switch self {
    case .bind(let endpoint, let reason):
      "cannot listen on \(endpoint): \(reason); choose another address or port"
    case .connect(let endpoint, let reason):
      "cannot connect to \(endpoint): \(reason); an endpoint looks like tcp://host:7700"
    case .key(let reason): "not a CURVE key: \(reason)"
    case .full(let limit): "the outbox is full (\(limit)): wait for room"
    case .notConnected: "not connected at the moment"
    case .unreachable(let connection): "\(connection) is gone"
    case .tooLarge(let bytes, let limit):
      "a message of \(bytes) bytes, at most \(limit) are allowed"
    case .noFrames: "a message without frames"
    case .closed: "the socket is closed"
    case .accessFile(let path, let reason): "\(path): \(reason)"
    case .system(let call, let reason): "\(call): \(reason)"
    }
  }
}
