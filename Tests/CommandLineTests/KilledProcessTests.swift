import ClusterFixtures
import Foundation
import Testing
import Transport

@testable import CommandLineTool

/// A run to be disturbed, and the same run undisturbed to compare it with.
private struct Trial {
  let cluster: TinyCluster
  var folder: String { cluster.folder }
  var run: String { folder + "/run" }

  func start(
    _ words: String..., log: String = "info", reaction: Reaction? = nil
  ) throws -> ComdProcess {
    try ComdProcess(words, in: folder, log: log, reaction: reaction)
  }

  func worker(_ name: String) throws -> ComdProcess {
    try start(
      "worker", "--access", "\(folder)/keys/workers/\(name).access", "--dir",
      "\(folder)/work/\(name)", "--threads", "1")
  }

  /// The same settings in a folder of their own, by one worker that nothing happens to.
  func undisturbed() async throws -> Student {
    let alone = folder + "/undisturbed"
    let process = try start("run", "--config", cluster.config, "--dir", alone, "--workers", "1")
    #expect(await process.end().status == 0)
    return try Student(of: alone)
  }
}

/// What a run made: the digest that it reports, and the bytes in the folder that it left.
private struct Student: Equatable {
  var digest: String
  var weights: Data

  init(of run: String) throws {
    digest = try #require(try ReportFile(runFolder: run).student?.weightsSha256)
    weights = try Data(contentsOf: URL(filePath: run + "/student/model.safetensors"))
  }
}

/// What a coordinator said to have become durable: jobs by number, steps by name, each as often as
/// it was said.
private struct Durable {
  var accepted: [String: Int] = [:]
  var leased: [String: Int] = [:]
  var steps: [String: Int] = [:]
  var phases: Set<String> = []

  mutating func add(_ lines: [String]) {
    for line in lines {
      if let found = line.firstMatch(of: /durable: attempt \d+ of (job \d+) (accepted|leased)/) {
        let job = String(found.1)
        if found.2 == "accepted" {
          accepted[job, default: 0] += 1
        } else {
          leased[job, default: 0] += 1
        }
      } else if let found = line.firstMatch(of: /durable: (.* step \d+) committed/) {
        steps[String(found.1), default: 0] += 1
      } else if let found = line.firstMatch(of: /durable: phase (.*)/) {
        phases.insert(String(found.1))
      }
    }
  }
}

/// Two ports that nobody listens at. They are below those that the kernel gives to outgoing
/// connections: one of these could be taken while the coordinator is away.
private func freePorts() async throws -> (Int, Int) {
  var found: [Int] = []
  for port in (20_000..<30_000).shuffled() where found.count < 2 {
    guard
      let probe = try? MessageServer(
        endpoint: "tcp://127.0.0.1:\(port)", security: .plainForBenchmarks)
    else { continue }
    await probe.close()
    found.append(port)
  }
  return (try #require(found.first), try #require(found.last))
}

@Suite("A run whose processes are killed", .timeLimit(.minutes(5)))
struct KilledProcessTests {
  @Test("goes on where it was when its coordinator is started again, and repeats nothing")
  func coordinator() async throws {
    let (control, bulk) = try await freePorts()
    let trial = Trial(
      cluster: try TinyCluster(instructions: 32, controlPort: control, bulkPort: bulk))
    defer { trial.cluster.remove() }
    let expected = try await trial.undisturbed()
    #expect(try await trial.start("init", "--dir", trial.folder).end().status == 0)
    let workers = [try trial.worker("w1"), try trial.worker("w2")]
    func coordinator(_ reaction: Reaction? = nil) throws -> ComdProcess {
      try trial.start(
        "coordinator", "--config", trial.cluster.config, "--dir", trial.run, log: "trace",
        reaction: reaction)
    }
    var durable = Durable()
    var kills = 0
    // Among jobs, among the steps of a training, and among jobs once more. A coordinator that was
    // killed late may have left the next of these behind.
    for (phase, event) in [
      ("answering 1", "accepted"), ("tuning 1", "tuning 1 checkpoint at step 2"),
      ("assessing 1", "accepted"),
    ] where !durable.phases.contains(phase) {
      let texts = ["durable: phase \(phase)", event]
      let process = try coordinator(Reaction(texts: texts) { kill($0, SIGKILL) })
      let status = await process.end().status
      let said = await process.said()
      if status == -SIGKILL { kills += 1 }
      #expect(status == -SIGKILL || status == 0, "\(phase): \(said.suffix(3))")
      add(said, to: &durable)
    }
    let last = try coordinator()
    #expect(await last.end().status == 0)
    add(await last.said(), to: &durable)
    #expect(kills > 0)
    #expect(!durable.leased.isEmpty)
    #expect(durable.accepted.values.allSatisfy { $0 == 1 })
    #expect(durable.steps.values.allSatisfy { $0 == 1 })
    #expect(try Student(of: trial.run) == expected)
    // The end of the run is theirs, too.
    for worker in workers { #expect(await worker.end().status == 0) }
  }

  /// Takes in what one more coordinator said; what was accepted before it must not be asked for.
  private func add(_ lines: [String], to durable: inout Durable) {
    var own = Durable()
    own.add(lines)
    #expect(Set(own.leased.keys).isDisjoint(with: durable.accepted.keys))
    durable.add(lines)
  }

  @Test("with one of three workers lost in the middle of tuning makes the same student")
  func worker() async throws {
    let trial = Trial(cluster: try TinyCluster(instructions: 64))
    defer { trial.cluster.remove() }
    let expected = try await trial.undisturbed()
    let folder = trial.run
    let loss = Reaction(texts: ["durable: phase tuning 1", "tuning 1 step 3 committed"]) { _ in
      killWorker("w2", of: folder)
    }
    let run = try trial.start(
      "run", "--config", trial.cluster.config, "--dir", folder, "--workers", "3", log: "trace",
      reaction: loss)
    #expect(await run.end().status == 0)
    let said = await run.said()
    let lost = try #require(
      said.firstIndex { $0.contains("w2") && $0.contains("ended by signal 9") })
    #expect(said[lost...].contains { $0.contains("durable: tuning 1 gave model") })
    #expect(try Student(of: trial.run) == expected)
  }

  @Test("asked twice to stop ends at once, without waiting for a worker that stands still")
  func askedTwice() async throws {
    let trial = Trial(cluster: try TinyCluster())
    defer { trial.cluster.remove() }
    let folder = trial.run
    let joined = Reaction(texts: ["joined"]) { run in
      if let worker = try? workerProcesses(of: folder)["w1"] { kill(worker, SIGSTOP) }
      kill(run, SIGTERM)
    }
    let run = try trial.start(
      "run", "--config", trial.cluster.config, "--dir", folder, "--workers", "1",
      reaction: joined)
    #expect(await run.line(containing: "finishing what is under way"))
    let worker = try #require(try workerProcesses(of: folder)["w1"])
    kill(run.pid, SIGTERM)
    #expect(await run.end().status == 130)
    // Only a stop that waits ends the worker.
    #expect(kill(worker, SIGKILL) == 0)
  }
}
