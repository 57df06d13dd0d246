import Dispatch
import Foundation
import Synchronization

/// Runs work that the first SIGINT or SIGTERM asks to finish, by cancellation, and the second ends
/// at once with exit code 130.
///
/// - Returns: what the work gives, also when it ends after a cancellation.
func untilStopped<Result: Sendable>(
  _ work: @escaping @Sendable () async throws -> Result
) async throws -> Result {
  let (signals, continuation) = AsyncStream.makeStream(of: Int32.self)
  let sources = watchSignals { continuation.yield($0) }
  defer { for source in sources { source.cancel() } }
  return try await withThrowingTaskGroup(of: Result?.self) { group in
    group.addTask { try await work() }
    group.addTask {
      for await _ in signals { return nil }
      return nil
    }
    defer { group.cancelAll() }
    while let end = try await group.next() {
      if let end { return end }
      log("comd: finishing what is under way; the same signal again stops at once")
      group.cancelAll()
    }
    throw CancellationError()
  }
}

private func watchSignals(
  _ first: @escaping @Sendable (Int32) -> Void
) -> [any DispatchSourceSignal] {
  let counter = SignalCounter()
  return [SIGINT, SIGTERM].map { number in
    signal(number, SIG_IGN)
    let source = DispatchSource.makeSignalSource(signal: number, queue: .global())
    source.setEventHandler {
      if counter.next() == 1 { first(number) } else { _exit(ExitStatus.stopped.rawValue) }
    }
    source.resume()
    return source
  }
}

private final class SignalCounter: Sendable {
  private let count = Mutex(0)
  func next() -> Int {
    count.withLock { count in
      count += 1
      return count
    }
  }
}
