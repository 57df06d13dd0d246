import Synchronization

/// A bounded queue from a socket's thread to one consumer.
///
/// Nothing is dropped: when it is full, the socket is not read until the consumer has taken half.
public final class Mailbox<Element: Sendable>: Sendable {
  private struct State {
    var items: [Element] = []
    /// The first item not taken yet; taken ones are cut off in bulk.
    var first = 0
    var bytes = 0
    var sizes: [Int] = []
    var closed = false
    var wasFull = false
    var waiter: CheckedContinuation<Void, Never>?

    var count: Int { items.count - first }
  }
  private let state = Guarded(State())
  private let messagesMax: Int
  private let bytesMax: Int
  /// Wakes the socket's thread when there is room again.
  private let roomMade: @Sendable () -> Void

  init(messagesMax: Int, bytesMax: Int, roomMade: @escaping @Sendable () -> Void) {
    self.messagesMax = messagesMax
    self.bytesMax = bytesMax
    self.roomMade = roomMade
  }

  /// The next element, in order; nil when the socket was closed and all were taken, or the task
  /// was cancelled.
  public func next() async -> Element? { await nextBatch(max: 1).first }

  /// All that is there, up to `max`, in order; waits for the first. Empty when the socket was
  /// closed and all were taken, or the task was cancelled.
  public func nextBatch(max: Int) async -> [Element] {
    precondition(max > 0, "a batch of at least one expected")
    while true {
      if let batch = take(max) { return batch }
      if Task.isCancelled { return [] }
      await withTaskCancellationHandler {
        await withCheckedContinuation { continuation in wait(with: continuation) }
      } onCancel: {
        wake()
      }
    }
  }

  /// Nil: nothing there yet.
  private func take(_ max: Int) -> [Element]? {
    let (batch, wake): ([Element]?, Bool) = state.withLock { state in
      let count = Swift.min(max, state.count)
      guard count > 0 else { return (state.closed ? [] : nil, false) }
      let batch = Array(state.items[state.first..<state.first + count])
      state.bytes -= state.sizes[state.first..<state.first + count].reduce(0, +)
      state.first += count
      if state.first == state.items.count || state.first > 4096 {
        state.items.removeFirst(state.first)
        state.sizes.removeFirst(state.first)
        state.first = 0
      }
      let room = state.count <= messagesMax / 2 && state.bytes <= bytesMax / 2
      let wake = state.wasFull && room
      if wake { state.wasFull = false }
      return (batch, wake)
    }
    if wake { roomMade() }
    return batch
  }

  private func wait(with continuation: CheckedContinuation<Void, Never>) {
    let ready = state.withLock { state in
      // A cancelled task must not wait: its handler may have run before this.
      if state.count > 0 || state.closed || Task.isCancelled { return true }
      precondition(state.waiter == nil, "a mailbox has one consumer")
      state.waiter = continuation
      return false
    }
    if ready { continuation.resume() }
  }

  private func wake() {
    let waiter = state.withLock { state in
      defer { state.waiter = nil }
      return state.waiter
    }
    waiter?.resume()
  }

  // From the socket's thread.

  /// Whether the socket may be read; when not, `roomMade` is called once there is room.
  func hasRoom() -> Bool {
    state.withLock { state in
      let full = state.count >= messagesMax || state.bytes >= bytesMax
      if full { state.wasFull = true }
      return !full
    }
  }

  /// Appends all, also beyond the limit: who calls has asked `hasRoom` before each turn.
  func put(_ elements: [(element: Element, bytes: Int)]) {
    guard !elements.isEmpty else { return }
    let waiter = state.withLock { state in
      for (element, bytes) in elements {
        state.items.append(element)
        state.sizes.append(bytes)
        state.bytes += bytes
      }
      defer { state.waiter = nil }
      return state.waiter
    }
    waiter?.resume()
  }

  func close() {
    let waiter = state.withLock { state in
      state.closed = true
      defer { state.waiter = nil }
      return state.waiter
    }
    waiter?.resume()
  }
}

extension Mailbox: AsyncSequence {
  public struct Iterator: AsyncIteratorProtocol {
    let mailbox: Mailbox
    public mutating func next() async -> Element? { await mailbox.next() }
    public mutating func next(isolation actor: isolated (any Actor)?) async -> Element? {
      await mailbox.next()
    }
  }
  public func makeAsyncIterator() -> Iterator { Iterator(mailbox: self) }
}
