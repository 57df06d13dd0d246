import ArgumentParser
import Coordinator
import Foundation
import Settings

struct Coordinate: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "coordinator",
    abstract: "Coordinate a run whose workers are started elsewhere.",
    discussion: """
      Run again on the same folder it goes on where it stood.

      Example:
        comd coordinator --config cluster/cluster.yaml --dir runs/first
      """)

  @Option(help: "The settings of the run.")
  var config: String
  @Option(name: .customLong("dir"), help: ArgumentHelp("The run's folder.", valueName: "run"))
  var folder: String
  @Option(help: "The folder of the cluster's keys (default: keys beside the settings).")
  var keys: String?
  @OptionGroup var facts: FactOptions

  func run() async throws {
    let settings = try ClusterSettings.load(file: config, inputs: .mustExist)
    let besideConfig = URL(fileURLWithPath: config).deletingLastPathComponent()
      .appendingPathComponent("keys").path
    let service = CoordinatorService(
      CoordinatorOptions(
        settings: settings, configText: try configText(config), runFolder: folder,
        keysFolder: keys ?? besideConfig),
      log: makeLogger("coordinator"))
    let json = facts.json
    let end = try await untilStopped {
      try await service.run(onProgress: { status in
        if json { try? printJSON(status) } else { liveLine.show(status.line) }
      })
    }
    try conclude(end, runFolder: folder, json: json)
  }
}

/// The settings as they stand in the file, which the run's manifest keeps.
func configText(_ file: String) throws -> String {
  String(decoding: try Data(contentsOf: URL(fileURLWithPath: file)), as: UTF8.self)
}

/// What is said at the end of a run, or when it was stopped.
func conclude(_ end: RunEnd, runFolder: String, json: Bool) throws {
  switch end {
  case .finished(let reportPath):
    let report = try ReportFile(runFolder: runFolder)
    if json {
      try printJSON(report)
    } else {
      printFact(reportText(report))
    }
    log(
      """
      report: \(reportPath)
      next: comd report --dir \(runFolder) --html report.html
      """)
  case .stopped:
    throw CommandError.stopped("stopped; the same command goes on where the run stood")
  }
}
