import CZeroMQ
import Glibc
import Synchronization

/// What the server's thread does: all of its sockets belong to it alone.
final class ServerLoop {
  let endpoint: String
  private let context: Context
  private let router: Socket
  /// Where libzmq says which TCP connections have ended.
  private let monitor: Socket
  /// Answers libzmq's questions whether a key may connect; nil without CURVE.
  private let authenticator: Authenticator?
  private let limits: SocketLimits
  private let outbox: Outbox
  private let events: Mailbox<ServerEvent>
  private let counts: Counts

  /// Messages to connections whose queue in libzmq is full, per connection in order.
  private var waiting: [ConnectionID: [Outgoing]] = [:]
  /// The key of each connection that has sent something.
  private var keys = RecentKeys()
  /// The connection that was last heard on each TCP socket.
  private var descriptors: [Int32: ConnectionID] = [:]
  /// Connections that have ended, and are not said to have yet: their last messages come first.
  private var ended: [Ended] = []
  private struct Ended {
    let descriptor: Int32
    /// Nil where no message of it had been read yet.
    let connection: ConnectionID?
    /// The descriptor is another connection's by now.
    var isReused = false
  }
  private var seen = ServerCounters()

  /// Messages that are read before outgoing ones get their turn.
  private static let turnMessages = 512
  /// How soon a connection with a full queue is tried again; libzmq's ROUTER cannot say when.
  private static let retryMilliseconds = 2
  private static let monitorEndpoint = "inproc://monitor"

  init(
    endpoint: String, security: ServerSecurity, limits: SocketLimits, outbox: Outbox,
    events: Mailbox<ServerEvent>, counts: Counts
  ) throws(TransportError) {
    self.limits = limits
    self.outbox = outbox
    self.events = events
    self.counts = counts
    context = try Context()
    switch security {
    // The authenticator answers before anyone can connect.
    case .curve(_, let list): authenticator = try Authenticator(context, list)
    case .plainForBenchmarks: authenticator = nil
    }
    router = try Socket(context, type: ZMQ_ROUTER)
    monitor = try Socket(context, type: ZMQ_PAIR)
    do throws(TransportError) {
      try router.apply(limits)
      try router.set(ZMQ_ROUTER_MANDATORY, 1)
      if case .curve(let pair, _) = security {
        try router.set(ZMQ_CURVE_SERVER, 1)
        try router.set(ZMQ_CURVE_SECRETKEY, pair.secretKey)
        try router.set(ZMQ_ZAP_DOMAIN, "comd")
      }
      try router.monitor(ZMQ_EVENT_DISCONNECTED | ZMQ_EVENT_ACCEPTED, at: Self.monitorEndpoint)
      try monitor.set(ZMQ_LINGER, 0)
      try monitor.connect(Self.monitorEndpoint)
      try router.bind(endpoint)
    } catch {
      router.close()
      monitor.close()
      authenticator?.close()
      context.terminate()
      throw error
    }
    self.endpoint = router.boundEndpoint
  }

  func run() {
    while !outbox.isClosed { turn() }
    flush()
    router.close()
    monitor.close()
    authenticator?.close()
    context.terminate()
    events.close()
  }

  private func turn() {
    let readable = events.hasRoom()
    var awaited: [Awaited] = [
      .wakeUp(outbox.wakeUp), .socket(router, readable: readable),
      .socket(monitor, readable: true),
    ]
    if let authenticator { awaited.append(.socket(authenticator.socket, readable: true)) }
    let isWanted = !waiting.isEmpty || readable && !ended.isEmpty
    poll(awaited, milliseconds: isWanted ? ServerLoop.retryMilliseconds : nil)
    outbox.wakeUp.drain()
    if let authenticator { seen.refusedHandshakes += authenticator.answer() }
    watch()
    send()
    if readable { receive() }
    counts.value.withLock { $0 = seen }
  }

  /// Reads which connections have ended or begun.
  private func watch() {
    while let event = monitor.receiveEvent() {
      let descriptor = event.value
      if event.kind == ZMQ_EVENT_DISCONNECTED {
        let connection = descriptors.removeValue(forKey: descriptor)
        ended.append(Ended(descriptor: descriptor, connection: connection))
      } else {
        for place in ended.indices where ended[place].descriptor == descriptor {
          ended[place].isReused = true
        }
      }
    }
  }

  /// What has ended before everything was read that had come: the first `count` of `ended`.
  ///
  /// A connection of which nothing had been read when it ended is told by its descriptor, unless
  /// that is another one's by now; then nobody learns of its end here.
  private func sayEnded(_ count: Int) -> [ServerEvent] {
    watch()
    defer { ended.removeFirst(count) }
    return ended.prefix(count).compactMap { entry in
      let latest = descriptors[entry.descriptor]
      if let connection = entry.connection {
        if latest == connection { descriptors[entry.descriptor] = nil }
        return .closed(connection)
      }
      guard let latest, !entry.isReused else { return nil }
      descriptors[entry.descriptor] = nil
      return .closed(latest)
    }
  }

