import Foundation
import Synchronization
import Testing

/// The program itself, as it was built beside these tests.
private let program = Bundle.main.executableURL?.deletingLastPathComponent().appending(path: "comd")

/// Something done to a process at the moment at which it has said certain things.
///
/// It is done by the thread that reads what the process says: a test's own tasks may come much
/// later on a busy machine, when the process has gone on or has ended.
struct Reaction: Sendable {
  /// Parts of lines that have to come, one after another.
  var texts: [String]
  /// Is given the id of the process.
  var act: @Sendable (Int32) -> Void
  /// What is done once this has been done.
  private var next: [Reaction] = []

  init(texts: [String], act: @escaping @Sendable (Int32) -> Void) {
    (self.texts, self.act) = (texts, act)
  }

  func then(_ reaction: Reaction) -> Reaction {
    var both = self
    both.next.append(reaction)
    return both
  }

  /// Takes one more line in; acts on the one that completes the texts.
  fileprivate mutating func see(_ line: String, from process: Int32) {
    guard let text = texts.first, line.contains(text) else { return }
    texts.removeFirst()
    guard texts.isEmpty else { return }
    act(process)
    if let first = next.first {
      let rest = next.dropFirst()
      self = rest.reduce(first) { $0.then($1) }
    }
  }
}

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
  init(
    _ arguments: [String], in folder: String, log: String = "info", reaction: Reaction? = nil
  ) throws {
    let process = Process()
    process.executableURL = program
    process.arguments = arguments
    process.environment = ProcessInfo.processInfo.environment.merging(["COMD_LOG": log]) { $1 }
    output = URL(filePath: folder).appending(path: "out-\(UUID().uuidString)")
    #expect(FileManager.default.createFile(atPath: output.path, contents: nil))
    process.standardOutput = try FileHandle(forWritingTo: output)
    let pipe = Pipe()
    process.standardError = pipe
    let (lines, line) = AsyncStream.makeStream(of: String.self)
    self.lines = lines
    let (ended, end) = AsyncStream.makeStream(of: Int32.self)
    let running = Running()
    process.terminationHandler = { process in
      running.flag.withLock { $0 = false }
      let isSignal = process.terminationReason == .uncaughtSignal
      end.yield(isSignal ? -process.terminationStatus : process.terminationStatus)
      end.finish()
    }
    try process.run()
    let pid = process.processIdentifier
    (self.ended, self.running, self.pid) = (ended, running, pid)
    Thread.detachNewThread {
      var reaction = reaction
      readLines(from: pipe.fileHandleForReading) { text in
        reaction?.see(text, from: pid)
        line.yield(text)
      }
      line.finish()
    }
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

/// Sends a signal to a worker of a `comd run`; nothing when there is none of this name.
func signalWorker(_ name: String, of run: String, _ signal: Int32) {
  if let worker = try? workerProcesses(of: run)[name] { kill(worker, signal) }
}

/// Kills a worker of a `comd run`.
func killWorker(_ name: String, of run: String) { signalWorker(name, of: run, SIGKILL) }

/// Blocks until the other side has closed the pipe.
private func readLines(from handle: FileHandle, each use: (String) -> Void) {
  var unread = Data()
  while true {
    let data = handle.availableData
    if data.isEmpty { return }
    unread += data
    let parts = unread.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
    for line in parts.dropLast() { use(String(decoding: line, as: UTF8.self)) }
    unread = Data(parts.last ?? Data())
  }
}
