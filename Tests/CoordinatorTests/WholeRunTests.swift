import ClusterFixtures
import Domain
import Foundation
import Logging
import Settings
import Testing
import Transport
import Worker

@testable import Coordinator

/// A whole cluster in this process: the real coordinator and real workers over TCP and CURVE.
private func run(_ cluster: TinyCluster, workers: Int, name: String) async throws -> Report {
  let folder = "\(cluster.folder)/\(name)"
  let settings = try ClusterSettings.load(file: cluster.config)
  var log = Logger(label: "test")
  log.logLevel = .error
  let ring = try KeyRing.make(
    folder: folder + "/keys", workers: (1...workers).map { "w\($0)" },
    control: "tcp://127.0.0.1:1", bulk: "tcp://127.0.0.1:1")
  let coordinator = CoordinatorService(
    CoordinatorOptions(
      settings: settings, configText: try String(contentsOfFile: cluster.config, encoding: .utf8),
      runFolder: folder, keysFolder: ring.folder), log: log)
  let workerLog = log
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
      group.addTask {
        let end = try await WorkerService(options, log: workerLog).run()
        #expect(end == .drained)
        return nil
      }
    }
    var end: RunEnd?
    while let next = try await group.next() { end = next ?? end }
    #expect(end == .finished(report: folder + "/report.json"))
    return try Report(folder + "/report.json")
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

@Suite("A whole run", .timeLimit(.minutes(3)))
struct WholeRunTests {
  @Test("gives the same with 1, 2 and 3 workers, and lets them go at its end")
  func sameForAnyWorkers() async throws {
    let cluster = try TinyCluster()
    defer { cluster.remove() }
    var reports: [Report] = []
    for workers in 1...3 {
      reports.append(try await run(cluster, workers: workers, name: "with-\(workers)"))
    }
    let first = try #require(reports[0].weights)
    #expect(first.count == 64)
    for report in reports {
      #expect(report.weights == first)
      let iteration = try #require(report.iterations.first)
      let tuning = try #require(iteration["tuning"] as? [String: Any])
      #expect(tuning["instructions"] as? Int == 12)
      #expect(tuning["steps"] as? Int ?? 0 > 0)
      let assessment = try #require(iteration["assessment"] as? [String: Any])
      #expect(assessment["instructions"] as? Int == 12)
      #expect(report.object("jobs")["lost"] as? Int == 0)
      #expect(report.object("jobs")["duplicates_differing"] as? Int == 0)
      #expect(report.object("pretraining")["pairs"] as? Int == 18)
      #expect(
        assessment as NSDictionary == reports[0].iterations[0]["assessment"] as? NSDictionary)
    }
  }
}
