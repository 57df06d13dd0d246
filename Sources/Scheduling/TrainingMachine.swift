import Domain

/// One training: which worker takes part in which step, who keeps which segment, and when a step
/// counts.
///
/// A step is opened with an epoch of its own, computed by its members, voted for by all who keep
/// segments, and committed when the keepers of each segment agree; the commit is durable before
/// anybody applies it. Whatever goes wrong (a member is lost, time runs out, sums differ) voids the
/// epoch, and the same step is opened again with those who are left. Every state is a function of
/// the step alone, so it does not matter who computed which part of it, nor whether a step is
/// computed again after its state was lost.
///
/// A worker that joins is a member without virtual ranks until it has been sent all weights, as all
/// members are after each step; then it computes, and segments move to it.
struct TrainingMachine: Sendable {
  struct Participant: Sendable {
    var endpoint: String
    var publicKey: String
    /// As heard; nil while it is not known.
    var standing: TrainingStanding?
    /// When it was last told something that it has not answered.
    var toldAt: Moment
    var draining = false
    /// Left out until then, after it held a step up.
    var benchedUntil: Moment?
    var benchings = 0
    /// Its sums are wrong: left out for good.
    var excluded = false
    /// Segments that it keeps, and the number of steps in them; from its votes and its word.
    var kept: (step: Int, segments: PieceSet)?
    /// The number of steps in weights that it had all of, by its word or because it was a member of
    /// every step since.
    var wholeAt: Int?
    /// The first of the committed steps, up to the newest, in all of which it was a member.
    var memberSince: Int?
    /// Seconds that a virtual rank takes there, as last measured.
    var pace: Double?

    var failure: String? {
      if case .failed(let reason) = standing { reason } else { nil }
    }
    var progress: TrainingProgress? {
      if case .following(let progress) = standing { progress } else { nil }
    }

    func keeps(_ segment: Int, at position: Int) -> Bool {
      guard let kept, kept.step == position else { return false }
      return kept.segments.contains(segment)
    }
  }

  struct Round: Sendable {
    var plan: StepPlan
    var votes: [WorkerID: StepVote] = [:]
    var openedAt: Moment
    var deadline: Moment
    var ranksMax: Int
    /// Whose votes are waited for: all who keep a segment, or are being sent one.
    var voters: [WorkerID]
    /// Without them it is no step: who keeps a segment or computes a rank.
    var needed: Set<WorkerID>
  }

  struct Export: Sendable {
    /// Who was asked to upload the student, since when.
    var exporter: WorkerID?
    var deadline: Moment
    /// What each worker says that the student is.
    var results: [WorkerID: TrainingExport] = [:]
    /// Under which members fetch what they lack of the last weights.
    var plan: StepPlan?
  }

  /// What is known of a step that is done again.
  struct Attempt: Sendable {
    /// Who was to compute each rank the last time.
    var ranks: [WorkerID]
    /// When the step began the first time.
    var begun: Moment
  }

  enum Mode: Sendable {
    /// Between steps.
    case between
    case stepping(Round)
    case exporting(Export)
    case finished(TrainingExport)
  }

  /// A checkpoint on its way: the segments that are stored.
  struct Saving: Sendable {
    var step: Int
    var askedAt: Moment
    var segments: [SavedSegment?]
    /// Who was asked for each.
    var owners: [WorkerID]
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
  /// Of the step before `position`.
  var lastTotals: StepTotals?
  /// Elements of the vector that is trained; nil until a worker has told.
  var elements: Int?
  var patience: StepPatience
  /// Of the present step, when an attempt at it is void.
  var attempt: Attempt?
  /// Of the present step.
  var timeouts = 0
  var disagreements = 0
  /// Segments that a step may send to new keepers: fewer after one that took too long.
  var movesMax = Int.max
  /// Until then workers that are not ready are waited for.
  var gatherUntil: Moment
  /// Until then no step begins: after a restart the workers are coming back one by one.
  var reconnectUntil: Moment
  /// A worker is away that may hold what is missing, and return.
  var isAnyoneAway = false
  /// Since when nobody has held the state at `position`.
  var stateMissingSince: Moment?
  var saving: Saving?
  /// Of the newest plan, to tell who is new and who is not there any more.
  var lastMembers: [WorkerID] = []
  /// A step was opened in this lineage: who joins now gets the state from members.
  var isRunning = false
  var waiting: QuorumWait?
  var lastLoss: Double?

  /// - Parameter isNew: false after a restart, when workers are still coming back.
  init(_ restored: RestoredTraining, isNew: Bool, timing: Timing, at now: Moment) {
    plan = restored.plan
    self.timing = timing
    epoch = restored.epoch
    committed = restored.stepsCommitted
    position = restored.stepsCommitted
    lastTotals = restored.lastTotals
    patience = StepPatience(first: timing.firstStepPatience, least: timing.stepPatienceMin)
    gatherUntil = now + (isNew ? timing.gatherPatience : timing.regatherPatience)
    reconnectUntil = isNew ? now : now + timing.reconnectAllPatience
  }

  /// Segments of the vector; nil until its size is known.
  var segments: Int? { elements.map(segmentCount(of:)) }

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
    turn.send(worker, .prepareTraining(planForJoiners))
  }

  /// What a worker is told that joins.
  var planForJoiners: TrainingPlan {
    var plan = plan
    if isRunning { plan.checkpoint = nil }
    return plan
  }

  mutating func left(_ worker: WorkerID) { participants[worker] = nil }

  mutating func drain(_ worker: WorkerID) { participants[worker]?.draining = true }

