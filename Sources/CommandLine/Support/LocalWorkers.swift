import Dispatch
import Foundation
import Synchronization

/// The worker processes of `comd run`: started, watched, ended.
final class LocalWorkers: Sendable {
  private struct State {
    var running: [String: Int32] = [:]
    var restarts = 0
    var isEnding = false
  }

  private struct Exit: Sendable {
    var name: String
    var reason: String
    /// Sent away by the coordinator: it is drained, or the run is over.
    var isWanted: Bool
  }

  /// Told in `pids.json`, for scripts that want to stop or kill one of them.
  private struct ProcessIDs: Encodable {
    var coordinator: Int32
    var workers: [String: Int32]
  }

  /// When all are gone one is started again, so many times at most.
  private static let restartsMax = 5
  private static let restartAfter = Duration.seconds(2)
  /// Seconds between asking a worker to finish and ending it.
  private static let graceSeconds = 5

  private let runFolder: String
  private let names: [String]
  private let threads: Int
  private let accessPath: @Sendable (String) -> String
  private let state = Mutex(State())
  private let alive = DispatchGroup()

  init(
    runFolder: String, names: [String], threads: Int,
    accessPath: @escaping @Sendable (String) -> String
  ) {
    self.runFolder = runFolder
    self.names = names
    self.threads = threads
    self.accessPath = accessPath
  }

  /// Starts all and watches them until it is cancelled.
  ///
  /// - Throws: when all are gone again and again.
  func run() async throws {
    let (exits, continuation) = AsyncStream.makeStream(of: Exit.self)
    for name in names { try start(name) { continuation.yield($0) } }
    for await exit in exits where !exit.isWanted {
      let (left, restarts) = state.withLock { ($0.running.count, $0.restarts) }
      log("comd: worker \(exit.name) \(exit.reason); its jobs go to others, \(left) left")
      if left > 0 { continue }
      if restarts == Self.restartsMax {
        throw CommandError.failed(
          "all workers are gone for the \(restarts + 1)th time; see \(logPath(exit.name)); when the"
            + " cause is mended, the same command goes on where the run stood")
      }
      try await Task.sleep(for: Self.restartAfter)
      log("comd: starting \(exit.name) again")
      try start(exit.name) { continuation.yield($0) }
      state.withLock { $0.restarts += 1 }
    }
  }

  /// Asks all to finish, and ends those that have not after a few seconds. Cancellation does not
  /// shorten it.
  func end() async {
    let running = state.withLock { state in
      state.isEnding = true
      return state.running.values.sorted()
    }
    for pid in running { kill(pid, SIGTERM) }
    await withCheckedContinuation { (done: CheckedContinuation<Void, Never>) in
      DispatchQueue.global().async { [self] in
        if alive.wait(timeout: .now() + .seconds(Self.graceSeconds)) == .timedOut {
          let left = state.withLock { $0.running.values.sorted() }
          for pid in left { kill(pid, SIGKILL) }
          alive.wait()
        }
        done.resume()
      }
    }
  }

  private func logPath(_ name: String) -> String { "\(runFolder)/workers/\(name)/log.txt" }

  private func start(_ name: String, onExit: @escaping @Sendable (Exit) -> Void) throws {
    let process = Process()
    process.executableURL = try ownExecutable()
    process.arguments = [
      "worker", "--access", accessPath(name), "--dir", "\(runFolder)/workers/\(name)",
      "--threads", "\(threads)", "--exit-with", "\(getpid())",
    ]
    process.standardInput = FileHandle.nullDevice
    process.standardOutput = FileHandle.nullDevice
    process.standardError = try openLog(name)
    process.terminationHandler = { [self] process in
      let reason =
        process.terminationReason == .uncaughtSignal
        ? "was ended by signal \(process.terminationStatus)"
        : "ended with exit code \(process.terminationStatus)"
      let isAsked = state.withLock { state in
        state.running[name] = nil
        return state.isEnding
      }
      if !isAsked {
        onExit(
          Exit(
            name: name, reason: reason,
            isWanted: process.terminationReason == .exit && process.terminationStatus == 0))
      }
      alive.leave()
    }
    try state.withLock { state in
      // A process that ends at once waits here until it is known.
      if state.isEnding { return }
      do {
        try process.run()
      } catch {
        throw CommandError.failed("worker \(name) cannot be started: \(error)")
      }
      alive.enter()
      state.running[name] = process.processIdentifier
    }
    try writeProcessIDs()
  }

  private func writeProcessIDs() throws {
    let workers = state.withLock { $0.running }
    let ids = ProcessIDs(coordinator: getpid(), workers: workers)
    try write(try JSONEncoder().encode(ids), toFile: runFolder + "/pids.json")
  }

  private func openLog(_ name: String) throws -> FileHandle {
    let url = URL(fileURLWithPath: logPath(name))
    let files = FileManager.default
    try files.createDirectory(
      at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
    if !files.fileExists(atPath: url.path) {
      guard files.createFile(atPath: url.path, contents: nil) else {
        throw CommandError.failed("\(url.path) cannot be written")
      }
    }
    let handle = try FileHandle(forWritingTo: url)
    try handle.seekToEnd()
    return handle
  }
}
