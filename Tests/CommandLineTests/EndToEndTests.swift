import ClusterFixtures
import Foundation
import Synchronization
import Testing

@testable import CommandLineTool

/// The program itself, as it was built beside these tests.
private let program = Bundle.main.executableURL?.deletingLastPathComponent().appending(path: "comd")

/// A `comd` process under way.
private final class RunningComd: Sendable {
  /// Lines of its standard error as they come.
  let lines: AsyncStream<String>
  let pid: Int32
  private let ended: AsyncStream<Int32>
  private let output: URL

  init(_ arguments: [String], in folder: URL) throws {
    let process = Process()
    process.executableURL = program
    process.arguments = arguments
    output = folder.appending(path: "out-\(UUID().uuidString)")
    #expect(FileManager.default.createFile(atPath: output.path, contents: nil))
    process.standardOutput = try FileHandle(forWritingTo: output)
    let pipe = Pipe()
    process.standardError = pipe
    let (lines, line) = AsyncStream.makeStream(of: String.self)
    let unread = Mutex("")
    pipe.fileHandleForReading.readabilityHandler = { handle in
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
    let (ended, end) = AsyncStream.makeStream(of: Int32.self)
    process.terminationHandler = { process in
      let isSignal = process.terminationReason == .uncaughtSignal
      end.yield(isSignal ? -process.terminationStatus : process.terminationStatus)
      end.finish()
    }
    try process.run()
    (self.lines, self.ended, pid) = (lines, ended, process.processIdentifier)
  }

  /// Goes on when a line of standard error contains a text; all lines so far otherwise.
  func line(containing text: String) async -> Bool {
    for await line in lines where line.contains(text) { return true }
    return false
  }

  /// The exit code, minus the signal when one ended it, and what it printed.
  func end() async -> (status: Int32, output: String) {
    for await status in ended {
      return (status, (try? String(contentsOf: output, encoding: .utf8)) ?? "")
    }
    return (-1, "")
  }
}

@Suite("The whole program", .timeLimit(.minutes(3)))
struct EndToEndTests {
  let cluster: TinyCluster
  let folder: URL
  var run: String { folder.path + "/run" }

  init() throws {
    cluster = try TinyCluster()
    folder = URL(filePath: cluster.folder)
  }

  private func start(_ words: String...) throws -> RunningComd {
    try RunningComd(words, in: folder)
  }

  private func processIDs() throws -> [String: Int32] {
    struct IDs: Decodable { var workers: [String: Int32] }
    let data = try Data(contentsOf: URL(filePath: run + "/pids.json"))
    return try JSONDecoder().decode(IDs.self, from: data).workers
  }

  @Test("runs to its end with a worker killed in the middle, and again it is done at once")
  func killedWorker() async throws {
    defer { cluster.remove() }
    let first = try start("run", "--config", cluster.config, "--dir", run, "--workers", "2")
    #expect(await first.line(containing: "phase: "))
    let victim = try #require(try processIDs()["w2"])
    kill(victim, SIGKILL)
    let end = await first.end()
    #expect(end.status == 0)
    #expect(end.output.contains("iteration"))
    let report = try ReportFile(runFolder: run)
    #expect(report.iterations.count == 1)
    #expect(report.jobs?.lost == 0)
    let weights = try #require(report.student?.weightsSha256)

    let again = try start("run", "--config", cluster.config, "--dir", run, "--workers", "2")
    #expect(await again.end().status == 0)
    #expect(try ReportFile(runFolder: run).student?.weightsSha256 == weights)
  }

  @Test("stopped by SIGTERM ends with 130, is explained as not running, and goes on to its end")
  func stopped() async throws {
    defer { cluster.remove() }
    let first = try start("run", "--config", cluster.config, "--dir", run, "--workers", "1")
    #expect(await first.line(containing: "phase: "))
    kill(first.pid, SIGTERM)
    #expect(await first.end().status == 130)
    #expect(try await start("status", "--dir", run).end().status == 1)

    let again = try start("run", "--config", cluster.config, "--dir", run, "--workers", "1")
    #expect(await again.end().status == 0)
    #expect(try ReportFile(runFolder: run).student != nil)
  }

  @Test("tells its state to who asks while it runs")
  func status() async throws {
    cluster.remove()
    // Long enough that it still runs when the last question is asked.
    let long = try TinyCluster(instructions: 200, iterations: 5)
    defer { long.remove() }
    let folder = URL(filePath: long.folder)
    let run = folder.path + "/run"
    func ask(_ words: String...) async throws -> (status: Int32, output: String) {
      try await RunningComd(words + ["--dir", run], in: folder).end()
    }
    let running = try RunningComd(
      ["run", "--config", long.config, "--dir", run, "--workers", "1"], in: folder)
    #expect(await running.line(containing: "phase: "))
    #expect(try await ask("pause").status == 0)
    let status = try await ask("status", "--json")
    #expect(status.status == 0)
    #expect(status.output.contains("\"paused\":true"))
    #expect(status.output.contains("\"phase\":\""))
    let why = try await ask("explain")
    #expect(why.status == 0 && !why.output.isEmpty)
    #expect(try await ask("drain", "w7").status == 1)
    #expect(try await ask("resume").status == 0)
    kill(running.pid, SIGTERM)
    #expect(await running.end().status == 130)
  }
}
