import Domain
import Executors
import Foundation
import Logging
import Protocol
import Scheduling
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

  /// Jobs that are computed at one time.
  static let runningMax = 32
  /// How long a result waits for others.
  static let gathering = Duration.milliseconds(5)
  /// A result that stays unacknowledged is sent again after every eighth heartbeat.
  static let beatsBetweenOffers = 8

  private let identity: Identity
  private let control: MessageClient
  private var desk: WorkerDesk { didSet { tellPulse() } }
  private let spool: SpoolKeeper
  /// Jobs that have ended, and results that were acknowledged, of which the spool does not know.
  private var ended: [JobReport] = []
  private var forgotten: [JobAttempt] = []
  /// Raised when there are some.
  private let endings = Signal()
  /// What is being written to the spool: nothing is reported before it is there.
  private var unkept: Set<JobAttempt> = []
  private let library: ModelLibrary
  private let generation: GenerationEngine
  private let rank: TrainingRank
  private let log: Logger

  private var welcome: Welcome?
  private var draining = false { didSet { tellPulse() } }
  private let pulse: Pulse
  /// Jobs that the engine may still compute and nobody wants.
  private var unwanted: [JobID] = []
  /// Raised when jobs may begin.
  private let work = Signal()
  /// Raised when the engine has something to compute.
  private let steps = Signal()

  init(
    identity: Identity, control: MessageClient, spool: consuming Spool, library: ModelLibrary,
    generation: GenerationEngine, rank: TrainingRank, log: Logger
  ) {
    self.identity = identity
    self.control = control
    desk = WorkerDesk(
      unacknowledged: spool.pending.compactMap { try? decodeJobReport($0.payload) })
    self.spool = SpoolKeeper(spool)
    self.library = library
    self.generation = generation
    self.rank = rank
    pulse = Pulse(control: control, standing: rank.standing)
    self.log = log
  }

  /// Follows the coordinator until it lets this worker go.
  func run() async throws -> WorkerEnd {
    defer { pulse.end() }
    let kept = desk.toOffer.count
    if kept > 0 { log.info("\(kept) results of before are still to be acknowledged") }
    while let event = await control.events.next() {
      switch event {
      case .connected: await sayHello()
      case .disconnected where draining && desk.holding.isEmpty:
        // Nobody is there to say goodbye to. What was not acknowledged stays on the disk.
        return .drained
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
      if draining, desk.isClear {
        send(.goodbye)
        return .drained
      }
    }
    return .stopped
  }

  /// Sends again, every some heartbeats, what was not acknowledged.
  func offerAgain() async {
    while !Task.isCancelled {
      if welcome != nil { report(desk.toOffer) }
      let every = (welcome?.heartbeatEvery ?? .milliseconds(100)) * Self.beatsBetweenOffers
      try? await Task.sleep(for: every)
    }
  }

  /// Hands jobs to the engine, where each joins those that run.
  func begin() async throws {
    while !Task.isCancelled {
      // Before the next ones, which may be the same jobs, wanted again.
      if !unwanted.isEmpty {
        let jobs = unwanted
        unwanted.removeAll()
        await generation.drop(jobs)
      }
      let next = desk.begin(Self.runningMax)
      guard let model = next.first?.request.served else {
        await work.wait()
        continue
      }
      if let failure = await generation.use(model) {
        finish(next.map { JobReport($0, .failure(failure)) })
        continue
      }
      let failed = await generation.take(next.filter { desk.running($0.job) != nil })
      if !failed.isEmpty { finish(failed) }
      steps.raise()
    }
  }

  /// Computes token after token, and reports each job as it ends.
  func compute() async throws {
    let clock = ContinuousClock()
    while !Task.isCancelled {
      let begun = clock.now
      let (reports, goesOn) = await generation.step()
      pulse.worked(clock.now - begun)
      if !reports.isEmpty { finish(reports) }
      if !goesOn { await steps.wait() }
    }
  }

  /// Keeps what has ended in the spool, then reports it, and forgets what was acknowledged. All
  /// that comes while the disk is awaited is written together next; the last of it at the end.
  func keep() async throws {
    while !Task.isCancelled {
      await endings.wait()
      // Jobs of one batch end one shortly after the other: they share the way to the disk and to
      // the coordinator, while the rest of them keeps the engine busy.
      if desk.isComputing(beside: ended) { try? await Task.sleep(for: Self.gathering) }
      try await write()
    }
  }

  private func write() async throws {
    let wanted = desk.finish(ended)
    let old = forgotten
    ended = []
    forgotten = []
    unkept = Set(wanted.map(\.jobAttempt))
    if !wanted.isEmpty { work.raise() }
    try await spool.write(
      kept: wanted.map { ($0.jobAttempt, encode($0)) }, forgotten: old)
    unkept = []
    if wanted.isEmpty { return }
    log.debug("\(wanted.count) results kept")
    report(wanted)
  }

  /// Takes part in trainings.
  nonisolated func train() async {
    let pulse = pulse
    await rank.run { pulse.worked($0) }
  }

  private func handle(_ message: CoordinatorMessage) async throws {
    switch message {
    case .welcome(let new):
      if welcome == nil { log.info("joined run \(new.run)") }
      welcome = new
      tellPulse()
      pulse.begin(every: new.heartbeatEvery)
      report(desk.toOffer)
      rank.repeatLastWord()
    case .helloWanted: await sayHello()
    case .refused(let refusal): throw WorkerError.refused(refusal)
    case .assign(let assignments):
      report(desk.take(assignments))
      work.raise()
    case .acknowledge(let attempts):
      forgotten += desk.acknowledged(attempts)
      endings.raise()
    case .cancel(let jobs):
      desk.cancel(jobs)
      unwanted += jobs
      work.raise()
    case .openStep, .prepareTraining, .commitStep, .export, .endTraining: rank.put(message)
    case .drain:
      log.info("drained: finishing \(desk.holding.count) jobs")
      draining = true
    }
  }

  private func finish(_ reports: [JobReport]) {
    ended += reports
    endings.raise()
  }

  private func report(_ reports: [JobReport]) {
    let kept = reports.filter { !unkept.contains($0.jobAttempt) }
    for message in reportMessages(kept) { send(message) }
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

  private func tellPulse() {
    let holding = desk.holding
    let credit = draining ? 0 : max(0, (welcome?.creditMax ?? 0) - holding.count)
    pulse.hold(holding, credit: credit)
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
