import Domain

/// One training: which worker takes part in which step, and when a step counts.
///
/// A step is opened with an epoch of its own, computed by its members, voted for by each, and
/// committed when all votes are equal; the commit is durable before anybody applies it. Whatever
/// goes wrong (a member is lost, time runs out, sums differ) voids the epoch, and the same step is
/// opened again. Every state is a function of the step alone, so it does not matter who computed
/// which part of it, nor whether a step is computed again after its state was lost.
///
/// Between two steps the group may stand still for workers that want to join: one member uploads
/// the state, the others load it, and all go on together.
struct TrainingMachine: Sendable {
  struct Participant: Sendable {
    var endpoint: String
    var publicKey: String
    /// The furthest standing heard; nil while it is not known.
    var standing: TrainingStanding?
    /// When it was last told something that it has not answered.
    var toldAt: Moment
    var draining = false
    /// Left out until then, after it held a step or a pause up.
    var benchedUntil: Moment?
    var benchings = 0
    /// Its sums are wrong: left out for good.
    var excluded = false

    var failure: String? {
      if case .failed(let reason) = standing { reason } else { nil }
    }
  }

  struct Round: Sendable {
    var plan: StepPlan
    var votes: [WorkerID: StepVote] = [:]
    var openedAt: Moment
    var deadline: Moment
    var ranksMax: Int
  }

  /// A pause in which `joiners` load the state at `step`.
  struct Pause: Sendable {
    enum Stage: Hashable, Sendable {
      case uploading(by: WorkerID)
      case loading
    }
    var step: Int
    var stage: Stage
    var joiners: [WorkerID]
    var deadline: Moment
  }

  struct Export: Sendable {
    /// Who was asked to upload the student, since when.
    var exporter: WorkerID?
    var deadline: Moment
    /// What each worker says that the student is.
    var results: [WorkerID: TrainingExport] = [:]
  }

  enum Mode: Sendable {
    /// Between steps.
    case between
    case stepping(Round)
    case pausing(Pause)
    case exporting(Export)
    case finished(TrainingExport)
  }

  var plan: TrainingPlan
  let timing: Timing
  var mode = Mode.between
  var participants: [WorkerID: Participant] = [:]
  /// The highest epoch that was opened.
  var epoch: UInt64
  /// Steps that are durably committed.
  var committed: Int
  /// The step that is to be done next; below `committed` after the state was lost.
  var position: Int
  /// The newest commit: who is `prepared` for exactly this may apply its sum.
  var lastCommit: (step: Int, epoch: UInt64)?
  var patience: StepPatience
  /// Of the present step.
  var timeouts = 0
  var disagreements = 0
  /// Until then workers that are not ready are waited for.
  var gatherUntil: Moment
  /// Until then no step begins: after a restart the workers are coming back one by one.
  var reconnectUntil: Moment
  /// Since when nobody has held the state at `position`.
  var stateMissingSince: Moment?
  /// A periodic checkpoint that was asked for and has not come.
  var checkpointAsked: (step: Int, at: Moment)?
  /// Uploads for joiners that did not come.
  var uploadsFailed = 0
  var waiting: QuorumWait?
  var lastLoss: Double?

  /// - Parameter isNew: false after a restart, when workers are still coming back.
  init(_ restored: RestoredTraining, isNew: Bool, timing: Timing, at now: Moment) {
    plan = restored.plan
    self.timing = timing
    epoch = restored.epoch
    committed = restored.stepsCommitted
    position = restored.stepsCommitted
    if committed > 0 { lastCommit = (committed - 1, restored.commitEpoch) }
    patience = StepPatience(first: timing.firstStepPatience, least: timing.stepPatienceMin)
    gatherUntil = now + (isNew ? timing.gatherPatience : timing.regatherPatience)
    reconnectUntil = isNew ? now : now + timing.reconnectAllPatience
  }

  // MARK: What is heard

  mutating func joined(
    _ worker: WorkerID, _ hello: WorkerHello, at now: Moment, _ turn: inout Turn
  ) {
    if participants[worker] == nil {
      participants[worker] = Participant(
        endpoint: hello.peerEndpoint, publicKey: hello.peerPublicKey, toldAt: now)
    } else {
      participants[worker]?.endpoint = hello.peerEndpoint
      participants[worker]?.publicKey = hello.peerPublicKey
      participants[worker]?.toldAt = now
    }
    turn.send(worker, .prepareTraining(plan))
  }

  mutating func left(_ worker: WorkerID) { participants[worker] = nil }

  mutating func drain(_ worker: WorkerID) { participants[worker]?.draining = true }

  mutating func heard(
    _ heartbeat: Heartbeat, of worker: WorkerID, at now: Moment, _ turn: inout Turn
  ) {
    guard participants[worker] != nil else { return }
    if heartbeat.training == plan.training, let standing = heartbeat.standing {
      heard(standing, of: worker, at: now, &turn)
    }
    remind(worker, heartbeat, at: now, &turn)
  }

