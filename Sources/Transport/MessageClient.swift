import CZeroMQ
import Foundation

/// How a client proves who it is, and to whom it speaks.
public enum ClientSecurity: Sendable {
  /// - Parameter serverKey: the server's public key; no other server is spoken to.
  case curve(CurveKeyPair, serverKey: String)
  /// Neither encrypted nor authenticated: for measuring what CURVE costs.
  case plainForBenchmarks
}

public enum ClientEvent: Sendable {
  /// At the first and at every later connection, before its messages: say hello, offer again what
  /// was not acknowledged.
  case connected
  /// The connection broke; it is made again by itself. So many messages that had been handed in
  /// were given up; those that had left may be lost, too.
  case disconnected(unsent: Int)
  /// The server does not know our key; said once until there was a connection. The client goes on
  /// trying: it may be let in later.
  case refused
  case message([Frame])
}

/// One connection to a server, made again whenever it breaks, with a thread of its own.
public final class MessageClient: Sendable {
  public let events: Mailbox<ClientEvent>
  private let outbox: Outbox
  private let ended = Completion()

  /// Begins to connect; `.connected` says when that has come about.
  public init(
    endpoint: String, security: ClientSecurity, limits: SocketLimits = .control
  ) throws(TransportError) {
    let outbox = try Outbox(limits: limits, open: false)
    let wakeUp = outbox.wakeUp
    let events = Mailbox<ClientEvent>(
      messagesMax: limits.inboxMessagesMax, bytesMax: limits.inboxBytesMax
    ) { wakeUp.signal() }
    let loop = try ClientLoop(
      endpoint: endpoint, security: security, limits: limits, outbox: outbox, events: events)
    self.events = events
    self.outbox = outbox
    let ended = ended
    // Handed to the thread as a whole; nothing here touches it afterwards.
    nonisolated(unsafe) let owned = loop
    let thread = Thread {
      unsafe owned.run()
      ended.finish()
    }
    thread.name = "zmq client"
    thread.start()
  }

  deinit { outbox.close() }

  /// Hands a message over without waiting; messages arrive in this order.
  public func send(_ frames: [Frame]) throws(TransportError) {
    try outbox.send(frames, to: nil)
  }

  /// Hands a message over, waiting for room in the outbox. Without a connection it throws.
  /// - Throws: `TransportError`, or `CancellationError` when the task is cancelled meanwhile.
  public func sendWaiting(_ frames: [Frame]) async throws {
    try await outbox.sendWaiting(frames, to: nil)
  }

  /// As `close`, and returns at once; `events` end when it has come about.
  public func beginClosing() { outbox.close() }

  /// Sends what was handed in, within the limits' `linger`, and ends the thread.
  public func close() async {
    beginClosing()
    await ended.wait()
  }
}

/// What the client's thread does: all of its sockets belong to it alone.
final class ClientLoop {
  private let context: Context
  private let dealer: Socket
  private let monitor: Socket
  private let limits: SocketLimits
  private let outbox: Outbox
  private let events: Mailbox<ClientEvent>
  /// Messages that libzmq could not take yet, in order.
  private var waiting: [Outgoing] = []
  private var connected = false
  private let endpoint: String
  /// When to connect anew after a handshake that failed: libzmq does not do that by itself.
  private var retryAt: ContinuousClock.Instant?
  private var refused = false
  private static let turnMessages = 512
  private static let monitorEndpoint = "inproc://monitor"

  init(
    endpoint: String, security: ClientSecurity, limits: SocketLimits, outbox: Outbox,
    events: Mailbox<ClientEvent>
  ) throws(TransportError) {
    self.endpoint = endpoint
    self.limits = limits
    self.outbox = outbox
    self.events = events
    context = try Context()
    dealer = try Socket(context, type: ZMQ_DEALER)
    monitor = try Socket(context, type: ZMQ_PAIR)
    do throws(TransportError) {
      try configure(security)
      try dealer.connect(endpoint)
    } catch {
      dealer.close()
      monitor.close()
      context.terminate()
      throw error
    }
  }