  private func send() {
    var settled: [Outgoing] = []
    var lost: [(element: ServerEvent, bytes: Int)] = []
    func attempt(_ message: Outgoing, to connection: ConnectionID) -> Bool {
      switch deliver(message, to: connection) {
      case .wouldBlock: return false
      case .sent: seen.sent += 1
      case .unreachable, .failed:
        seen.undeliverable += 1
        lost.append((.undeliverable(connection, message.frames), message.bytes))
      }
      settled.append(message)
      return true
    }
    for (connection, messages) in waiting {
      let rest = messages.drop { attempt($0, to: connection) }
      waiting[connection] = rest.isEmpty ? nil : Array(rest)
    }
    for message in outbox.take() {
      guard let connection = message.connection else { continue }
      if waiting[connection] != nil || !attempt(message, to: connection) {
        waiting[connection, default: []].append(message)
      }
    }
    outbox.settle(settled)
    events.put(lost)
  }

  private func deliver(_ message: Outgoing, to connection: ConnectionID) -> SendOutcome {
    if let authenticator {
      guard let key = keys[connection], authenticator.list.name(of: key) != nil else {
        return .unreachable
      }
    }
    return router.send([Frame(connection.routing)] + message.frames)
  }

  private func receive() {
    var received: [(element: ServerEvent, bytes: Int)] = []
    var bytes = 0
    let endedBefore = ended.count
    while received.count < ServerLoop.turnMessages, bytes < limits.inboxBytesMax / 2 {
      var sender = Sender()
      guard let frames = unsafe router.receive(inspecting: { unsafe sender.inspect($0) }) else {
        received += sayEnded(endedBefore).map { ($0, 0) }
        break
      }
      guard let routing = frames.first, frames.count > 1 else { continue }
      let connection = ConnectionID(routing: routing.bytes)
      guard let peer = name(of: sender, on: connection) else {
        seen.droppedRevoked += 1
        sender.disconnect()
        continue
      }
      seen.received += 1
      if sender.descriptor >= 0 { descriptors[sender.descriptor] = connection }
      let body = Array(frames.dropFirst())
      let size = body.reduce(0) { $0 + $1.count }
      bytes += size
      received.append(
        (.message(Incoming(connection: connection, peer: peer, frames: body)), size))
    }
    events.put(received)
  }

  /// Nil: the key is not, or no longer, on the list.
  private func name(of sender: Sender, on connection: ConnectionID) -> String? {
    guard let authenticator else { return "anonymous" }
    guard let key = sender.key, let name = authenticator.list.name(of: key) else { return nil }
    keys.insert(key, for: connection)
    return name
  }

  /// Gives messages that libzmq could not take yet their time.
  private func flush() {
    let clock = ContinuousClock()
    let end = clock.now + limits.linger
    send()
    while !waiting.isEmpty, clock.now < end {
      poll([], milliseconds: ServerLoop.retryMilliseconds)
      send()
    }
  }
}

/// Whose message it is, as libzmq says: what the handshake proved, not what the peer claims.
private struct Sender {
  private(set) var key: String?
  /// The TCP socket it came by; negative until a frame has told.
  private(set) var descriptor: Int32 = -1

  mutating func inspect(_ message: UnsafeMutablePointer<zmq_msg_t>) {
    guard descriptor < 0 else { return }
    descriptor = unsafe zmq_msg_get(message, ZMQ_SRCFD)
    key = unsafe zmq_msg_gets(message, "User-Id").map { unsafe String(cString: $0) }
  }

  /// Cuts the TCP connection; when the peer connects again, its handshake is refused.
  ///
  /// Should the connection have ended in between and its descriptor belong to another one, that
  /// peer reconnects by itself.
  func disconnect() {
    if descriptor >= 0 { _ = shutdown(descriptor, Int32(SHUT_RDWR)) }
  }
}

/// The keys of the connections heard last, so that nothing is sent to a revoked key.
private struct RecentKeys {
  private var keys: [ConnectionID: String] = [:]
  private var order: [ConnectionID] = []
  /// Connections come and go over a long run; a peer heard before that many others says hello.
  private static let limit = 16_384

  subscript(connection: ConnectionID) -> String? { keys[connection] }

  mutating func insert(_ key: String, for connection: ConnectionID) {
    if keys.updateValue(key, forKey: connection) != nil { return }
    order.append(connection)
    if order.count > RecentKeys.limit {
      for old in order.prefix(RecentKeys.limit / 2) { keys[old] = nil }
      order.removeFirst(RecentKeys.limit / 2)
    }
  }
}
