/// The bounds of one socket and its two queues, and its patience.
public struct SocketLimits: Hashable, Sendable {
  /// A larger frame makes the receiver close the connection.
  public var frameBytesMax: Int
  /// Messages that libzmq queues for one connection, each way.
  public var highWaterMark: Int
  /// Received messages that nobody has taken yet; at the limit the socket is not read, and TCP
  /// holds the senders back.
  public var inboxMessagesMax: Int
  public var inboxBytesMax: Int
  /// Messages handed in and not yet taken by libzmq; at the limit `send` throws `.full`.
  public var outboxMessagesMax: Int
  public var outboxBytesMax: Int
  /// Of these, for one connection: a slow peer does not fill the others' outbox.
  public var outboxMessagesPerPeerMax: Int
  /// How long `close` waits for what was sent to leave.
  public var linger: Duration
  /// A ping after this long without traffic; no answer within the timeout ends the connection.
  public var heartbeatEvery: Duration
  public var heartbeatTimeout: Duration
  public var reconnectMin: Duration
  public var reconnectMax: Duration
  public var handshakeTimeout: Duration

  public init(
    frameBytesMax: Int = 8 << 20, highWaterMark: Int = 1000, inboxMessagesMax: Int = 10_000,
    inboxBytesMax: Int = 256 << 20, outboxMessagesMax: Int = 100_000,
    outboxBytesMax: Int = 256 << 20, outboxMessagesPerPeerMax: Int = 20_000,
    linger: Duration = .seconds(2), heartbeatEvery: Duration = .seconds(4),
    heartbeatTimeout: Duration = .seconds(10), reconnectMin: Duration = .milliseconds(100),
    reconnectMax: Duration = .milliseconds(500), handshakeTimeout: Duration = .seconds(10)
  ) {
    self.frameBytesMax = frameBytesMax
    self.highWaterMark = highWaterMark
    self.inboxMessagesMax = inboxMessagesMax
    self.inboxBytesMax = inboxBytesMax
    self.outboxMessagesMax = outboxMessagesMax
    self.outboxBytesMax = outboxBytesMax
    self.outboxMessagesPerPeerMax = outboxMessagesPerPeerMax
    self.linger = linger
    self.heartbeatEvery = heartbeatEvery
    self.heartbeatTimeout = heartbeatTimeout
    self.reconnectMin = reconnectMin
    self.reconnectMax = reconnectMax
    self.handshakeTimeout = handshakeTimeout
  }

  /// Many small messages.
  public static let control = SocketLimits()
  /// Blob chunks of some MiB: so few for one peer that those who do not take theirs leave room in
  /// the outbox for others.
  public static let bulk = SocketLimits(
    highWaterMark: 16, inboxMessagesMax: 256, outboxMessagesMax: 1024, outboxBytesMax: 1 << 30,
    outboxMessagesPerPeerMax: 4)
  /// As `bulk`, between workers: a line that is cut is noticed soon, as there are others to ask,
  /// and who is not let in yet will be in a moment.
  public static let sharing = SocketLimits(
    highWaterMark: 16, inboxMessagesMax: 256, outboxMessagesMax: 1024, outboxBytesMax: 1 << 30,
    outboxMessagesPerPeerMax: 4, linger: .zero, heartbeatEvery: .seconds(2),
    heartbeatTimeout: .seconds(5), reconnectMax: .milliseconds(200))
  /// Pieces of vectors between the members of a mesh; who is not let in yet will be in a moment.
  public static let mesh = SocketLimits(
    frameBytesMax: 4 << 20, highWaterMark: 16, linger: .zero, heartbeatEvery: .seconds(2),
    heartbeatTimeout: .seconds(5), reconnectMin: .milliseconds(20),
    reconnectMax: .milliseconds(200))
}

extension Duration {
  /// For libzmq's options; at least 1.
  var milliseconds: Int32 {
    let (seconds, attoseconds) = components
    let milliseconds = seconds * 1000 + attoseconds / 1_000_000_000_000_000
    return Int32(clamping: max(1, milliseconds))
  }
}
