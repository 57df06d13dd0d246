import ClusterFixtures
import Foundation
import Synchronization
import Testing
import Transport

@testable import CommandLineTool

/// A run to be disturbed, and the same run undisturbed to compare it with.
struct Trial: Sendable {
  let cluster: TinyCluster
  var folder: String { cluster.folder }
  var run: String { folder + "/run" }

  /// - Parameter instructions: enough that the run is still under way when it is disturbed.
  init(instructions: Int) throws { cluster = try TinyCluster(instructions: instructions) }

  func start(
    _ words: String..., log: String = "info", reaction: Reaction? = nil
  ) throws -> ComdProcess {
    try ComdProcess(words, in: folder, log: log, reaction: reaction)
  }

  /// The coordinator and `workers` workers, the coordinator saying everything.
  func wholeRun(workers: Int, reaction: Reaction? = nil) throws -> ComdProcess {
    try start(
      "run", "--config", cluster.config, "--dir", run, "--workers", "\(workers)", log: "trace",
      reaction: reaction)
  }

  /// The coordinator alone, saying everything; its workers are started by `worker`.
  func coordinator(_ reaction: Reaction? = nil) throws -> ComdProcess {
    try start(
      "coordinator", "--config", cluster.config, "--dir", run, log: "trace", reaction: reaction)
  }

  /// A worker that is let in by the access file in `keys`.
  func worker(
    _ name: String, keys: String, log: String = "info", reaction: Reaction? = nil
  ) throws -> ComdProcess {
    try start(
      "worker", "--access", "\(keys)/workers/\(name).access", "--dir", "\(folder)/work/\(name)",
      "--threads", "1", log: log, reaction: reaction)
  }

  /// Ports at which a coordinator may be started more than once, and the keys to reach it there.
  /// - Returns: the folder of the keys.
  func makeKeys() async throws -> String {
    let (control, bulk) = try await freePorts()
    try cluster.listen(control: control, bulk: bulk)
    #expect(try await start("init", "--dir", folder).end().status == 0)
    return folder + "/keys"
  }

  /// The run's past, gone through again.
  func replayed() async throws -> ReplayedPast {
    let (status, output) = try await start("simulate", "--replay", run, "--json").end()
    #expect(status == 0)
    let decoder = JSONDecoder()
    decoder.keyDecodingStrategy = .convertFromSnakeCase
    return try decoder.decode(ReplayedPast.self, from: Data(output.utf8))
  }

  /// The same settings in a folder of their own, by one worker that nothing happens to.
  func undisturbed() async throws -> Student {
    let alone = folder + "/undisturbed"
    let process = try start("run", "--config", cluster.config, "--dir", alone, "--workers", "1")
    #expect(await process.end().status == 0)
    // A student that has learned nothing would be the same in every run.
    let learned = try TinyCluster.tensorsThatDiffer(folder + "/student", alone + "/student")
    #expect(learned.contains { $0.hasPrefix("language_model.") })
    return try Student(of: alone)
  }
}

/// What is read of `comd simulate --replay --json`.
struct ReplayedPast: Decodable {
  struct Happening: Decodable {
    var what: String
  }
  var comparisons: Int
  var differs: String?
  var lacking: Int
  var happenings: [Happening]
}

/// What a run made: the digest that it reports, and the bytes in the folder that it left.
struct Student: Equatable {
  var digest: String
  var weights: Data

  init(of run: String) throws {
    digest = try #require(try ReportFile(runFolder: run).student?.weightsSha256)
    weights = try Data(contentsOf: URL(filePath: run + "/student/model.safetensors"))
  }
}

/// A process that one reaction starts, or has to find, and another uses.
final class Shared: Sendable {
  private let process = Mutex<ComdProcess?>(nil)

  /// Starts it once; what is thrown is recorded.
  func start(_ start: () throws -> ComdProcess) {
    do {
      let started = try start()
      process.withLock { $0 = started }
    } catch {
      Issue.record("not started: \(error)")
    }
  }

  var started: ComdProcess? { process.withLock { $0 } }
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
