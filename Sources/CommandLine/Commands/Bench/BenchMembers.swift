import Dispatch
import Foundation
import Synchronization

/// The processes that take part in a measurement: this program, started once for each member.
final class BenchMembers: Sendable {
  private struct State {
    var running: Set<Int32> = []
    var isEnding = false
  }

  /// Seconds between asking a member to end and ending it.
  private static let graceSeconds = 3

  private let state = Mutex(State())
  private let alive = DispatchGroup()
  private let ends: AsyncStream<String>
  private let ended: AsyncStream<String>.Continuation

  init() { (ends, ended) = AsyncStream.makeStream() }

  /// - Parameter arguments: of each member, as on a command line.
  func start(_ arguments: [[String]]) throws {
    for (member, arguments) in arguments.enumerated() {
      let process = Process()
      process.executableURL = try ownExecutable()
      process.arguments = arguments
      process.standardInput = FileHandle.nullDevice
      process.standardOutput = FileHandle.nullDevice
      process.terminationHandler = { [self] process in
        let isAsked = state.withLock { state in
          state.running.remove(process.processIdentifier)
          return state.isEnding
        }
        // With code 0 it has seen that the measurement is over.
        if !isAsked, process.terminationStatus != 0 {
          ended.yield("member \(member + 1) ended with code \(process.terminationStatus)")
        }
        alive.leave()
      }
      try state.withLock { state in
        // A process that ends at once waits here until it is known.
        try process.run()
        alive.enter()
        state.running.insert(process.processIdentifier)
      }
    }
  }

  /// Does a work that needs all members.
  /// - Throws: when one ends before the work does.
  func during<Result: Sendable>(
    _ work: @escaping @Sendable () async throws -> Result
  ) async throws -> Result {
    let ends = ends
    return try await withThrowingTaskGroup(of: Result.self) { group in
      group.addTask { try await work() }
      group.addTask {
        for await end in ends { throw CommandError.failed(end) }
        throw CancellationError()
      }
      defer { group.cancelAll() }
      guard let result = try await group.next() else { throw CancellationError() }
      return result
    }
  }

  /// Returns when all have ended by themselves, or after some seconds.
  func allEnded() async {
    state.withLock { $0.isEnding = true }
    for _ in 0..<Self.graceSeconds * 20 where state.withLock({ !$0.running.isEmpty }) {
      try? await Task.sleep(for: .milliseconds(50))
    }
  }

  /// Ends those that still run.
  func end() {
    let running = state.withLock { state in
      state.isEnding = true
      return state.running
    }
    for pid in running { kill(pid, SIGTERM) }
    if alive.wait(timeout: .now() + .seconds(Self.graceSeconds)) == .timedOut {
      for pid in state.withLock({ $0.running }) { kill(pid, SIGKILL) }
      alive.wait()
    }
  }
}

/// The file of this very process, which starts itself again as a worker.
func ownExecutable() throws -> URL {
  guard let url = Bundle.main.executableURL else {
    throw CommandError.failed("this program's own file cannot be found; start it by its full path")
  }
  return url
}
