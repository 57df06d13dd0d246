import Domain
import Executors
import Foundation
import Logging
import Protocol
import Transport

/// The worker's side of the control socket: who it is, what it holds, what it has to report.
///
/// One message at a time; nothing here computes. Results are in the spool before they are sent and
/// stay there until the coordinator has acknowledged them.
actor WorkerSession {
  struct Identity: Sendable {
    var worker: WorkerID
    var threads: Int
    var memoryBytes: Int64
    var kernelSet: String
    var peerEndpoint: String
    var peerPublicKey: String
  }

  /// Jobs that are generated in one batch.
  static let batchMax = 32

  private let identity: Identity
  private let control: MessageClient
  private var spool: Spool
  private let library: ModelLibrary
  private let generation: GenerationEngine
  private let rank: TrainingRank
  private let log: Logger

  private var welcome: Welcome?
  private var draining = false
  private var beats: UInt64 = 0
  private var busy = Duration.zero
  /// Given and not begun, in the order they came.
  private var waiting: [Assignment] = []
  /// In the batch that is computed now.
  private var running: [JobID: Assignment] = [:]
  private let work = Signal()
  private let trainingCommands: AsyncStream<CoordinatorMessage>
  private let trainingInbox: AsyncStream<CoordinatorMessage>.Continuation

  init(
    identity: Identity, control: MessageClient, spool: consuming Spool, library: ModelLibrary,
    generation: GenerationEngine, rank: TrainingRank, log: Logger
  ) {
    self.identity = identity
    self.control = control
    self.spool = spool
    self.library = library
    self.generation = generation
    self.rank = rank
    self.log = log
    (trainingCommands, trainingInbox) = AsyncStream.makeStream()
  }

  /// Follows the coordinator until it lets this worker go.
  func run() async throws -> WorkerEnd {
    while let event = await control.events.next() {
      switch event {
      case .connected: await sayHello()
      case .disconnected: log.info("the coordinator is away; working on")
      case .refused:
        log.warning("the coordinator does not know this worker's key; trying again")
      case .message(let frames):
        guard let frame = frames.first else { continue }
        do {
          try await handle(decodeCoordinatorMessage(frame.bytes))
        } catch let error as ProtocolError {
          log.warning("dropped a message of the coordinator: \(error)")
        }
      }
      if draining, waiting.isEmpty, running.isEmpty, spool.isEmpty {
        send(.goodbye)
        return .drained
      }
    }
    return .stopped
  }

  /// Sends heartbeats, the first ones as soon as the worker is let in.
  func beat() async {
    while !Task.isCancelled {
      if welcome != nil { await sendHeartbeat() }
      try? await Task.sleep(for: welcome?.heartbeatEvery ?? .milliseconds(200))
    }
  }

  /// Computes batch after batch.
  func compute() async throws {
    while !Task.isCancelled {
      guard let batch = nextBatch() else {
        await work.wait()
        continue
      }
      let clock = ContinuousClock()
      var reports: [JobReport] = []
      let taken = await clock.measure { reports = await generation.run(batch) }
      busy += taken
      try finish(reports)
    }
  }

  /// Hands the commands of trainings to the rank, in order.
  func train() async {
    for await command in trainingCommands {
      let clock = ContinuousClock()
      busy += await clock.measure { await rank.handle(command) }
    }
  }

  private func handle(_ message: CoordinatorMessage) async throws {
    switch message {
    case .welcome(let new):
      if welcome == nil { log.info("joined run \(new.run)") }
      welcome = new
      await sendHeartbeat()
      report(spool.pending.compactMap { try? decodeJobReport($0.payload) })
      await rank.repeatLastWord()
    case .helloWanted: await sayHello()
    case .refused(let refusal): throw WorkerError.refused(refusal)
    case .assign(let assignments): take(assignments)
    case .acknowledge(let jobs): try spool.forget(jobs)
    case .cancel(let jobs):
      let unwanted = Set(jobs)
      waiting.removeAll { unwanted.contains($0.job) }
      for job in jobs { running[job] = nil }
      try spool.forget(jobs)
    case .openStep(let plan):
      rank.latestEpoch.advance(to: plan.training, epoch: plan.epoch)
      trainingInbox.yield(message)
    case .prepareTraining, .commitStep, .checkpoint, .export, .endTraining:
      trainingInbox.yield(message)
    case .drain:
      log.info("drained: finishing \(waiting.count + running.count) jobs")
      draining = true
    }
  }

  private func take(_ assignments: [Assignment]) {
    let done = Dictionary(uniqueKeysWithValues: spool.pending.map { ($0.job, $0.payload) })
    for assignment in assignments {
      if let payload = done[assignment.job] {
        if let known = try? decodeJobReport(payload) { report([known]) }
      } else if running[assignment.job] != nil {
        running[assignment.job] = assignment
      } else if let place = waiting.firstIndex(where: { $0.job == assignment.job }) {
        waiting[place] = assignment
      } else {
        waiting.append(assignment)
      }
    }
    work.raise()
  }

  /// The next jobs that share a model, in the order they came.
  private func nextBatch() -> [Assignment]? {
    guard let model = waiting.first?.request.model else { return nil }
    let batch = waiting.filter { $0.request.model == model }.prefix(Self.batchMax)
    let taken = Set(batch.map(\.job))
    waiting.removeAll { taken.contains($0.job) }
    for assignment in batch { running[assignment.job] = assignment }
    return Array(batch)
  }

  /// Spools what a batch brought, then reports it. Jobs cancelled meanwhile are dropped.
  private func finish(_ reports: [JobReport]) throws {
    let wanted = reports.compactMap { report -> JobReport? in
      guard let assignment = running.removeValue(forKey: report.job) else { return nil }
      var report = report
      report.attempt = assignment.attempt
      return report
    }
    try spool.keep(wanted.map { ($0.job, encode($0)) })
    report(wanted)
  }

  private func report(_ reports: [JobReport]) {
    for message in reportMessages(reports) { send(message) }
  }

  private func sayHello() async {
    send(
      .hello(
        WorkerHello(
          protocolVersion: protocolVersion, worker: identity.worker, threads: identity.threads,
          memoryBytes: identity.memoryBytes, kernelSet: identity.kernelSet,
          peerEndpoint: identity.peerEndpoint, peerPublicKey: identity.peerPublicKey,
          models: await library.onDisk)))
  }

  private func sendHeartbeat() async {
    guard let welcome else { return }
    beats += 1
    let holding = waiting.map(\.job) + running.keys
    let training = rank.standing.current
    send(
      .heartbeat(
        Heartbeat(
          sequence: beats, holding: holding.sorted(),
          credit: draining ? 0 : max(0, welcome.creditMax - holding.count),
          busyMilliseconds: busy.milliseconds, training: training?.training,
          standing: training?.standing)))
  }

  /// What cannot be sent now is said again after the next welcome.
  private func send(_ message: WorkerMessage) {
    do {
      try control.send([Frame(encode(message))])
    } catch {
      log.debug("not sent: \(error)")
    }
  }
}

extension Duration {
  var milliseconds: Int64 {
    components.seconds * 1000 + components.attoseconds / 1_000_000_000_000_000
  }
}
