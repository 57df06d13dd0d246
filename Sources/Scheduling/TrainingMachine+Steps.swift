import Domain

// What a training decides.

extension TrainingMachine {
  /// Decides until nothing more can be decided at this moment.
  /// - Returns: the finished student, once, when all who are there agree on it.
  mutating func advance(
    at now: Moment, isPaused: Bool, _ turn: inout Turn
  ) -> TrainingExport? {
    while true {
      switch mode {
      case .between:
        guard decideNext(at: now, isPaused: isPaused, &turn) else { return nil }
      case .stepping(let round):
        guard judge(round, at: now, &turn) else { return nil }
      case .pausing(let pause):
        guard judge(pause, at: now, &turn) else { return nil }
      case .exporting(let export):
        guard let result = judge(export, at: now, &turn) else { return nil }
        mode = .finished(result)
        return result
      case .finished: return nil
      }
    }
  }

  /// - Returns: whether the mode changed.
  private mutating func decideNext(
    at now: Moment, isPaused: Bool, _ turn: inout Turn
  ) -> Bool {
    let decision = quorum(at: now, isPaused: isPaused)
    switch decision {
    case .wait(let reason):
      waiting = reason
      if case .stateMissing = reason {
        stateMissingSince = stateMissingSince ?? now
      }
      return false
    case .go(let step, let members):
      waiting = nil
      stateMissingSince = nil
      if step < position {
        turn.note(.steppedBack(plan.training, from: position, to: step))
      }
      if step != position {
        position = step
        timeouts = 0
        disagreements = 0
      }
      if position == plan.stepsTotal {
        mode = .exporting(Export(exporter: nil, deadline: now))
      } else if let pause = pauseForJoiners(members, at: now, &turn) {
        mode = .pausing(pause)
      } else {
        open(members, at: now, &turn)
      }
      return true
    }
  }

  private func quorum(at now: Moment, isPaused: Bool) -> QuorumDecision {
    let candidates = participants.keys.sorted().compactMap { worker in
      participants[worker].map { (worker, $0) }
    }
    var available = candidates.filter { isAvailable($0.1, at: now) }
    if !available.contains(where: { step(of: $0.1) ?? -1 >= position }) {
      // Better a worker that was slow, or is about to leave, than a state that is older.
      available = candidates.filter { !$0.1.excluded }
    }
    let mayStepBack = stateMissingSince.map { now - $0 >= timing.statePatience } ?? false
    // Who is behind the newest checkpoint is about to load it.
    let loadable = plan.checkpoint?.step ?? 0
    return decideQuorum(
      available.map { worker, participant in
        let step = step(of: participant)
        return QuorumCandidate(worker: worker, step: step.flatMap { $0 < loadable ? nil : $0 })
      },
      position: position, isPaused: isPaused, isReconnecting: now < reconnectUntil,
      mayWaitForOthers: now < gatherUntil, mayStepBack: mayStepBack)
  }

  // MARK: A step

  /// Opens the step at `position` with these members, under a new epoch.
  private mutating func open(_ members: [WorkerID], at now: Moment, _ turn: inout Turn) {
    epoch += 1
    let owners = rankOwners(virtualRanks: plan.recipe.virtualRanks, members: members.count)
    let ranksMax = (0..<members.count).map { member in owners.count { $0 == member } }.max() ?? 1
    let stepPlan = StepPlan(
      training: plan.training, epoch: epoch, step: position,
      members: members.map { worker in
        StepMember(
          worker: worker, endpoint: participants[worker]?.endpoint ?? "",
          publicKey: participants[worker]?.publicKey ?? "")
      },
      rankOwners: owners, segmentOwners: segmentOwners(members: members.count))
    turn.persist(.epochOpened(plan.training, epoch: epoch))
    for worker in members { tell(worker, .openStep(stepPlan), at: now, &turn) }
    mode = .stepping(
      Round(
        plan: stepPlan, openedAt: now,
        deadline: now + patience.limit(ranksMax: ranksMax, timeouts: timeouts),
        ranksMax: ranksMax))
  }

  /// - Returns: whether the round is over, one way or the other.
  private mutating func judge(_ round: Round, at now: Moment, _ turn: inout Turn) -> Bool {
    let members = round.plan.members.map(\.worker)
    let missing = members.filter { round.votes[$0] == nil }
    if missing.isEmpty {
      settle(round, at: now, &turn)
      return true
    }
    if let lost = members.first(where: { participants[$0] == nil }) {
      fence(round, .memberLost(lost), &turn)
      return true
    }
    if let failed = members.first(where: { participants[$0]?.failure != nil }) {
      fence(round, .memberBehind(failed), &turn)
      return true
    }
    guard now >= round.deadline else { return false }
    timeouts += 1
    if timeouts > 1 { benchForTimeout(missing, of: members, at: now) }
    for worker in missing { participants[worker]?.standing = nil }
    gatherUntil = now + timing.resendAfter
    fence(round, .timedOut(missing: missing), &turn)
    return true
  }

