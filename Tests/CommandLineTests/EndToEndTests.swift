import ClusterFixtures
import Foundation
import Testing

@testable import CommandLineTool

@Suite("The whole program", .timeLimit(.minutes(5)))
struct EndToEndTests {
  let cluster: TinyCluster
  var run: String { cluster.folder + "/run" }

  init() throws {
    cluster = try TinyCluster()
  }

  private func start(
    _ words: String..., reaction: Reaction? = nil, log: String = "info"
  ) throws -> ComdProcess {
    try ComdProcess(words, in: cluster.folder, log: log, reaction: reaction)
  }

  @Test("runs to its end with a worker killed in the middle, and again it is done at once")
  func killedWorker() async throws {
    defer { cluster.remove() }
    let run = run
    let first = try start(
      "run", "--config", cluster.config, "--dir", run, "--workers", "2",
      reaction: Reaction(texts: ["w2#"]) { _ in killWorker("w2", of: run) })
    #expect(await first.line(containing: "ended by signal 9"))
    let end = await first.end()
    #expect(end.status == 0)
    #expect(end.output.contains("iteration"))
    let report = try ReportFile(runFolder: run)
    #expect(report.iterations.count == 1)
    #expect(report.jobs?.lost == 0)
    let weights = try #require(report.student?.weightsSha256)

    let again = try start("run", "--config", cluster.config, "--dir", run, "--workers", "2")
    // Nobody was asked for anything: not a job is new, and not a worker has joined.
    #expect(!(await again.said().contains { $0.contains("joined") }))
    #expect(await again.end().status == 0)
    let unchanged = try ReportFile(runFolder: run)
    #expect(unchanged.student?.weightsSha256 == weights)
    #expect(unchanged.jobs == report.jobs)
    #expect(report.jobs?.attempts ?? 0 > 0)
    #expect(unchanged.workers?.map(\.joined) == report.workers?.map(\.joined))
  }

  @Test("stopped by SIGTERM ends with 130, is explained as not running, and goes on to its end")
  func stopped() async throws {
    defer { self.cluster.remove() }
    let cluster = try TinyCluster(instructions: 64, precision: "bf16")
    defer { cluster.remove() }
    let run = cluster.folder + "/run"
    let first = try start(
      "run", "--config", cluster.config, "--dir", run, "--workers", "1",
      reaction: Reaction(texts: ["durable: phase answering 1", "accepted"]) { kill($0, SIGTERM) },
      log: "trace")
    #expect(await first.end().status == 130)
    let before = RunHistory(await first.said())
    #expect(!before.accepted.isEmpty && !before.steps.isEmpty)
    #expect(try await start("status", "--dir", run).end().status == 1)

    let again = try start(
      "run", "--config", cluster.config, "--dir", run, "--workers", "1", log: "trace")
    #expect(await again.end().status == 0)
    #expect(try ReportFile(runFolder: run).student != nil)
    let after = RunHistory(await again.said())
    #expect(Set(before.accepted.keys).isDisjoint(with: after.leased.keys))
    #expect(Set(before.steps.keys).isDisjoint(with: after.steps.keys))
  }

  @Test("tells its state to who asks while it runs")
  func status() async throws {
    cluster.remove()
    // Long enough that it still runs when it is asked to stop, however late that is.
    let long = try TinyCluster(instructions: 1_200)
    defer { long.remove() }
    let run = long.folder + "/run"
    func ask(_ words: String...) async throws -> (status: Int32, output: String) {
      try await ComdProcess(words + ["--dir", run], in: long.folder).end()
    }
    let running = try ComdProcess(
      ["run", "--config", long.config, "--dir", run, "--workers", "1"], in: long.folder)
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
    #expect(try await ask("status", "--json").output.contains("\"paused\":false"))
    kill(running.pid, SIGTERM)
    let said = await running.said().suffix(12)
    #expect(await running.end().status == 130, "\(said.joined(separator: "\n"))")
  }
}
