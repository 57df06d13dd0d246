import ArgumentParser
import Coordinator
import Foundation

struct BenchRestart: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "restart",
    abstract:
      "How long a coordinator takes from its start to the first assignment, in a large run.",
    discussion: """
      Writes a run of so many instructions, nine of ten answered, then opens it as a coordinator \
      that was killed does, until the first assignment to a worker is durable.

      Example:
        comd bench restart --jobs 1000000
      """)

  @Option(help: "Jobs in the store.")
  var jobs = 1_000_000
  @OptionGroup var options: BenchOptions

  func validate() throws { try require("--jobs", jobs, in: 1_000...100_000_000) }

  func run() throws {
    let folder = FileManager.default.temporaryDirectory
      .appendingPathComponent("comd-restart-\(UUID().uuidString)").path
    defer { try? FileManager.default.removeItem(atPath: folder) }
    let trial = RestartTrial(jobs: jobs, folder: folder)
    let progress = Progress("bench restart", unit: "jobs", total: jobs)
    try trial.prepare { progress.update($0) }
    var seconds: [Double] = []
    for _ in 0..<options.runs { seconds.append(try trial.run() / .seconds(1)) }
    try tell("restart", unit: "s", values: seconds, options)
  }
}