  /// Leaves out those who held a step up for the second time.
  ///
  /// When some have voted, those who have not are at fault. When nobody could, a link between two
  /// members may be cut, which no vote tells: one after the other is left out until the rest can.
  private mutating func benchForTimeout(
    _ missing: [WorkerID], of members: [WorkerID], at now: Moment
  ) {
    guard members.count > 1 else { return }
    if missing.count < members.count {
      for worker in missing { bench(worker, at: now) }
    } else {
      bench(members[timeouts % members.count], at: now)
    }
  }

  private mutating func fence(_ round: Round, _ reason: FenceReason, _ turn: inout Turn) {
    turn.note(
      .stepFenced(plan.training, step: round.plan.step, epoch: round.plan.epoch, reason))
    mode = .between
  }

  /// All have voted: the step counts if they agree.
  private mutating func settle(_ round: Round, at now: Moment, _ turn: inout Turn) {
    struct Sum: Hashable {
      var gradient: Digest
      var loss: UInt64
    }
    var groups: [Sum: [WorkerID]] = [:]
    for member in round.plan.members {
      guard let vote = round.votes[member.worker] else { continue }
      groups[Sum(gradient: vote.gradient, loss: vote.loss.bitPattern), default: []]
        .append(member.worker)
    }
    // The largest group is right; of equal ones the group of the lowest id.
    let majority = groups.values.max { a, b in
      a.count == b.count ? (a.min() ?? a[0]) > (b.min() ?? b[0]) : a.count < b.count
    }
    guard groups.count == 1, let vote = round.votes.values.first else {
      disagree(round, keeping: majority ?? [], &turn)
      return
    }
    commit(round, loss: vote.loss, at: now, &turn)
  }

  private mutating func disagree(
    _ round: Round, keeping majority: [WorkerID], _ turn: inout Turn
  ) {
    disagreements += 1
    turn.note(
      .gradientsDiffer(
        plan.training, step: round.plan.step,
        votes: round.votes.keys.sorted().compactMap { worker in
          round.votes[worker].map { GradientVote(worker: worker, gradient: $0.gradient) }
        }))
    if disagreements > 1 {
      for member in round.plan.members where !majority.contains(member.worker) {
        participants[member.worker]?.excluded = true
      }
    }
    fence(round, .sumsDiffer, &turn)
  }

  private mutating func commit(
    _ round: Round, loss: Double, at now: Moment, _ turn: inout Turn
  ) {
    let step = round.plan.step
    turn.persist(
      .stepCommitted(plan.training, step: step, epoch: round.plan.epoch, loss: loss))
    for member in round.plan.members {
      tell(
        member.worker, .commitStep(plan.training, epoch: round.plan.epoch, step: step), at: now,
        &turn)
      participants[member.worker]?.benchings = 0
      participants[member.worker]?.benchedUntil = nil
    }
    patience.took(now - round.openedAt, ranksMax: round.ranksMax)
    lastCommit = (step, round.plan.epoch)
    lastLoss = loss
    position = step + 1
    committed = max(committed, position)
    timeouts = 0
    disagreements = 0
    mode = .between
    askForCheckpoint(round.plan.members[0].worker, at: now, &turn)
  }

  // MARK: Checkpoints and joining

  /// Every `checkpointEvery` steps one member uploads its state while the others go on.
  private mutating func askForCheckpoint(
    _ worker: WorkerID, at now: Moment, _ turn: inout Turn
  ) {
    let every = plan.recipe.checkpointEvery
    guard every > 0, position % every == 0, position < plan.stepsTotal else { return }
    if let asked = checkpointAsked, now - asked.at < timing.uploadPatience { return }
    checkpointAsked = (position, now)
    turn.send(worker, .checkpoint(plan.training, step: position))
  }

  /// Workers with model and samples at hand, but behind the group, are let in at a pause.
  private mutating func pauseForJoiners(
    _ members: [WorkerID], at now: Moment, _ turn: inout Turn
  ) -> Pause? {
    let joiners = participants.keys.sorted().filter { worker in
      guard let participant = participants[worker], isAvailable(participant, at: now),
        let step = step(of: participant)
      else { return false }
      return step < position
    }
    guard !joiners.isEmpty else { return nil }
    if plan.checkpoint?.step == position {
      return loading(joiners, at: now, &turn)
    }
    let uploader = members[uploadsFailed % members.count]
    tell(uploader, .checkpoint(plan.training, step: position), at: now, &turn)
    return Pause(
      step: position, stage: .uploading(by: uploader), joiners: joiners,
      deadline: now + timing.uploadPatience)
  }

  private mutating func loading(
    _ joiners: [WorkerID], at now: Moment, _ turn: inout Turn
  ) -> Pause {
    for worker in joiners {
      participants[worker]?.standing = nil
      tell(worker, .prepareTraining(plan), at: now, &turn)
    }
    return Pause(
      step: position, stage: .loading, joiners: joiners, deadline: now + timing.joinPatience)
  }