  private func configure(_ security: ClientSecurity) throws(TransportError) {
    try dealer.apply(limits)
    // A message is queued for a connection that stands, or not at all: after a reconnect the first
    // thing to say is hello.
    try dealer.set(ZMQ_IMMEDIATE, 1)
    if case .curve(let pair, let serverKey) = security {
      try check(key: serverKey, "server's key")
      try dealer.set(ZMQ_CURVE_SERVERKEY, serverKey)
      try dealer.set(ZMQ_CURVE_PUBLICKEY, pair.publicKey)
      try dealer.set(ZMQ_CURVE_SECRETKEY, pair.secretKey)
    }
    let watched =
      ZMQ_EVENT_HANDSHAKE_SUCCEEDED | ZMQ_EVENT_HANDSHAKE_FAILED_AUTH
      | ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL | ZMQ_EVENT_DISCONNECTED
    try dealer.monitor(watched, at: ClientLoop.monitorEndpoint)
    try monitor.set(ZMQ_LINGER, 0)
    try monitor.connect(ClientLoop.monitorEndpoint)
  }

  func run() {
    while !outbox.isClosed { turn() }
    flush()
    dealer.close()
    monitor.close()
    context.terminate()
    events.close()
  }

  private func turn() {
    let readable = events.hasRoom()
    poll(
      [
        .wakeUp(outbox.wakeUp), .socket(monitor, readable: true),
        .socket(dealer, readable: readable, writable: !waiting.isEmpty),
      ], milliseconds: patience())
    outbox.wakeUp.drain()
    watch()
    connectAnew()
    send()
    if readable { receive() }
  }

  /// Reads what libzmq says about the connection.
  private func watch() {
    while let event = monitor.receiveEvent() {
      switch event.kind {
      case ZMQ_EVENT_HANDSHAKE_SUCCEEDED:
        (connected, refused, retryAt) = (true, false, nil)
        outbox.open()
        events.put([(.connected, 0)])
      case ZMQ_EVENT_DISCONNECTED where connected:
        connected = false
        let unsent = waiting.count + outbox.shut()
        outbox.settle(waiting)
        waiting = []
        events.put([(.disconnected(unsent: unsent), 0)])
      case ZMQ_EVENT_HANDSHAKE_FAILED_AUTH:
        if !refused { events.put([(.refused, 0)]) }
        refused = true
        retryAt = ContinuousClock.now + limits.reconnectMax
      case ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL:
        retryAt = ContinuousClock.now + limits.reconnectMax
      default: continue
      }
    }
  }

  /// Milliseconds until there is something to do that nobody else announces; nil for none.
  private func patience() -> Int? {
    guard let retryAt else { return nil }
    return Int((retryAt - ContinuousClock.now).milliseconds)
  }

  private func connectAnew() {
    guard let due = retryAt, due <= ContinuousClock.now else { return }
    retryAt = nil
    dealer.disconnect(endpoint)
    do throws(TransportError) {
      try dealer.connect(endpoint)
    } catch {
      // The endpoint was good at the start; when libzmq cannot take it now, then later.
      retryAt = ContinuousClock.now + limits.reconnectMax
    }
  }

  private func send() {
    let messages = waiting + outbox.take()
    let rest = messages.drop { dealer.send($0.frames) == .sent }
    outbox.settle(Array(messages.prefix(messages.count - rest.count)))
    waiting = Array(rest)
  }

  private func receive() {
    var received: [(element: ClientEvent, bytes: Int)] = []
    var bytes = 0
    while received.count < ClientLoop.turnMessages, bytes < limits.inboxBytesMax / 2,
      let frames = dealer.receive()
    {
      let size = frames.reduce(0) { $0 + $1.count }
      bytes += size
      received.append((.message(frames), size))
    }
    events.put(received)
  }

  /// Gives messages that libzmq could not take yet their time.
  private func flush() {
    let clock = ContinuousClock()
    let end = clock.now + limits.linger
    send()
    while !waiting.isEmpty, connected, clock.now < end {
      poll([], milliseconds: 2)
      send()
    }
  }
}
