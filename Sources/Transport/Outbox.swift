import Synchronization

/// A message on its way to the socket's thread.
struct Outgoing: Sendable {
  /// Nil on a client, which has one peer.
  var connection: ConnectionID?
  var frames: [Frame]
  var bytes: Int
}

/// The bounded queue from any thread to a socket's thread.
///
/// What is counted against the limits is everything that libzmq has not taken over yet.
final class Outbox: Sendable {
  private struct State {
    var queue: [Outgoing] = []
    var messages = 0
    var bytes = 0
    var perPeer: [ConnectionID: Int] = [:]
    var open: Bool
    var closed = false
    var signalled = false
    var waiters: [UInt64: CheckedContinuation<Void, Never>] = [:]
    var nextWaiter: UInt64 = 0
  }
  private let state: Guarded<State>
  private let limits: SocketLimits
  let wakeUp: WakeUp

  /// - Parameter open: false while there is no connection to send over.
  init(limits: SocketLimits, open: Bool) throws(TransportError) {
    self.limits = limits
    state = Guarded(State(open: open))
    wakeUp = try WakeUp()
  }

  func send(_ frames: [Frame], to connection: ConnectionID?) throws(TransportError) {
    guard !frames.isEmpty else { throw .noFrames }
    if let large = frames.map(\.count).max(), large > limits.frameBytesMax {
      throw .tooLarge(bytes: large, limit: limits.frameBytesMax)
    }
    let bytes = frames.reduce(0) { $0 + $1.count }
    let message = Outgoing(connection: connection, frames: frames, bytes: bytes)
    let wake = try state.withLock { state throws(TransportError) in
      if state.closed { throw .closed }
      if !state.open { throw .notConnected }
      // A message larger than the limit on bytes goes alone.
      if state.messages >= limits.outboxMessagesMax {
        throw .full(limit: "\(limits.outboxMessagesMax) messages")
      }
      if state.messages > 0, state.bytes + bytes > limits.outboxBytesMax {
        throw .full(limit: "\(limits.outboxBytesMax) bytes")
      }
      if let connection {
        let waiting = state.perPeer[connection, default: 0]
        if waiting >= limits.outboxMessagesPerPeerMax {
          throw .full(limit: "\(limits.outboxMessagesPerPeerMax) messages to one peer")
        }
        state.perPeer[connection] = waiting + 1
      }
      state.queue.append(message)
      state.messages += 1
      state.bytes += bytes
      defer { state.signalled = true }
      return !state.signalled
    }
    if wake { wakeUp.signal() }
  }

  /// As `send`, but waits while the outbox is full.
  func sendWaiting(_ frames: [Frame], to connection: ConnectionID?) async throws {
    while true {
      do {
        return try send(frames, to: connection)
      } catch TransportError.full {
        try Task.checkCancellation()
        await waitForRoom(to: connection)
      }
    }
  }

  private func waitForRoom(to connection: ConnectionID?) async {
    let number = state.withLock { state in
      state.nextWaiter += 1
      return state.nextWaiter
    }
    await withTaskCancellationHandler {
      await withCheckedContinuation { continuation in
        let ready = state.withLock { state in
          if Task.isCancelled || state.closed || !state.open || hasRoom(state, connection) {
            return true
          }
          state.waiters[number] = continuation
          return false
        }
        if ready { continuation.resume() }
      }
    } onCancel: {
      state.withLock { $0.waiters.removeValue(forKey: number) }?.resume()
    }
  }

  private func hasRoom(_ state: State, _ connection: ConnectionID?) -> Bool {
    guard state.messages < limits.outboxMessagesMax, state.bytes < limits.outboxBytesMax else {
      return false
    }
    guard let connection else { return true }
    return state.perPeer[connection, default: 0] < limits.outboxMessagesPerPeerMax
  }

  /// Refuses what comes from now on.
  func close() {
    let waiters = state.withLock { state in
      state.closed = true
      return takeWaiters(&state)
    }
    wakeUp.signal()
    for waiter in waiters { waiter.resume() }
  }

  private func takeWaiters(_ state: inout State) -> [CheckedContinuation<Void, Never>] {
    defer { state.waiters = [:] }
    return Array(state.waiters.values)
  }

  // From the socket's thread.

  var isClosed: Bool { state.withLock { $0.closed } }

  /// All messages handed in since the last call, in order; they stay on the account.
  func take() -> [Outgoing] {
    state.withLock { state in
      state.signalled = false
      defer { state.queue = [] }
      return state.queue
    }
  }

  /// libzmq took these over, or they were given up.
  func settle(_ messages: [Outgoing]) {
    guard !messages.isEmpty else { return }
    let waiters = state.withLock { state in
      for message in messages {
        state.messages -= 1
        state.bytes -= message.bytes
        if let connection = message.connection, let waiting = state.perPeer[connection] {
          state.perPeer[connection] = waiting > 1 ? waiting - 1 : nil
        }
      }
      return takeWaiters(&state)
    }
    for waiter in waiters { waiter.resume() }
  }

  func open() { state.withLock { $0.open = true } }

  /// Refuses messages until `open`, and gives back those not taken yet, off the account.
  func shut() -> Int {
    let (count, waiters) = state.withLock { state in
      state.open = false
      let dropped = state.queue
      state.queue = []
      state.messages -= dropped.count
      state.bytes -= dropped.reduce(0) { $0 + $1.bytes }
      return (dropped.count, takeWaiters(&state))
    }
    for waiter in waiters { waiter.resume() }
    return count
  }
}

/// Lets any number of tasks wait for the end of a thread.
final class Completion: Sendable {
  private struct State {
    var done = false
    var waiters: [CheckedContinuation<Void, Never>] = []
  }
  private let state = Guarded(State())

  func finish() {
    let waiters = state.withLock { state in
      state.done = true
      defer { state.waiters = [] }
      return state.waiters
    }
    for waiter in waiters { waiter.resume() }
  }

  func wait() async {
    await withCheckedContinuation { continuation in
      let done = state.withLock { state in
        if !state.done { state.waiters.append(continuation) }
        return state.done
      }
      if done { continuation.resume() }
    }
  }
}
