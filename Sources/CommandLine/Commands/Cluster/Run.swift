import ArgumentParser
import Coordinator
import Foundation
import Settings
import Transport

struct Run: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Do a whole run on this machine: a coordinator and worker processes.",
    discussion: """
      Coordinator and workers talk over TCP with keys, as on many machines. Run again on the same \
      folder it goes on where it stood. Ends with the table of the iterations. One access file \
      more than there are workers is written to RUN/keys/workers, for one that joins meanwhile.

      Example:
        comd run --config cluster.yaml --dir runs/first --workers 3
      """)

  @Option(help: "The settings of the run.")
  var config: String
  @Option(name: .customLong("dir"), help: ArgumentHelp("The run's folder.", valueName: "run"))
  var folder: String
  @Option(help: "Worker processes.")
  var workers = 2
  @Option(help: "Threads of each worker (default: the machine's cores, shared).")
  var threads: Int?
  @OptionGroup var facts: FactOptions

  func validate() throws {
    try require("--workers", workers, in: 1...256)
    if let threads { try require("--threads", threads, in: 1...256) }
  }

  func run() async throws {
    var settings = try ClusterSettings.load(file: config, inputs: .mustExist)
    await useLocalPorts(&settings)
    try makeKeys(
      control: settings.coordinator.control.zeroMQ, bulk: settings.coordinator.bulk.zeroMQ)
    let service = CoordinatorService(
      CoordinatorOptions(
        settings: settings, configText: try configText(config), runFolder: folder,
        keysFolder: keysFolder),
      log: makeLogger("coordinator"))
    let cores = ProcessInfo.processInfo.activeProcessorCount
    let keysFolder = keysFolder
    let crew = LocalWorkers(
      runFolder: folder, names: workerNames(workers), threads: threads ?? max(1, cores / workers),
      accessPath: { "\(keysFolder)/workers/\($0).access" })
    let end = try await untilStopped { try await run(service, beside: crew) }
    try conclude(end, runFolder: folder, json: facts.json)
  }

  private var keysFolder: String { folder + "/keys" }

  /// Keys for the workers and one more; access files get these endpoints.
  private func makeKeys(control: String, bulk: String) throws {
    _ = try KeyRing.make(
      folder: keysFolder, workers: workerNames(workers + 1), control: control, bulk: bulk)
  }

  /// The coordinator in this process, the workers in theirs; whichever ends first ends the other.
  private func run(
    _ service: CoordinatorService, beside crew: LocalWorkers
  ) async throws -> RunEnd {
    let (listening, heard) = AsyncStream.makeStream(of: (control: String, bulk: String).self)
    let end: Swift.Result<RunEnd?, any Error>
    do {
      end = .success(
        try await withThrowingTaskGroup(of: RunEnd?.self) { group in
          group.addTask {
            try await service.run(
              onListening: { heard.yield(($0, $1)) }, onProgress: { liveLine.show($0.line) })
          }
          group.addTask {
            for await endpoints in listening {
              try makeKeys(control: endpoints.control, bulk: endpoints.bulk)
              try await crew.run()
            }
            return nil
          }
          defer { group.cancelAll() }
          while let end = try await group.next() {
            if let end { return end }
          }
          return nil
        })
    } catch {
      end = .failure(error)
    }
    await crew.end()
    return try end.get() ?? .stopped
  }
}

/// Puts the coordinator on this machine's loopback; a port that is taken gives way to any free one.
private func useLocalPorts(_ settings: inout ClusterSettings) async {
  func local(_ port: Int) async -> Endpoint {
    let endpoint = Endpoint(host: "127.0.0.1", port: port)
    if port == 0 { return endpoint }
    guard
      let probe = try? MessageServer(endpoint: endpoint.zeroMQ, security: .plainForBenchmarks)
    else {
      log("comd: port \(port) is taken, using another")
      return Endpoint(host: "127.0.0.1", port: 0)
    }
    await probe.close()
    return endpoint
  }
  settings.coordinator.control = await local(settings.coordinator.control.port)
  settings.coordinator.bulk = await local(settings.coordinator.bulk.port)
}
