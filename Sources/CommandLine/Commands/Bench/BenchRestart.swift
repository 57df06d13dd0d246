import ArgumentParser
import Coordinator
import Foundation
import Transport

struct BenchRestart: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "restart",
    abstract:
      "How long a coordinator takes from its start to the first assignment, in a large run.",
    discussion: """
      Writes a run of so many instructions, nine of ten answered, then opens it as a coordinator \
      that was killed does, while worker processes are trying to reach it, until the first of them \
      has a new assignment.

      Example:
        comd bench restart --jobs 1000000
      """)

  @Option(help: "Jobs in the store.")
  var jobs = 1_000_000
  @Option(help: "Worker processes.")
  var workers = 8
  @Option(help: .hidden)
  var memberAccess: String?
  @Option(help: .hidden)
  var assigned: String?
  @OptionGroup var options: BenchOptions

  func validate() throws {
    try require("--jobs", jobs, in: 1_000...100_000_000)
    try require("--workers", workers, in: 1...256)
  }

  func run() async throws {
    if let memberAccess, let assigned {
      // One that comes too late finds that it was enough that another one had a job.
      guard let at = try await BenchWorker(AccessFile(reading: memberAccess)).firstAssignment()
      else { return }
      try Data("\(at.timeIntervalSince1970)".utf8).write(
        to: URL(filePath: assigned), options: .atomic)
      return
    }
    let seconds = try await withBenchFolder { folder in
      let trial = RestartTrial(jobs: jobs, folder: folder, log: makeQuietLogger("restart"))
      let progress = Progress("bench restart", unit: "jobs", total: jobs)
      try trial.prepare { progress.update($0) }
      // The folder was written without a journal: the first start copies the store beside it.
      _ = try await restart(trial, assigned: folder + "/assigned")
      var seconds: [Double] = []
      for _ in 0..<options.runs {
        seconds.append(try await restart(trial, assigned: folder + "/assigned") / .seconds(1))
      }
      return seconds
    }
    try tell("restart", unit: "s", values: seconds, options)
  }

  /// How long workers have tried in vain: they try at their longest intervals by then.
  private static let away = Duration.seconds(6)

  private func restart(_ trial: RestartTrial, assigned: String) async throws -> Duration {
    let members = BenchMembers()
    defer { members.end() }
    try? FileManager.default.removeItem(atPath: assigned)
    return try await members.during {
      try await trial.run(
        workers: workerNames(workers),
        onAway: { accessFiles in
          try members.start(
            accessFiles.map {
              ["bench", "restart", "--member-access", $0, "--assigned", assigned]
            })
          try await Task.sleep(for: Self.away)
        },
        firstAssignment: {
          while true {
            if let text = try? String(contentsOfFile: assigned, encoding: .utf8),
              let at = Double(text)
            {
              return Date(timeIntervalSince1970: at)
            }
            try await Task.sleep(for: .milliseconds(20))
          }
        })
    }
  }
}
