import Distillation
import Domain
import Executors
import Foundation
import Hashing
public import Logging
import Scheduling
import Store
import Transport

/// Times the way of jobs that cost no computing: created, handed out, reported, made durable. Real
/// sockets, machine and store; the workers are whoever connects with the access files.
public struct DispatchTrial: Sendable {
  private let jobs: Int
  private let workers: [String]
  private let folder: String
  private let journalBytesMax: Int64?
  private let log: Logger

  /// - Parameters:
  ///   - workers: their names; it begins when all have joined.
  ///   - folder: new, for keys and, in `run`, the store.
  ///   - journalBytesMax: as the settings have it.
  public init(
    jobs: Int, workers: [String], folder: String, journalBytesMax: Int64? = 4 << 30, log: Logger
  ) {
    self.jobs = jobs
    self.workers = workers
    self.folder = folder
    self.journalBytesMax = journalBytesMax
    self.log = log
  }

  /// - Parameter onListening: called when workers may connect, with their access files.
  /// - Returns: from the creation of the first job to the commit of the last result.
  public func run(
    onListening: @Sendable (_ accessFiles: [String]) throws -> Void
  ) async throws -> Duration {
    let store = try RunStore(folder: folder + "/run")
    defer { try? store.close() }
    let keys = try keyRing(control: "tcp://127.0.0.1:0")
    let control = try MessageServer(
      endpoint: "tcp://127.0.0.1:*",
      security: .curve(keys.keys, AllowList(keys.allowList(without: []))))
    let ring = try keyRing(control: control.endpoint)
    let (requests, inbox) = AsyncStream<Request>.makeStream()
    let settings = try trialSettings("dispatch")
    let loop = ClusterLoop(
      machine: RunMachine(
        settings: settings, restored: RestoredRun(), address: { Digest(of: $0) }, at: .zero),
      store: store, control: control, requests: inbox,
      recorder: try Recorder.open(
        RunFolder(path: store.folder), store: store, settings: settings, revoked: [],
        bytesMax: journalBytesMax, log: log), log: log)
    do {
      try onListening(workers.map { ring.accessPath(worker: $0) })
      let taken = try await time(control, loop, requests)
      await control.close()
      await loop.finishRecording()
      return taken
    } catch {
      await control.close()
      throw error
    }
  }

  private func time(
    _ control: MessageServer, _ loop: ClusterLoop, _ requests: AsyncStream<Request>
  ) async throws -> Duration {
    let begun = Signal()
    return try await withThrowingTaskGroup(of: Duration?.self) { group in
      group.addTask {
        var isWaiting = true
        while true {
          let events = await control.events.nextBatch(max: 256)
          if events.isEmpty { return nil }
          try await loop.receive(events)
          if isWaiting, await loop.status().workers.count == workers.count {
            isWaiting = false
            begun.raise()
          }
        }
      }
      group.addTask {
        while true {
          try await Task.sleep(for: Timing().tickEvery)
          try await loop.tick()
        }
      }
      group.addTask {
        await begun.wait()
        let start = ContinuousClock.now
        try await loop.turn(.prepared(input, pool: pool))
        // The first thing after the last answer: the machine asks for the samples of the tuning.
        for await request in requests {
          if case .buildDataset = request { return ContinuousClock.now - start }
        }
        throw CancellationError()
      }
      defer { group.cancelAll() }
      while let end = try await group.next() {
        if let end { return end }
      }
      throw CancellationError()
    }
  }

  private func keyRing(control: String) throws -> KeyRing {
    try KeyRing.make(folder: folder + "/keys", workers: workers, control: control, bulk: control)
  }

  private var input: RunInput {
    RunInput(
      teacher: Digest(hashing: "teacher".utf8), student: Digest(hashing: "student".utf8),
      hasCaptions: false, evaluationSets: [])
  }

  /// Two instructions for each picture, so that jobs have a worker that they prefer.
  private var pool: [Instruction] {
    (0..<jobs).map { number in
      Instruction(
        id: InstructionID(Int64(number + 1)), image: Digest(hashing: "picture \(number / 2)".utf8),
        text: "Question \(number)?", task: .conversation,
        lineage: .imported(record: "\(number)", turn: 0))
    }
  }
}

/// Settings of a run that nobody computes.
func trialSettings(_ run: String) throws -> RunSettings {
  let role = RoleSampling(temperature: 0, tokensMax: 1)
  let recipe = TrainingRecipe(learningRate: 0, trained: .projector, seed: 1)
  return RunSettings(
    run: run, prompts: try PromptSet(replacing: [:]), teacherTemplate: .plain,
    studentTemplate: .plain, teacher: role, student: role, judge: role, augmentor: role,
    pretrain: recipe, tune: recipe)
}