  /// - Returns: whether the mode changed.
  private mutating func judge(_ pause: Pause, at now: Moment, _ turn: inout Turn) -> Bool {
    let joiners = pause.joiners.filter { participants[$0] != nil }
    switch pause.stage {
    case .uploading(let uploader):
      if plan.checkpoint?.step == pause.step {
        mode = .pausing(loading(joiners, at: now, &turn))
        return true
      }
      let isLost = participants[uploader].flatMap(step(of:)) != pause.step
      guard isLost || joiners.isEmpty || now >= pause.deadline else { return false }
      if now >= pause.deadline {
        // The next pause asks another one, some time later.
        uploadsFailed += 1
        for worker in joiners { bench(worker, at: now) }
      }
    case .loading:
      let late = joiners.filter { participants[$0].flatMap(step(of:)) != pause.step }
      guard late.isEmpty || now >= pause.deadline else { return false }
      for worker in late { bench(worker, at: now) }
    }
    mode = .between
    return true
  }

  // MARK: The student

  private mutating func judge(
    _ export: Export, at now: Moment, _ turn: inout Turn
  ) -> TrainingExport? {
    var export = export
    let holders = holders(of: plan.stepsTotal)
    export.results = export.results.filter { participants[$0.key] != nil }
    if export.results.isEmpty {
      guard !holders.isEmpty else {
        mode = .between
        return nil
      }
      let isThere = export.exporter.map(holders.contains) ?? false
      if !isThere || now >= export.deadline {
        let after = export.exporter.flatMap(holders.firstIndex).map { $0 + 1 } ?? 0
        let exporter = holders[after % holders.count]
        export.exporter = exporter
        export.deadline = now + timing.uploadPatience
        tell(exporter, .export(plan.training), at: now, &turn)
      }
      mode = .exporting(export)
      return nil
    }
    mode = .exporting(export)
    let silent = holders.filter { export.results[$0] == nil }
    guard silent.isEmpty || now >= export.deadline else { return nil }
    return agreed(export, &turn)
  }

  /// The student that most have; of equally many, the one of the lowest id.
  private func agreed(_ export: Export, _ turn: inout Turn) -> TrainingExport? {
    let workers = export.results.keys.sorted()
    let counts = Dictionary(export.results.values.map { ($0.weights, 1) }, uniquingKeysWith: +)
    let best = workers.compactMap { export.results[$0] }.enumerated().max { a, b in
      let (countA, countB) = (counts[a.element.weights] ?? 0, counts[b.element.weights] ?? 0)
      return countA == countB ? a.offset > b.offset : countA < countB
    }?.element
    guard let best else { return nil }
    for worker in workers {
      guard let other = export.results[worker], other.weights != best.weights else { continue }
      turn.note(
        .weightsDiffer(
          plan.training, exported: best.weights, other: other.weights, on: worker))
    }
    return best
  }

  // MARK: Messages that were lost

  /// Says again what a worker seems not to have heard.
  mutating func remind(
    _ worker: WorkerID, _ heartbeat: Heartbeat, at now: Moment, _ turn: inout Turn
  ) {
    guard let participant = participants[worker],
      now - participant.toldAt >= timing.resendAfter
    else { return }
    guard heartbeat.training == plan.training, let standing = heartbeat.standing else {
      tell(worker, .prepareTraining(plan), at: now, &turn)
      return
    }
    switch standing {
    case .preparing: return
    case .failed:
      guard isAvailable(participant, at: now) else { return }
      participants[worker]?.standing = nil
      tell(worker, .prepareTraining(plan), at: now, &turn)
      return
    case .ready(let step):
      if step < plan.checkpoint?.step ?? 0 {
        tell(worker, .prepareTraining(plan), at: now, &turn)
        return
      }
    case .prepared(let step, let epoch):
      if let lastCommit, lastCommit == (step, epoch) {
        tell(worker, .commitStep(plan.training, epoch: epoch, step: step), at: now, &turn)
      }
    }
    remindOfMode(worker, participant, at: now, &turn)
  }

  private mutating func remindOfMode(
    _ worker: WorkerID, _ participant: Participant, at now: Moment, _ turn: inout Turn
  ) {
    switch mode {
    case .stepping(let round):
      let isMember = round.plan.members.contains { $0.worker == worker }
      if isMember, round.votes[worker] == nil {
        tell(worker, .openStep(round.plan), at: now, &turn)
      }
    case .pausing(let pause):
      if pause.stage == .uploading(by: worker) {
        tell(worker, .checkpoint(plan.training, step: pause.step), at: now, &turn)
      }
    case .exporting(let export):
      let isAsked = export.exporter == worker || !export.results.isEmpty
      if isAsked, export.results[worker] == nil, step(of: participant) == plan.stepsTotal {
        tell(worker, .export(plan.training), at: now, &turn)
      }
    case .between, .finished: break
    }
  }
}
