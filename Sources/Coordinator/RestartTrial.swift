import Distillation
import Domain
public import Foundation
import Hashing
public import Logging
import Scheduling
import Store
import Transport

/// Times a coordinator's start in a large run: from a run's folder to the first assignment that a
/// worker has. Sockets, keys, store and machine are the real ones.
public struct RestartTrial: Sendable {
  private let jobs: Int
  private let folder: String
  private let log: Logger

  /// - Parameters:
  ///   - jobs: in the store, teacher's answers: nine of ten are done, a hundred are leased.
  ///   - folder: new.
  public init(jobs: Int, folder: String, log: Logger) {
    self.jobs = jobs
    self.folder = folder
    self.log = log
  }

  private let lost = WorkerID(name: "w0", boot: 1)
  private let input = RunInput(
    teacher: Digest(hashing: "teacher".utf8), student: Digest(hashing: "student".utf8),
    hasCaptions: false, evaluationSets: [])

  /// Writes the run's folder.
  /// - Parameter onProgress: hears how many jobs are written.
  public func prepare(onProgress: (Int) -> Void = { _ in }) throws {
    let store = try RunStore(folder: folder)
    try store.commit([.phase(.answering(iteration: 1)), .workerJoined(lost, kernelSet: "none")])
    let prompts = try PromptSet(replacing: [:])
    let chunk = 10_000
    for start in stride(from: 0, to: jobs, by: chunk) {
      var changes: [Change] = []
      for number in start..<min(start + chunk, jobs) {
        let instruction = instruction(number)
        changes.append(.instructionsAdded([instruction], iteration: 1))
        // The rest is created when workers get to it.
        guard number < jobs * 9 / 10 + 100 else { continue }
        let request = GenerationRequest(
          model: input.teacher,
          prompt: prompts.answer(instruction.text, image: instruction.image, in: .plain),
          sampling: Sampling(temperature: 0, tokensMax: 64, seed: UInt64(number)))
        let job = Job(
          id: JobID(Int64(number + 1)), purpose: .teacherAnswer(instruction.id),
          address: Digest(of: request), request: request)
        changes += [.jobsCreated([job]), .leased(job.id, attempt: 1, to: lost)]
        guard number < jobs * 9 / 10 else { continue }
        let result = GenerationResult(
          text:
            "The person on the left is holding a cup of coffee, because it is cold. (\(number))",
          tokens: Array(repeating: 1_234, count: 24), stop: .stopToken, promptTokens: 640)
        changes.append(
          .accepted(
            JobReport(job: job.id, attempt: 1, address: job.address, outcome: .success(result)),
            from: lost))
      }
      try store.commit(changes)
      onProgress(min(start + chunk, jobs))
    }
    try store.close()
  }

  private func instruction(_ number: Int) -> Instruction {
    Instruction(
      id: InstructionID(Int64(number + 1)), image: Digest(hashing: "picture \(number / 6)".utf8),
      text: "What is the person on the left holding, and why? (\(number))", task: .conversation,
      lineage: .imported(record: "\(number / 6)", turn: number % 6))
  }

  /// Starts a coordinator on the folder while workers are trying to reach the one of before.
  ///
  /// - Parameters:
  ///   - onAway: called with the access files of the workers while no coordinator is there; returns
  ///     when they have tried to reach it for a while.
  ///   - firstAssignment: gives the moment at which a worker had one.
  /// - Returns: from the start to that moment.
  public func run(
    workers: [String], onAway: ([String]) async throws -> Void,
    firstAssignment: @escaping @Sendable () async throws -> Date
  ) async throws -> Duration {
    func keyRing(_ endpoint: String) throws -> KeyRing {
      try KeyRing.make(
        folder: folder + "/keys", workers: workers, control: endpoint, bulk: endpoint)
    }
    let before = try MessageServer(endpoint: "tcp://127.0.0.1:*", security: .plainForBenchmarks)
    await before.close()
    let keys = try keyRing(before.endpoint)
    try await onAway(workers.map { keys.accessPath(worker: $0) })

    let start = Date()
    let store = try RunStore(folder: folder)
    let control = try MessageServer(
      endpoint: before.endpoint,
      security: .curve(keys.keys, AllowList(keys.allowList(without: []))))
    let settings = try trialSettings("restart")
    let loop = ClusterLoop(
      machine: RunMachine(
        settings: settings, restored: try store.restore(), address: { Digest(of: $0) }, at: .zero),
      store: store, control: control, requests: AsyncStream.makeStream().continuation,
      recorder: try Recorder.open(
        RunFolder(path: folder), store: store, settings: settings, revoked: [],
        bytesMax: 4 << 30, log: log),
      log: log)
    let assigned = try await withThrowingTaskGroup(of: Date?.self) { group in
      group.addTask { [input] in
        try await loop.turn(.prepared(input, pool: []))
        while true {
          let events = await control.events.nextBatch(max: 256)
          if events.isEmpty { return nil }
          try await loop.receive(events)
        }
      }
      group.addTask {
        while true {
          try await Task.sleep(for: Timing().tickEvery)
          try await loop.tick()
        }
      }
      group.addTask { try await firstAssignment() }
      defer { group.cancelAll() }
      while let end = try await group.next() {
        if let end {
          await control.close()
          return end
        }
      }
      throw CancellationError()
    }
    await loop.finishRecording()
    try store.close()
    return .seconds(assigned.timeIntervalSince(start))
  }
}
