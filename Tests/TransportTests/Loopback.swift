import Transport

/// A server on a free port of the loopback, and keys of those who may talk to it.
struct Loopback {
  let serverKeys: CurveKeyPair
  let list = AllowList()

  init() throws { serverKeys = try CurveKeyPair.generate() }

  func server(
    endpoint: String = "tcp://127.0.0.1:0", limits: SocketLimits = quick
  ) throws -> MessageServer {
    try MessageServer(endpoint: endpoint, security: .curve(serverKeys, list), limits: limits)
  }

  /// A client that the list knows by this name.
  func client(
    _ name: String, of server: MessageServer, limits: SocketLimits = quick
  ) throws -> MessageClient {
    let keys = try CurveKeyPair.generate()
    list.allow(publicKey: keys.publicKey, name: name)
    return try client(keys, of: server, limits: limits)
  }

  func client(
    _ keys: CurveKeyPair, of server: MessageServer, limits: SocketLimits = quick
  ) throws -> MessageClient {
    try MessageClient(
      endpoint: server.endpoint, security: .curve(keys, serverKey: serverKeys.publicKey),
      limits: limits)
  }
}

/// Connects again soon, so that tests of broken connections are quick; patient with a peer that a
/// busy machine keeps from answering.
let quick = SocketLimits(
  heartbeatEvery: .milliseconds(200), heartbeatTimeout: .seconds(60),
  reconnectMin: .milliseconds(20), reconnectMax: .milliseconds(100))

func frame(_ text: String) -> Frame { Frame(Array(text.utf8)) }

extension Frame {
  var text: String { String(decoding: bytes, as: UTF8.self) }
}

extension MessageServer {
  /// The next message; other events are passed over.
  func nextMessage() async -> Incoming? {
    for await event in events {
      if case .message(let incoming) = event { return incoming }
    }
    return nil
  }

  /// The next connection that ended; nil when a message comes first.
  func nextClosed() async -> ConnectionID? {
    for await event in events {
      switch event {
      case .closed(let connection): return connection
      case .message: return nil
      case .undeliverable: continue
      }
    }
    return nil
  }

  /// The next message that could not be sent; messages are passed over.
  func nextUndeliverable() async -> (ConnectionID, [Frame])? {
    for await event in events {
      if case .undeliverable(let connection, let frames) = event { return (connection, frames) }
    }
    return nil
  }
}

extension MessageClient {
  func nextMessage() async -> [Frame]? {
    for await event in events {
      if case .message(let frames) = event { return frames }
    }
    return nil
  }

  /// Passes over everything up to `.connected`.
  func connected() async -> Bool {
    for await event in events {
      if case .connected = event { return true }
    }
    return false
  }

  func disconnected() async -> Bool {
    for await event in events {
      if case .disconnected = event { return true }
    }
    return false
  }

  /// Passes over everything up to `.refused`; false when a message or connection comes first.
  func refused() async -> Bool {
    for await event in events {
      switch event {
      case .refused: return true
      case .connected, .message: return false
      case .disconnected: continue
      }
    }
    return false
  }
}