  mutating func heard(
    _ standing: TrainingStanding, of worker: WorkerID, at now: Moment, _ turn: inout Turn
  ) {
    guard var participant = participants[worker] else { return }
    if case .failed(let reason) = standing {
      if participant.standing != standing {
        turn.note(.trainingFailed(plan.training, on: worker, reason))
        bench(worker, at: now)
        participants[worker]?.standing = standing
      }
      return
    }
    // Standings overtake one another on the way; a state only ever moves forward, except when its
    // holder is told to load another, and then `standing` was cleared.
    guard isFurther(standing, than: participant.standing) else { return }
    participant.standing = standing
    participants[worker] = participant
  }

  mutating func heard(_ vote: StepVote, of worker: WorkerID, _ turn: inout Turn) {
    guard case .stepping(var round) = mode, vote.epoch == round.plan.epoch else {
      if vote.epoch > epoch {
        turn.note(
          .nonsense(worker, .vote(vote.training, step: vote.step, epoch: vote.epoch)))
      }
      return
    }
    guard vote.step == round.plan.step, round.plan.members.contains(where: { $0.worker == worker })
    else {
      turn.note(.nonsense(worker, .vote(vote.training, step: vote.step, epoch: vote.epoch)))
      return
    }
    round.votes[worker] = vote
    mode = .stepping(round)
    let standing = TrainingStanding.prepared(step: vote.step, epoch: vote.epoch)
    if isFurther(standing, than: participants[worker]?.standing) {
      participants[worker]?.standing = standing
    }
  }

  mutating func heard(
    _ checkpoint: TrainingCheckpoint, of worker: WorkerID, at now: Moment, _ turn: inout Turn
  ) {
    guard checkpoint.step <= committed else {
      turn.note(.nonsense(worker, .unaskedCheckpoint(plan.training, step: checkpoint.step)))
      return
    }
    if let asked = checkpointAsked, asked.step <= checkpoint.step { checkpointAsked = nil }
    guard checkpoint.step > plan.checkpoint?.step ?? 0 else { return }
    plan.checkpoint = checkpoint
    turn.persist(.checkpointed(plan.training, checkpoint))
  }

  mutating func heard(
    _ export: TrainingExport, of worker: WorkerID, at now: Moment, _ turn: inout Turn
  ) {
    guard case .exporting(var present) = mode, participants[worker] != nil else { return }
    let isFirst = present.results.isEmpty
    present.results[worker] = export
    if isFirst {
      present.deadline = now + timing.uploadPatience
      for other in holders(of: plan.stepsTotal) where other != worker {
        tell(other, .export(plan.training), at: now, &turn)
      }
    }
    mode = .exporting(present)
  }

  // MARK: What is known of participants

  /// Committed steps in the state that a worker holds or is about to hold.
  func step(of participant: Participant) -> Int? {
    switch participant.standing {
    case .ready(let step): return step
    case .prepared(let step, let epoch):
      guard let lastCommit, lastCommit == (step, epoch) else { return step }
      return step + 1
    case .preparing, .failed, nil: return nil
    }
  }

  /// Workers that hold the state at `step`, in id order.
  func holders(of step: Int) -> [WorkerID] {
    participants.keys.sorted().filter { worker in
      participants[worker].flatMap(self.step(of:)) == step
    }
  }

  func isAvailable(_ participant: Participant, at now: Moment) -> Bool {
    if participant.draining || participant.excluded { return false }
    return participant.benchedUntil.map { $0 <= now } ?? true
  }

  private func isFurther(_ new: TrainingStanding, than old: TrainingStanding?) -> Bool {
    rank(of: new) >= rank(of: old)
  }

  /// Orders standings: by state first, then by whether a sum is held, then by its epoch.
  private func rank(of standing: TrainingStanding?) -> (Int, Int, UInt64) {
    switch standing {
    case nil: (-2, 0, 0)
    case .failed, .preparing: (-1, 0, 0)
    case .ready(let step): (step, 0, 0)
    case .prepared(let step, let epoch): (step, 1, epoch)
    }
  }

  mutating func bench(_ worker: WorkerID, at now: Moment) {
    guard var participant = participants[worker] else { return }
    participant.benchings = min(participant.benchings + 1, 6)
    participant.benchedUntil = now + timing.goneAfter * (1 << participant.benchings)
    participant.standing = nil
    participants[worker] = participant
  }

  mutating func tell(
    _ worker: WorkerID, _ message: CoordinatorMessage, at now: Moment, _ turn: inout Turn
  ) {
    participants[worker]?.toldAt = now
    turn.send(worker, message)
  }
}
