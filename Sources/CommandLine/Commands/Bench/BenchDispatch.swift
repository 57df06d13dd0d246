import ArgumentParser
import Coordinator
import Domain
import Foundation
import Protocol
import Synchronization
import Transport

struct BenchDispatch: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "dispatch",
    abstract: "Jobs that cost no computing, handed out and made durable, in jobs a second.",
    discussion: """
      The coordinator of a run with its real sockets, keys and store, and worker processes that \
      answer every job at once. Counted is from the first job's creation to the commit of the last \
      result.

      Example:
        comd bench dispatch --jobs 20000 --workers 8
      """)

  @Option(help: "Jobs to hand out.")
  var jobs = 20_000
  @Option(help: "Worker processes.")
  var workers = 8
  @Option(help: .hidden)
  var memberAccess: String?
  @OptionGroup var options: BenchOptions

  func validate() throws {
    try require("--jobs", jobs, in: 1...10_000_000)
    try require("--workers", workers, in: 1...256)
  }

  func run() async throws {
    if let memberAccess { return try await answerAtOnce(AccessFile(reading: memberAccess)) }
    _ = try await trial(jobs: min(jobs, 1_000))
    let progress = Progress("bench dispatch", unit: "runs", total: options.runs)
    var rates: [Double] = []
    for run in 0..<options.runs {
      rates.append(Double(jobs) / (try await trial(jobs: jobs) / .seconds(1)))
      progress.update(run + 1)
    }
    try tell("dispatch", unit: "jobs/s", values: rates, options)
  }

  private func trial(jobs: Int) async throws -> Duration {
    let folder = FileManager.default.temporaryDirectory
      .appendingPathComponent("comd-dispatch-\(UUID().uuidString)").path
    defer { try? FileManager.default.removeItem(atPath: folder) }
    let trial = DispatchTrial(
      jobs: jobs, workers: workerNames(workers), folder: folder, log: makeQuietLogger("dispatch"))
    let members = BenchMembers()
    defer { members.end() }
    return try await members.during {
      try await trial.run { accessFiles in
        try members.start(accessFiles.map { ["bench", "dispatch", "--member-access", $0] })
      }
    }
  }
}

/// A worker that answers every job at once, until the coordinator is gone.
private func answerAtOnce(_ access: AccessFile) async throws {
  let client = try MessageClient(
    endpoint: access.control,
    security: .curve(access.keys, serverKey: access.coordinatorPublicKey))
  let me = WorkerID(name: access.worker, boot: .random(in: 1...UInt64.max))
  func say(_ message: WorkerMessage) throws { try client.send([Frame(encode(message))]) }
  let answer = GenerationResult(text: "", tokens: [], stop: .stopToken, promptTokens: 1)
  while let event = await client.events.next() {
    switch event {
    case .connected:
      try say(
        .hello(
          WorkerHello(
            protocolVersion: protocolVersion, worker: me, threads: 1, memoryBytes: 0,
            kernelSet: "none", peerEndpoint: "tcp://127.0.0.1:1",
            peerPublicKey: access.keys.publicKey,
            models: [])))
    case .disconnected: return await client.close()
    case .refused: throw CommandError.failed("\(access.worker) is not on the allow-list")
    case .message(let frames):
      guard let frame = frames.first else { continue }
      switch try decodeCoordinatorMessage(frame.bytes) {
      case .welcome(let welcome):
        try say(
          .heartbeat(
            Heartbeat(
              sequence: 1, holding: [], credit: welcome.creditMax, busyMilliseconds: 0,
              training: nil, standing: nil)))
      case .assign(let assignments):
        let reports = assignments.map {
          JobReport(
            job: $0.job, attempt: $0.attempt, address: $0.address, outcome: .success(answer))
        }
        for message in reportMessages(reports) { try say(message) }
      case .acknowledge, .cancel, .helloWanted, .prepareTraining, .openStep, .commitStep,
        .checkpoint, .export, .endTraining, .drain, .refused:
        break
      }
    }
  }
}
