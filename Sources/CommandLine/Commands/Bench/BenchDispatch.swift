import ArgumentParser
import Coordinator
import Foundation
import Transport

struct BenchDispatch: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "dispatch",
    abstract: "Jobs that cost no computing, handed out and made durable, in jobs a second.",
    discussion: """
      The coordinator of a run with its real sockets, keys and store, and worker processes that \
      answer every job at once. Counted is from the first job's creation to the commit of the last \
      result. With --rate the workers answer so many jobs a second in all, and counted is from a \
      worker's report to the job that it is given for it: the 99th of a hundred, in milliseconds.

      Example:
        comd bench dispatch --jobs 20000 --workers 8
        comd bench dispatch --jobs 20000 --workers 8 --rate 1000
      """)

  @Option(help: "Jobs to hand out.")
  var jobs = 20_000
  @Option(help: "Worker processes.")
  var workers = 8
  @Option(help: "Jobs a second that are answered; without it as many as can be.")
  var rate: Int?
  @Flag(help: "Record no journal of the decisions, which a run does.")
  var withoutJournal = false
  @Option(help: .hidden)
  var memberAccess: String?
  @Option(help: .hidden)
  var latencies: String?
  @OptionGroup var options: BenchOptions

  func validate() throws {
    try require("--jobs", jobs, in: 1...10_000_000)
    try require("--workers", workers, in: 1...256)
    if let rate { try require("--rate", rate, in: 1...100_000) }
  }

  func run() async throws {
    if let memberAccess {
      let member = try BenchWorker(AccessFile(reading: memberAccess))
      guard let rate, let latencies else { return try await member.answerAtOnce() }
      let waited = try await member.answer(every: .seconds(1) * workers / rate)
      return try JSONEncoder().encode(waited).write(to: URL(filePath: latencies))
    }
    if let rate { return try await tellLatencies(at: rate) }
    _ = try await trial(jobs: min(jobs, 1_000))
    let progress = Progress("bench dispatch", unit: "runs", total: options.runs)
    var rates: [Double] = []
    for run in 0..<options.runs {
      rates.append(Double(jobs) / (try await trial(jobs: jobs) / .seconds(1)))
      progress.update(run + 1)
    }
    try tell("dispatch", unit: "jobs/s", values: rates, options)
  }

  private func tellLatencies(at rate: Int) async throws {
    let progress = Progress("bench dispatch", unit: "runs", total: options.runs)
    var late: [Double] = []
    for run in 0..<options.runs {
      let waited = try await latencies(at: rate).sorted()
      guard !waited.isEmpty else { throw CommandError.failed("too few jobs to measure") }
      late.append(waited[waited.count * 99 / 100] * 1_000)
      progress.update(run + 1)
    }
    try tell("dispatch-p99", unit: "ms", values: late, options)
  }

  /// Seconds from a report to the job that is given for it, of all workers.
  private func latencies(at rate: Int) async throws -> [Double] {
    try await withBenchFolder { folder in
      _ = try await trial(jobs: jobs) { member in
        ["--rate", "\(rate)", "--workers", "\(workers)", "--latencies", "\(folder)/\(member)"]
      }
      return try (0..<workers).flatMap { member in
        try JSONDecoder().decode(
          [Double].self, from: Data(contentsOf: URL(filePath: "\(folder)/\(member)")))
      }
    }
  }

  private func trial(
    jobs: Int, arguments: @escaping @Sendable (_ member: Int) -> [String] = { _ in [] }
  ) async throws -> Duration {
    try await withBenchFolder { folder in
      let trial = DispatchTrial(
        jobs: jobs, workers: workerNames(workers), folder: folder,
        journalBytesMax: withoutJournal ? nil : 4 << 30, log: makeQuietLogger("dispatch"))
      let members = BenchMembers()
      defer { members.end() }
      let taken = try await members.during {
        try await trial.run { accessFiles in
          try members.start(
            accessFiles.enumerated().map { member, access in
              ["bench", "dispatch", "--member-access", access] + arguments(member)
            })
        }
      }
      await members.allEnded()
      return taken
    }
  }
}
