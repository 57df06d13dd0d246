import ArgumentParser
import Coordinator
import Foundation
import Settings

struct Init: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract:
      "Write a commented cluster.yaml, the coordinator's keys and one access file a worker.",
    discussion: """
      What is there already is kept: run it again with a larger number to admit more workers. The \
      files under keys/ are secret and readable by you alone; a worker needs its access file and \
      nothing else.

      Example:
        comd init --dir cluster --workers 3 --host node0.example.org
      """)

  @Option(name: .customLong("dir"), help: ArgumentHelp("Where to write.", valueName: "folder"))
  var folder = "."
  @Option(help: "How many workers get an access file: w1, w2, ….")
  var workers = 2
  @Option(help: "The coordinator's host as workers reach it.")
  var host = "127.0.0.1"
  @OptionGroup var facts: FactOptions

  func validate() throws { try require("--workers", workers, in: 1...1_024) }

  func run() throws {
    let file = URL(fileURLWithPath: folder).appendingPathComponent("cluster.yaml").path
    let isNew = !FileManager.default.fileExists(atPath: file)
    if isNew { try write(Data(ClusterSettings.template().utf8), toFile: file) }
    let settings = try ClusterSettings.load(file: file)
    let names = workerNames(workers)
    let ring = try KeyRing.make(
      folder: folder + "/keys", workers: names,
      control: endpoint(settings.coordinator.control), bulk: endpoint(settings.coordinator.bulk))
    if facts.json {
      try printJSON(
        Written(config: file, workers: names.map { ring.accessPath(worker: $0) }))
      return
    }
    printFact("\(isNew ? "written" : "kept"): \(file)")
    for name in names { printFact("access of \(name): \(ring.accessPath(worker: name))") }
    log("next: name models and data in \(file), then `comd run --config \(file) --dir RUN`")
  }

  private struct Written: Encodable {
    var config: String
    var workers: [String]
  }

  /// Where a worker connects: this host, the port of the settings.
  private func endpoint(_ listening: Endpoint) -> String {
    Endpoint(host: host, port: listening.port).zeroMQ
  }
}

/// `w1`, `w2`, …
func workerNames(_ count: Int) -> [String] { (1...count).map { "w\($0)" } }
