import ArgumentParser
import Coordinator
import Foundation

struct BenchRestart: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "restart",
    abstract:
      "How long a coordinator takes from its start to the first assignment, in a large run.",
    discussion: """
      Writes a run of so many instructions, nine of ten answered, then opens it as a coordinator \
      that was killed does, until the first assignment to a worker is durable: store and \
      decisions, without sockets and without what a worker takes to come back.

      Example:
        comd bench restart --jobs 1000000
      """)

  @Option(help: "Jobs in the store.")
  var jobs = 1_000_000
  @OptionGroup var options: BenchOptions

  func validate() throws { try require("--jobs", jobs, in: 1_000...100_000_000) }

  func run() async throws {
    let seconds = try await withBenchFolder { folder in
      let trial = RestartTrial(jobs: jobs, folder: folder)
      let progress = Progress("bench restart", unit: "jobs", total: jobs)
      try trial.prepare { progress.update($0) }
      return try (0..<options.runs).map { _ in try trial.run() / .seconds(1) }
    }
    try tell("restart", unit: "s", values: seconds, options)
  }
}
