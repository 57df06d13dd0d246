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
      case .exporting(let export):
        guard let result = judge(export, at: now, &turn) else {
          if case .exporting = mode { return nil }
          continue
        }
        mode = .finished(result)
        return result
      case .finished: return nil
      }
    }
  }

  /// - Returns: whether the mode changed.
  mutating func decideNext(
    at now: Moment, isPaused: Bool, _ turn: inout Turn
  ) -> Bool {
    let quorum = quorum(at: now)
    switch decide(quorum, at: now, isPaused: isPaused) {
    case .wait(let reason):
      waiting = reason
      if case .stateMissing = reason {
        stateMissingSince = stateMissingSince ?? now
      } else {
        stateMissingSince = nil
      }
      return false
    case .stepBack:
      waiting = nil
      stateMissingSince = nil
      stepBack(at: now, &turn)
      return true
    case .go(let all):
      waiting = nil
      stateMissingSince = nil
      let members = withoutDrained(all)
      if position == plan.stepsTotal {
        mode = .exporting(Export(exporter: nil, deadline: now))
      } else {
        open(members, at: now, &turn)
      }
      return true
    }
  }

  // MARK: A step

  /// Opens the step at `position` with these members, under a new epoch.
  mutating func open(_ members: [WorkerID], at now: Moment, _ turn: inout Turn) {
    let there = members.compactMap { worker in participants[worker].map { (worker, $0) } }
    let owners = ranks(there, at: now)
    let (keepers, base) = placement(there)
    let ranksMax = there.indices.map { member in owners.count { $0 == member } }.max() ?? 1
    var stepPlan = newPlan(members, ranks: owners, segments: keepers, &turn)
    stepPlan.base = base
    isRunning = true
    for worker in members { tell(worker, .openStep(stepPlan), at: now, &turn) }
    let keeping = Set(keepers.flatMap(\.keepers))
    // Who is sent a segment is waited for: on a busy machine, or over a slow line, it would be late
    // in every step otherwise, and never keep anything.
    let voters = keeping.union(keepers.compactMap(\.newcomer)).sorted().map { members[$0] }
    mode = .stepping(
      Round(
        plan: stepPlan, openedAt: now,
        deadline: now + patience.limit(ranksMax: ranksMax, timeouts: timeouts),
        ranksMax: ranksMax, voters: voters,
        needed: Set(keeping.union(owners).map { members[$0] })))
  }

  mutating func newPlan(
    _ members: [WorkerID], ranks: [Int], segments: [SegmentKeepers], _ turn: inout Turn
  ) -> StepPlan {
    epoch += 1
    turn.persist(.epochOpened(plan.training, epoch: epoch))
    if members != lastMembers {
      turn.note(
        .membersChanged(
          plan.training, step: position, members: members.count,
          excess: ranks.isEmpty
            ? 0
            : ReductionPlan(
              rankOwners: ranks, segmentOwners: segments.map(\.owner), members: members.count
            ).trafficExcess,
          new: members.filter { !lastMembers.contains($0) },
          gone: lastMembers.filter { !members.contains($0) }.map { ($0, whyNot($0)) }
            .map { GoneMember(worker: $0.0, reason: $0.1) }))
      lastMembers = members
    }
    return StepPlan(
      training: plan.training, epoch: epoch, step: position,
      members: members.map { worker in
        StepMember(
          worker: worker, endpoint: participants[worker]?.endpoint ?? "",
          publicKey: participants[worker]?.publicKey ?? "")
      }, rankOwners: ranks, segments: segments, before: lastTotals)
  }

  /// - Returns: whether the round is over, one way or the other.
  mutating func judge(_ round: Round, at now: Moment, _ turn: inout Turn) -> Bool {
    // A member without ranks that keeps nothing may go: nobody waits for it.
    let missing = round.voters.filter { worker in
      round.votes[worker] == nil && (round.needed.contains(worker) || participants[worker] != nil)
    }
    if missing.isEmpty {
      settle(round, at: now, &turn)
      return true
    }
    if let lost = round.needed.sorted().first(where: { participants[$0] == nil }) {
      fence(round, .memberLost(lost), &turn)
      return true
    }
    if let failed = round.needed.sorted().first(where: { participants[$0]?.failure != nil }) {
      fence(round, .memberBehind(failed), &turn)
      return true
    }
    guard now >= round.deadline else { return false }
    timeouts += 1
    // The next attempt moves nothing, later steps a few segments, and more again as they succeed.
    let moved = round.plan.segments.count { $0.newcomer != nil }
    if moved > 0 { movesMax = moved / 4 }
    if timeouts > 1 { benchForTimeout(missing, of: round.voters, at: now) }
    gatherUntil = now + timing.resendAfter
    fence(round, .timedOut(missing: missing), &turn)
    return true
  }

  /// Leaves out those who held a step up for the second time.
  ///
  /// When some have voted, those who have not are at fault. When nobody could, a link between two
  /// members may be cut, which no vote tells: one after the other is left out until the rest can.
  mutating func benchForTimeout(
    _ missing: [WorkerID], of voters: [WorkerID], at now: Moment
  ) {
    guard voters.count > 1 else { return }
    if missing.count < voters.count {
      for worker in missing { bench(worker, at: now) }
    } else {
      bench(voters[timeouts % voters.count], at: now)
    }
  }

  mutating func fence(_ round: Round, _ reason: FenceReason, _ turn: inout Turn) {
    turn.note(
      .stepFenced(plan.training, step: round.plan.step, epoch: round.plan.epoch, reason))
    attempt = Attempt(
      ranks: round.plan.rankOwners.map { round.plan.members[$0].worker },
      begun: attempt?.begun ?? round.openedAt)
    mode = .between
  }

  /// All keepers have voted: the step counts if they agree.
  mutating func settle(_ round: Round, at now: Moment, _ turn: inout Turn) {
    let votes = round.voters.compactMap { worker in round.votes[worker].map { (worker, $0) } }
    var sums: [Int: (worker: WorkerID, sum: SegmentSum)] = [:]
    for (place, keepers) in round.plan.segments.enumerated() {
      let owner = round.plan.members[keepers.owner].worker
      if let sum = round.votes[owner]?.sums.first(where: { $0.segment == place }) {
        sums[place] = (owner, sum)
      }
    }
    var wrong: Set<WorkerID> = []
    for (worker, vote) in votes {
      if vote.loss.bitPattern != votes[0].1.loss.bitPattern || vote.tokens != votes[0].1.tokens {
        wrong.insert(worker)
      }
      for sum in vote.sums {
        guard let known = sums[sum.segment] else { continue }
        if known.sum.check != sum.check
          || known.sum.sumOfSquares.bitPattern != sum.sumOfSquares.bitPattern
        {
          wrong.insert(worker)
        }
      }
    }
    guard wrong.isEmpty, sums.count == round.plan.segments.count, let first = votes.first else {
      disagree(round, without: wrong, &turn)
      return
    }
    let squares = treeSum(round.plan.segments.indices.map { sums[$0]?.sum.sumOfSquares ?? 0 })
    commit(
      round,
      StepTotals(loss: first.1.loss, tokens: first.1.tokens, sumOfSquares: squares), at: now,
      &turn)
  }

  mutating func disagree(
    _ round: Round, without wrong: Set<WorkerID>, _ turn: inout Turn
  ) {
    disagreements += 1
    turn.note(.sumsDiffer(plan.training, step: round.plan.step, on: wrong.sorted()))
    // Of two who keep a segment nobody can say which is right; the owner is believed.
    if disagreements > 1 {
      for worker in wrong { participants[worker]?.excluded = true }
    }
    fence(round, .sumsDiffer, &turn)
  }

  mutating func commit(
    _ round: Round, _ totals: StepTotals, at now: Moment, _ turn: inout Turn
  ) {
    let step = round.plan.step
    turn.persist(.stepCommitted(plan.training, step: step, epoch: round.plan.epoch, totals))
    position = step + 1
    committed = max(committed, position)
    let isSaved = beginSaving(round, at: now)
    for member in round.plan.members.map(\.worker) {
      tell(
        member,
        .commitStep(
          plan.training, epoch: round.plan.epoch, step: step, totals, isSaved: isSaved), at: now,
        &turn)
    }
    remember(round)
    patience.took(now - round.openedAt, ranksMax: round.ranksMax)
    lastTotals = totals
    lastLoss = totals.loss
    attempt = nil
    timeouts = 0
    disagreements = 0
    if movesMax < round.plan.segments.count { movesMax = max(1, movesMax * 2) }
    mode = .between
  }

  /// What follows from a commit for what members hold.
  mutating func remember(_ round: Round) {
    let members = Set(round.plan.members.map(\.worker))
    let computing = Set(round.plan.rankOwners.map { round.plan.members[$0].worker })
    let segments = round.plan.segments.count
    for worker in participants.keys {
      guard members.contains(worker) else {
        participants[worker]?.memberSince = nil
        continue
      }
      participants[worker]?.benchings = 0
      if let pace = participants[worker]?.pace, !computing.contains(worker) {
        // It may have become quicker: without a rank nobody would ever know.
        participants[worker]?.pace = pace * 0.9
      }
      participants[worker]?.benchedUntil = nil
      if participants[worker]?.memberSince == nil {
        participants[worker]?.memberSince = round.plan.step
      }
      guard let vote = round.votes[worker] else { continue }
      var kept = PieceSet(none: segments)
      for sum in vote.sums { kept.insert(sum.segment) }
      participants[worker]?.kept = (position, kept)
    }
  }

  // MARK: Checkpoints

  /// Every `checkpointEvery` steps the owners upload their segments while all go on.
  mutating func beginSaving(_ round: Round, at now: Moment) -> Bool {
    if let saving {
      let isLost = zip(saving.segments, saving.owners).contains { segment, owner in
        segment == nil && participants[owner] == nil
      }
      guard isLost || now - saving.askedAt >= timing.uploadPatience else { return false }
      self.saving = nil
    }
    let every = plan.recipe.checkpointEvery
    guard every > 0, position < plan.stepsTotal, position / every > plan.baseStep / every else {
      return false
    }
    saving = Saving(
      step: position, askedAt: now,
      segments: Array(repeating: nil, count: round.plan.segments.count),
      owners: round.plan.segments.map { round.plan.members[$0.owner].worker })
    return true
  }
}
