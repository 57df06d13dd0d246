import Distillation
import Domain
import Foundation
import Hashing
import Scheduling
import Store

/// Times a coordinator's start in a large run: from a run's folder to the first assignment that is
/// durable. Store and machine are the real ones; nobody connects.
public struct RestartTrial: Sendable {
  private let jobs: Int
  private let folder: String

  /// - Parameters:
  ///   - jobs: in the store, teacher's answers: nine of ten are done, a hundred are leased.
  ///   - folder: new.
  public init(jobs: Int, folder: String) {
    self.jobs = jobs
    self.folder = folder
  }

  private let worker = WorkerID(name: "w1", boot: 1)
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

  /// - Returns: how long it took until the first assignment was durable.
  public func run() throws -> Duration {
    let clock = ContinuousClock()
    let start = clock.now
    let store = try RunStore(folder: folder)
    var machine = RunMachine(
      settings: try trialSettings("restart"), restored: try store.restore(),
      address: { Digest(of: $0) },
      at: .zero)
    let now = Moment.zero
    var events: [Event] = [
      .prepared(input, pool: []),
      .received(
        .hello(
          WorkerHello(
            protocolVersion: protocolVersion, worker: worker, threads: 1, memoryBytes: 0,
            kernelSet: "none", peerEndpoint: "", peerPublicKey: "", models: [])), from: worker),
      .received(
        .heartbeat(
          Heartbeat(
            sequence: 1, holding: [], credit: 16, busyMilliseconds: 0, training: nil,
            standing: nil)), from: worker),
    ]
    var assigned = 0
    while !events.isEmpty {
      let effects = machine.handle(events.removeFirst(), at: now)
      try store.commit(
        effects.compactMap { if case .persist(let change) = $0 { change } else { nil } })
      for effect in effects {
        switch effect {
        case .request(.lookUp(let queries)):
          let known = try store.results(for: queries.map(\.address))
          events.insert(
            .lookedUp(
              asked: queries.map(\.job),
              found: queries.compactMap { query in
                known[query.address].map { KnownResult(job: query.job, result: $0) }
              }), at: 0)
        case .send(_, .assign(let assignments)): assigned += assignments.count
        case .send, .persist, .note, .request: continue
        }
      }
    }
    let total = clock.now - start
    precondition(assigned > 0, "nothing was assigned")
    try store.close()
    return total
  }
}