  /// Whether a worker that is to leave is still needed: it takes part in the open step, or keeps
  /// what nobody else does yet.
  func needs(_ worker: WorkerID) -> Bool {
    guard let participant = participants[worker], !participant.excluded else { return false }
    switch mode {
    case .finished: return false
    case .stepping(let round) where round.plan.members.contains(where: { $0.worker == worker }):
      return true
    case .between, .stepping, .exporting:
      guard let segments, let kept = participant.kept, kept.step == position else { return false }
      let others = participants.values.filter { $0.kept?.step == position && !$0.draining }
      return (0..<segments).contains { segment in
        kept.segments.contains(segment)
          && !others.contains { $0.keeps(segment, at: position) }
      }
    }
  }

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
    guard let participant = participants[worker] else { return }
    switch standing {
    case .failed(let reason):
      guard participant.standing != standing else { return }
      turn.note(.trainingFailed(plan.training, on: worker, reason))
      bench(worker, at: now)
      participants[worker]?.standing = standing
    case .preparing:
      if participant.progress == nil { participants[worker]?.standing = standing }
    case .following(let progress):
      guard progress.lineage >= plan.lineage else { return }
      follow(progress, worker)
    }
  }

  private mutating func follow(_ progress: TrainingProgress, _ worker: WorkerID) {
    guard var participant = participants[worker] else { return }
    if elements == nil { elements = progress.elements }
    guard progress.elements == elements else { return }
    // Standings overtake one another on the way; a state only ever moves forward.
    if let old = participant.progress, rank(of: progress) < rank(of: old) { return }
    participant.standing = .following(progress)
    if progress.isWhole { participant.wholeAt = max(participant.wholeAt ?? 0, progress.step) }
    let isCommitted = progress.step + 1 == position && lastTotals != nil
    if isCommitted, let summed = progress.summed {
      // It holds the sums of the committed step, and applies them when it is told.
      if participant.kept.map({ $0.step < position }) ?? true {
        participant.kept = (position, summed)
        if progress.isWhole { participant.memberSince = participant.memberSince ?? progress.step }
      }
    } else if participant.kept.map({ $0.step <= progress.step }) ?? true {
      participant.kept = (progress.step, progress.kept)
    }
    participants[worker] = participant
  }

  /// Orders what one worker says of itself.
  private func rank(of progress: TrainingProgress) -> (UInt64, Int, Int, Int) {
    (
      progress.lineage, progress.step, progress.summed == nil ? 0 : 1,
      progress.kept.count + (progress.isWhole ? 1 : 0)
    )
  }

  mutating func heard(_ vote: StepVote, of worker: WorkerID, _ turn: inout Turn) {
    guard case .stepping(var round) = mode, vote.epoch == round.plan.epoch else {
      if vote.epoch > epoch {
        turn.note(
          .nonsense(worker, .vote(vote.training, step: vote.step, epoch: vote.epoch)))
      }
      return
    }
    guard vote.step == round.plan.step,
      let place = round.plan.members.firstIndex(where: { $0.worker == worker }),
      vote.sums.allSatisfy({ round.plan.segments.indices.contains($0.segment) })
    else {
      turn.note(.nonsense(worker, .vote(vote.training, step: vote.step, epoch: vote.epoch)))
      return
    }
    round.votes[worker] = vote
    mode = .stepping(round)
    let ranks = round.plan.rankOwners.count { $0 == place }
    if ranks > 0, vote.computing > .zero {
      participants[worker]?.pace = vote.computing.inSeconds / Double(ranks)
    }
  }

  mutating func heard(
    _ saved: SavedSegment, step: Int, of worker: WorkerID, at now: Moment, _ turn: inout Turn
  ) {
    guard var saving, saving.step == step, saving.segments.indices.contains(saved.segment),
      saving.owners[saved.segment] == worker
    else {
      if step > committed {
        turn.note(.nonsense(worker, .unaskedCheckpoint(plan.training, step: step)))
      }
      return
    }
    guard saving.segments[saved.segment] == nil else { return }
    saving.segments[saved.segment] = saved
    self.saving = saving
    turn.persist(.segmentSaved(plan.training, step: step, saved))
    let all = saving.segments.compactMap { $0 }
    if all.count == saving.segments.count {
      turn.effects.append(.request(.writeManifest(plan.training, step: step, all)))
    }
  }

  /// The manifest of a checkpoint is stored: from now on it is the newest.
  mutating func saved(_ checkpoint: TrainingCheckpoint, _ turn: inout Turn) {
    if saving?.step == checkpoint.step { saving = nil }
    guard checkpoint.step > plan.baseStep, checkpoint.step <= committed else { return }
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
      for other in finishers where other != worker {
        tell(other, .export(plan.training), at: now, &turn)
      }
    }
    mode = .exporting(present)
  }

  // MARK: What is known of participants

  /// Workers that have the whole student, by their own word, in id order.
  var finishers: [WorkerID] {
    participants.keys.sorted().filter { worker in
      guard let progress = participants[worker]?.progress else { return false }
      return progress.step == plan.stepsTotal && progress.isWhole
    }
  }

  func isAvailable(_ participant: Participant, at now: Moment) -> Bool {
    if participant.excluded { return false }
    return participant.benchedUntil.map { $0 <= now } ?? true
  }

  mutating func bench(_ worker: WorkerID, at now: Moment) {
    guard var participant = participants[worker] else { return }
    participant.benchings = min(participant.benchings + 1, 6)
    participant.benchedUntil = now + timing.goneAfter * (1 << participant.benchings)
    participant.standing = nil
    participant.pace = nil
    participants[worker] = participant
  }

  mutating func tell(
    _ worker: WorkerID, _ message: CoordinatorMessage, at now: Moment, _ turn: inout Turn
  ) {
    participants[worker]?.toldAt = now
    turn.send(worker, message)
  }
}
