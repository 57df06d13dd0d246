import CZeroMQ
import Foundation
import Synchronization

/// One TCP connection of a peer. After a reconnect the same peer has another one.
public struct ConnectionID: Hashable, Sendable, CustomStringConvertible {
  /// What libzmq's ROUTER calls the connection.
  let routing: [UInt8]

  public var description: String {
    "connection " + routing.map { String($0, radix: 16) }.joined(separator: ".")
  }
}

/// A message as a server receives it.
public struct Incoming: Sendable {
  public let connection: ConnectionID
  /// The name that the allow-list gives the key which the peer proved to hold.
  public let peer: String
  public let frames: [Frame]
}

public enum ServerEvent: Sendable {
  case message(Incoming)
  /// The connection is gone or its key was revoked; the message was not sent.
  ///
  /// A message that had already left when the connection broke is lost without a word, as with
  /// TCP: what must arrive needs an acknowledgement from the other side.
  case undeliverable(ConnectionID, [Frame])
  /// The connection ended: its process did, or the line broke. Said after its last message, and at
  /// once where TCP says so; a line that is cut in silence is noticed by the heartbeats alone.
  case closed(ConnectionID)
}

/// Who may connect to a server.
public enum ServerSecurity: Sendable {
  /// Encrypted; only keys on the list get anything through.
  case curve(CurveKeyPair, AllowList)
  /// Neither encrypted nor authenticated: for measuring what CURVE costs.
  case plainForBenchmarks
}

/// What a server has counted since its start.
public struct ServerCounters: Hashable, Sendable {
  public var received = 0
  public var sent = 0
  /// Handshakes with keys that are not on the list.
  public var refusedHandshakes = 0
  /// Messages from keys that were revoked while connected.
  public var droppedRevoked = 0
  public var undeliverable = 0
  public init() {}
}

/// A socket that any number of clients connect to, with a thread of its own.
///
/// Idle, it costs no CPU time. Messages of one connection come in order. Both queues are bounded:
/// a full inbox stops reading from the sockets, a full outbox makes `send` throw.
public final class MessageServer: Sendable {
  /// As bound: with the port that the system chose for port 0.
  public let endpoint: String
  public let events: Mailbox<ServerEvent>
  private let outbox: Outbox
  private let ended = Completion()
  private let counts: Counts

  /// Binds at once.
  /// - Parameter endpoint: like `tcp://0.0.0.0:7700`; port 0 lets the system choose.
  public init(
    endpoint: String, security: ServerSecurity, limits: SocketLimits = .control
  ) throws(TransportError) {
    let outbox = try Outbox(limits: limits, open: true)
    let wakeUp = outbox.wakeUp
    let events = Mailbox<ServerEvent>(
      messagesMax: limits.inboxMessagesMax, bytesMax: limits.inboxBytesMax
    ) { wakeUp.signal() }
    let counts = Counts()
    let loop = try ServerLoop(
      endpoint: endpoint, security: security, limits: limits, outbox: outbox, events: events,
      counts: counts)
    self.endpoint = loop.endpoint
    self.events = events
    self.outbox = outbox
    self.counts = counts
    let ended = ended
    // Handed to the thread as a whole; nothing here touches it afterwards.
    nonisolated(unsafe) let owned = loop
    let thread = Thread {
      unsafe owned.run()
      ended.finish()
    }
    thread.name = "zmq server"
    thread.start()
  }

  deinit { outbox.close() }

  /// Hands a message over without waiting. Messages to one connection arrive in this order.
  public func send(_ frames: [Frame], to connection: ConnectionID) throws(TransportError) {
    try outbox.send(frames, to: connection)
  }

  /// Hands a message over, waiting for room in the outbox.
  /// - Throws: `TransportError`, or `CancellationError` when the task is cancelled meanwhile.
  public func sendWaiting(_ frames: [Frame], to connection: ConnectionID) async throws {
    try await outbox.sendWaiting(frames, to: connection)
  }

  public var counters: ServerCounters { counts.value.withLock { $0 } }

  /// Sends what was handed in, within the limits' `linger`, and ends the thread.
  public func close() async {
    outbox.close()
    await ended.wait()
  }
}

final class Counts: Sendable {
  let value = Guarded(ServerCounters())
}
