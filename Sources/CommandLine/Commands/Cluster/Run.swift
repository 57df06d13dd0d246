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
    try await useLocalPorts(&settings)
    let ring = try KeyRing.make(
      folder: folder + "/keys", workers: workerNames(workers + 1),
      control: settings.coordinator.control.zeroMQ, bulk: settings.coordinator.bulk.zeroMQ)
    let service = CoordinatorService(
      CoordinatorOptions(
        settings: settings, configText: try configText(config), runFolder: folder,
        keysFolder: folder + "/keys"),
      log: makeLogger("coordinator"))
    let cores = ProcessInfo.processInfo.activeProcessorCount
    let crew = LocalWorkers(
      runFolder: folder, names: workerNames(workers), threads: threads ?? max(1, cores / workers),
      accessPath: { ring.accessPath(worker: $0) })
    let end = try await untilStopped {
      try await run(service, beside: crew)
    }
    try conclude(end, runFolder: folder, json: facts.json)
  }

  /// The coordinator in this process, the workers in theirs; whichever ends first ends the other.
  private func run(
    _ service: CoordinatorService, beside crew: LocalWorkers
  ) async throws -> RunEnd {
    let end: Swift.Result<RunEnd?, any Error>
    do {
      end = .success(
        try await withThrowingTaskGroup(of: RunEnd?.self) { group in
          group.addTask { try await service.run { liveLine.show($0.line) } }
          group.addTask {
            try await crew.run()
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

/// Puts the coordinator on this machine's loopback, on ports that are free.
private func useLocalPorts(_ settings: inout ClusterSettings) async throws {
  let asked = [settings.coordinator.control.port, settings.coordinator.bulk.port]
  var ports: [Int] = []
  for port in asked {
    let free = try await freePort(preferring: port)
    if port != 0, free != port { log("comd: port \(port) is taken, using \(free)") }
    ports.append(free)
  }
  settings.coordinator.control = Endpoint(host: "127.0.0.1", port: ports[0])
  settings.coordinator.bulk = Endpoint(host: "127.0.0.1", port: ports[1])
}

/// The port itself when nobody listens there, else any that is free now.
private func freePort(preferring port: Int) async throws -> Int {
  for candidate in port == 0 ? [0] : [port, 0] {
    let endpoint = Endpoint(host: "127.0.0.1", port: candidate).zeroMQ
    guard let probe = try? MessageServer(endpoint: endpoint, security: .plainForBenchmarks) else {
      continue
    }
    let bound = probe.endpoint.split(separator: ":").last.flatMap { Int($0) }
    await probe.close()
    if let bound { return bound }
  }
  throw CommandError.failed("no TCP port of 127.0.0.1 is free; end what holds them")
}
