import Synchronization

/// Which CURVE keys may talk to a server, and the name of who holds each. Live: a change counts
/// from the next message on, also on connections that stand.
public final class AllowList: Sendable {
  private let names: Guarded<[String: String]>

  /// - Parameter names: from public key (Z85) to name.
  public init(_ names: [String: String] = [:]) { self.names = Guarded(names) }

  public func allow(publicKey: String, name: String) {
    names.withLock { $0[publicKey] = name }
  }

  public func revoke(publicKey: String) {
    names.withLock { $0[publicKey] = nil }
  }

  /// Takes away every key of this name.
  public func revoke(name: String) {
    names.withLock { names in names = names.filter { $0.value != name } }
  }

  public func replace(with names: [String: String]) {
    self.names.withLock { $0 = names }
  }

  public func name(of publicKey: String) -> String? {
    names.withLock { $0[publicKey] }
  }
}
