import Executors
import Foundation
import UnixSignals

/// Runs work that the first SIGINT or SIGTERM asks to finish, by cancellation, and the second ends
/// at once with exit code 130.
///
/// - Returns: what the work gives, also when it ends after a cancellation.
func untilStopped<Result: Sendable>(
  _ work: @escaping @Sendable () async throws -> Result
) async throws -> Result {
  let signals = await UnixSignalsSequence(trapping: .sigint, .sigterm)
  let first = Signal()
  return try await withThrowingTaskGroup(of: Void.self) { group in
    group.addTask(executorPreference: watcher) { await heed(signals, first) }
    defer { group.cancelAll() }
    return try await run(work, until: first)
  }
}

/// Outside the shared pool: work that keeps all of its threads busy is ended at once as well.
private let watcher = ThreadExecutor(label: "signals")

private func heed(_ signals: UnixSignalsSequence, _ first: Signal) async {
  var isFirst = true
  for await _ in signals {
    guard isFirst else { _exit(ExitStatus.stopped.rawValue) }
    isFirst = false
    first.raise()
  }
}

private func run<Result: Sendable>(
  _ work: @escaping @Sendable () async throws -> Result, until stop: Signal
) async throws -> Result {
  try await withThrowingTaskGroup(of: Result?.self) { group in
    group.addTask { try await work() }
    group.addTask {
      await stop.wait()
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
