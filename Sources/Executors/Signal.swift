/// Wakes one waiting task; raised without a waiter, it lets the next one pass.
public final class Signal: Sendable {
  private let stream: AsyncStream<Void>
  private let continuation: AsyncStream<Void>.Continuation

  public init() {
    (stream, continuation) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
  }

  public func raise() { continuation.yield() }

  /// Returns when raised, or when the task is cancelled.
  public func wait() async {
    var iterator = stream.makeAsyncIterator()
    _ = await iterator.next()
  }
}
