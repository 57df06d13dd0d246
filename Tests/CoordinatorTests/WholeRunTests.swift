import ClusterFixtures
import Domain
import Foundation
import Logging
import Settings
import Testing
import Transport
import Worker

@testable import Coordinator

/// What came of a run: its folder, its report, and what its coordinator said.
private struct Finished {
  var folder: String
  var report: Report
  var history: RunHistory
}

/// A whole cluster in this process: the real coordinator and real workers over TCP and CURVE.
private func expectSameStudent(_ one: Finished, _ other: Finished) throws {
  #expect(one.report.weights == other.report.weights)
  #expect(
    try TinyCluster.tensorsThatDiffer(one.folder + "/student", other.folder + "/student").isEmpty)
}

private func run(_ cluster: TinyCluster, workers: Int, name: String) async throws -> Finished {
  let folder = "\(cluster.folder)/\(name)"
  let settings = try ClusterSettings.load(file: cluster.config)
  let said = SaidLines()
  var log = Logger(label: "coordinator") { _ in said.handler }
  log.logLevel = .trace
  let ring = try KeyRing.make(
    folder: folder + "/keys", workers: (1...workers).map { "w\($0)" },
    control: "tcp://127.0.0.1:1", bulk: "tcp://127.0.0.1:1")
  let coordinator = CoordinatorService(
    CoordinatorOptions(
      settings: settings, configText: try String(contentsOfFile: cluster.config, encoding: .utf8),
      runFolder: folder, keysFolder: ring.folder), log: log)
  var workerLog = Logger(label: "worker")
  workerLog.logLevel = .error
  return try await withThrowingTaskGroup(of: RunEnd?.self) { group in
    let (endpoints, found) = AsyncStream<ControlAndBulk>.makeStream()
    group.addTask {
      try await coordinator.run(onListening: { found.yield(ControlAndBulk(control: $0, bulk: $1)) })
    }
    var iterator = endpoints.makeAsyncIterator()
    let listening = try #require(await iterator.next())
    for number in 1...workers {
      var access = try AccessFile(reading: ring.accessPath(worker: "w\(number)"))
      access.control = listening.control
      access.bulk = listening.bulk
      let options = WorkerOptions(
        access: access, folder: "\(folder)/workers/w\(number)", threads: 1)
      let workerLog = workerLog
      group.addTask {
        let end = try await WorkerService(options, log: workerLog).run()
        #expect(end == .drained)
        return nil
      }
    }
    var end: RunEnd?
    while let next = try await group.next() { end = next ?? end }
    #expect(end == .finished(report: folder + "/report.json"))
    let replayed = try RunReplay(runFolder: folder).run()
    #expect(replayed.difference == nil)
    #expect(replayed.comparisons > 0)
    #expect(replayed.status?.phase == "finished")
    return Finished(
      folder: folder, report: try Report(folder + "/report.json"),
      history: RunHistory(said.lines))
  }
}

private struct ControlAndBulk: Sendable {
  var control: String
  var bulk: String
}

/// What the tests read of `report.json`, as an outsider would.
private struct Report {
  private let json: [String: Any]

  init(_ path: String) throws {
    let bytes = try Data(contentsOf: URL(filePath: path))
    json = try #require(JSONSerialization.jsonObject(with: bytes) as? [String: Any])
  }

  func object(_ key: String) -> [String: Any] { json[key] as? [String: Any] ?? [:] }
  var iterations: [[String: Any]] { json["iterations"] as? [[String: Any]] ?? [] }
  var weights: String? { object("student")["weights_sha256"] as? String }
}

@Suite("A whole run", .timeLimit(.minutes(5)))
struct WholeRunTests {
  @Test("gives the same with 1, 2 and 3 workers, and lets them go at its end")
  func sameForAnyWorkers() async throws {
    // Long enough that all three take part on a busy machine, too.
    let cluster = try TinyCluster(instructions: 48)
    defer { cluster.remove() }
    var runs: [Finished] = []
    for workers in 1...3 {
      runs.append(try await run(cluster, workers: workers, name: "with-\(workers)"))
      // The sum of a step by all of them: the bits below are not one worker's alone.
      #expect(runs[workers - 1].history.stepCount(by: Set(["w1", "w2", "w3"].prefix(workers))) > 0)
    }
    let first = try #require(runs[0].report.weights)
    #expect(first.count == 64)
    for run in runs {
      let report = run.report
      #expect(report.weights == first)
      #expect(
        try TinyCluster.tensorsThatDiffer(run.folder + "/student", runs[0].folder + "/student")
          .isEmpty)
      let iteration = try #require(report.iterations.first)
      let tuning = try #require(iteration["tuning"] as? [String: Any])
      #expect(tuning["instructions"] as? Int == 48)
      #expect(tuning["steps"] as? Int == 6)
      #expect(run.history.stepCount(of: "tuning 1") == 6)
      let assessment = try #require(iteration["assessment"] as? [String: Any])
      #expect(assessment["instructions"] as? Int == 48)
      #expect(report.object("jobs")["lost"] as? Int == 0)
      #expect(report.object("jobs")["duplicates_differing"] as? Int == 0)
      #expect(report.object("pretraining")["pairs"] as? Int == 72)
      #expect(
        assessment as NSDictionary == runs[0].report.iterations[0]["assessment"] as? NSDictionary)
    }
  }

  @Test("with adapters changes what they stand beside, with 1 worker as with 2")
  func adapters() async throws {
    let cluster = try TinyCluster(
      tune: "recompute: true, lora: { rank: 3, alpha: 6, targets: [q_proj, down_proj] },")
    defer { cluster.remove() }
    let one = try await run(cluster, workers: 1, name: "with-1")
    let two = try await run(cluster, workers: 2, name: "with-2")
    try expectSameStudent(one, two)
    let changed = try TinyCluster.tensorsThatDiffer(
      one.folder + "/students/0", one.folder + "/student")
    let block = "language_model.model.layers.0"
    let changedLanguage: Set<String> = changed.filter { !$0.hasPrefix("multi_modal_projector.") }
    #expect(
      changedLanguage == [
        "\(block).self_attn.q_proj.weight", "\(block).mlp.down_proj.weight",
      ])
    #expect(changed.contains { $0.hasPrefix("multi_modal_projector.") })
  }

  @Test("in bf16 on the wire has one student, too, with 1 worker as with 3, and it is another one")
  func wire() async throws {
    let cluster = try TinyCluster(tune: "wire: bf16,")
    defer { cluster.remove() }
    let one = try await run(cluster, workers: 1, name: "with-1")
    let three = try await run(cluster, workers: 3, name: "with-3")
    try expectSameStudent(one, three)
    let exact = try TinyCluster()
    defer { exact.remove() }
    #expect(try await run(exact, workers: 1, name: "exact").report.weights != one.report.weights)
  }

  @Test("trains the projector alone in stage 1, then the language model with it")
  func trainedParts() async throws {
    let cluster = try TinyCluster()
    defer { cluster.remove() }
    let folder = try await run(cluster, workers: 1, name: "run").folder
    func changed(_ before: String, _ after: String) throws -> Set<Substring> {
      Set(try TinyCluster.tensorsThatDiffer(before, after).map { $0.prefix { $0 != "." } })
    }
    let untrained = cluster.folder + "/student"
    #expect(try changed(untrained, folder + "/students/0") == ["multi_modal_projector"])
    #expect(
      try changed(folder + "/students/0", folder + "/students/1")
        == ["language_model", "multi_modal_projector"])
    #expect(try changed(folder + "/students/1", folder + "/student").isEmpty)
  }
}
