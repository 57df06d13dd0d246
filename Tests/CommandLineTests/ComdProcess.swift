import Foundation
import Synchronization
import Testing

/// The program itself, as it was built beside these tests.
private let program = Bundle.main.executableURL?.deletingLastPathComponent().appending(path: "comd")

/// A `comd` process under way; killed when nobody refers to it any more.
final class ComdProcess: Sendable {
  let pid: Int32
  /// Lines of its standard error as they come.
  private let lines: AsyncStream<String>
  private let passed = Mutex<[String]>([])
  private let ended: AsyncStream<Int32>
  private let running: Running
  private let output: URL

  private final class Running: Sendable {
    let flag = Mutex(true)
  }

  /// - Parameters:
  ///   - folder: for what it prints on standard output.
  ///   - log: the level of its log, and of the workers' that it starts.
  init(_ arguments: [String], in folder: String, log: String = "info") throws {
    let process = Process()
    process.executableURL = program
    process.arguments = arguments
    process.environment = ProcessInfo.processInfo.environment.merging(["COMD_LOG": log]) { $1 }
    output = URL(filePath: folder).appending(path: "out-\(UUID().uuidString)")
    #expect(FileManager.default.createFile(atPath: output.path, contents: nil))
    process.standardOutput = try FileHandle(forWritingTo: output)
    let pipe = Pipe()
    process.standardError = pipe
    lines = linesRead(from: pipe.fileHandleForReading)
    let (ended, end) = AsyncStream.makeStream(of: Int32.self)
    let running = Running()
    process.terminationHandler = { process in
      running.flag.withLock { $0 = false }
      let isSignal = process.terminationReason == .uncaughtSignal
      end.yield(isSignal ? -process.terminationStatus : process.terminationStatus)
      end.finish()
    }
    try process.run()
    (self.ended, self.running, pid) = (ended, running, process.processIdentifier)
  }

  deinit { if running.flag.withLock({ $0 }) { kill(pid, SIGKILL) } }

  /// Goes on when a line of standard error contains a text; false when there is none to the end.
  func line(containing text: String) async -> Bool {
    for await line in lines {
      passed.withLock { $0.append(line) }
      if line.contains(text) { return true }
    }
    return false
  }

  /// The exit code, minus the signal when one ended it, and what it printed.
  func end() async -> (status: Int32, output: String) {
    for await status in ended {
      return (status, (try? String(contentsOf: output, encoding: .utf8)) ?? "")
    }
    return (-1, "")
  }

  /// Everything that it said on standard error, once it has ended.
  func said() async -> [String] {
    for await line in lines { passed.withLock { $0.append(line) } }
    return passed.withLock { $0 }
  }
}

/// The process ids of the workers of a `comd run`, by name.
func workerProcesses(of run: String) throws -> [String: Int32] {
  struct IDs: Decodable { var workers: [String: Int32] }
  let data = try Data(contentsOf: URL(filePath: run + "/pids.json"))
  return try JSONDecoder().decode(IDs.self, from: data).workers
}

private func linesRead(from handle: FileHandle) -> AsyncStream<String> {
  let (lines, line) = AsyncStream.makeStream(of: String.self)
  let unread = Mutex("")
  handle.readabilityHandler = { handle in
    let data = handle.availableData
    if data.isEmpty {
      handle.readabilityHandler = nil
      line.finish()
      return
    }
    let complete = unread.withLock { unread in
      unread += String(decoding: data, as: UTF8.self)
      let parts = unread.split(separator: "\n", omittingEmptySubsequences: false)
      unread = String(parts.last ?? "")
      return parts.dropLast().map(String.init)
    }
    for text in complete { line.yield(text) }
  }
  return lines
}
