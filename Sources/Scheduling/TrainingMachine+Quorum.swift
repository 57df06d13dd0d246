import Domain

// Who takes part in a step, who keeps what, and who computes what.

extension TrainingMachine {
  /// Who could take part, and whether they have the whole state between them.
  func quorum(at now: Moment) -> Quorum {
    func quorum(_ isIn: (Participant) -> Bool) -> Quorum {
      var quorum = Quorum()
      for worker in participants.keys.sorted() {
        guard let participant = participants[worker], isIn(participant) else { continue }
        quorum.there.append(worker)
        if participant.progress == nil {
          if participant.failure == nil { quorum.preparing.append(worker) }
          continue
        }
        quorum.members.append(worker)
        if hasWeights(participant) { quorum.whole.append(worker) }
      }
      let isBase = position == plan.baseStep
      quorum.isCovered =
        isBase
        ? !quorum.whole.isEmpty
        : segments.map { segments in
          let kept = quorum.members.compactMap { participants[$0] }
          return (0..<segments).allSatisfy { segment in
            kept.contains { $0.keeps(segment, at: position) }
          }
        } ?? false
      return quorum
    }
    let quick = quorum { isAvailable($0, at: now) }
    // Better a worker that was slow than a state that is older.
    return quick.isCovered ? quick : quorum { !$0.excluded }
  }

  /// Whether a worker has all weights of the state, or is being sent what is missing: in f32 all
  /// members are sent all of them with each commit, in bf16 what is new in weights that they had.
  func hasWeights(_ participant: Participant) -> Bool {
    if participant.wholeAt == position { return true }
    guard let since = participant.memberSince else { return false }
    let wire = plan.recipe.wire
    return wire == .f32 || participant.wholeAt.map { since <= $0 && $0 < position } ?? false
  }

  func decide(_ quorum: Quorum, at now: Moment, isPaused: Bool) -> QuorumDecision {
    let isOver = stateMissingSince.map { now - $0 >= timing.statePatience } ?? false
    return decideQuorum(
      quorum, position: position, best: plan.baseStep, isPaused: isPaused,
      isReconnecting: now < reconnectUntil, mayWaitForOthers: now < gatherUntil,
      mayStepBack: isOver || (!quorum.isCovered && position > plan.baseStep && isHeardOut))
  }

  /// All who could keep a segment are there and have said what they keep.
  var isHeardOut: Bool {
    !isAnyoneAway && participants.values.allSatisfy { $0.excluded || $0.standing != nil }
  }

  /// Leaves out who is to leave and keeps nothing any more, when there is somebody else.
  func withoutDrained(_ members: [WorkerID]) -> [WorkerID] {
    let staying = members.filter { worker in
      guard let participant = participants[worker], participant.draining else { return true }
      return participant.kept.map { $0.step == position && $0.segments.count > 0 } ?? false
    }
    let isEnough = staying.contains { participants[$0].map(hasWeights) == true }
    return isEnough ? staying : members
  }

  /// The state of `position` is lost: all begin again from the newest that is stored.
  mutating func stepBack(at now: Moment, _ turn: inout Turn) {
    turn.note(.steppedBack(plan.training, from: position, to: plan.baseStep))
    epoch += 1
    turn.persist(.epochOpened(plan.training, epoch: epoch))
    plan.lineage = epoch
    isRunning = false
    position = plan.baseStep
    lastTotals = nil
    saving = nil
    attempt = nil
    timeouts = 0
    disagreements = 0
    gatherUntil = now + timing.gatherPatience
    for worker in participants.keys.sorted() {
      participants[worker]?.standing = nil
      participants[worker]?.kept = nil
      participants[worker]?.wholeAt = nil
      participants[worker]?.memberSince = nil
      tell(worker, .prepareTraining(planForJoiners), at: now, &turn)
    }
    mode = .between
  }

  // MARK: Places

  func whyNot(_ worker: WorkerID) -> GoneMember.Reason {
    guard let participant = participants[worker] else { return .left }
    if participant.excluded { return .wrongSums }
    if participant.draining { return .drained }
    if let failure = participant.failure { return .failed(failure) }
    return participant.benchedUntil == nil ? .left : .late
  }

  /// Who keeps which segment: those who do now, with a few changes.
  func placement(
    _ members: [(WorkerID, Participant)]
  ) -> (keepers: [SegmentKeepers], base: TrainingBase?) {
    let segments = segments ?? 1
    let able = members.map { member in
      SegmentPlacement.Member(
        isWhole: hasWeights(member.1), isLeaving: member.1.draining)
    }
    let kept = (0..<segments).map { segment in
      members.indices.filter { members[$0].1.keeps(segment, at: position) }
    }
    if position == plan.baseStep, kept.contains(where: \.isEmpty) {
      return (
        SegmentPlacement.fresh(
          members: able, replication: plan.recipe.replication, segments: segments), plan.base
      )
    }
    var placement = SegmentPlacement(
      members: able, replication: plan.recipe.replication, keepers: kept)
    return (placement.place(movesMax: timeouts > 0 ? 0 : movesMax), nil)
  }

  /// Who computes which virtual rank: all who have the weights and stay, by their pace. A step that
  /// is done again leaves each its ranks: placed anew, half of all would be computed twice.
  func ranks(_ members: [(WorkerID, Participant)], at now: Moment) -> [Int] {
    let whole = members.indices.filter { hasWeights(members[$0].1) }
    let staying = whole.filter { !members[$0].1.draining }
    let able = staying.isEmpty ? whole : staying
    let known = able.compactMap { members[$0].1.pace }.sorted()
    let usual = known.isEmpty ? 1 : known[known.count / 2]
    // Small differences are noise: ranks should not wander for them.
    let paces = able.map { member -> Double in
      let pace = members[member].1.pace ?? usual
      return pace < usual * 1.25 && pace > usual / 1.25 ? usual : pace
    }
    guard let attempt else {
      return rankOwners(virtualRanks: plan.recipe.virtualRanks, paces: paces).map { able[$0] }
    }
    let before = attempt.ranks.map { worker in whole.first { members[$0].0 == worker } }
    return rankOwners(
      again: before, able: able, paces: paces,
      elapsed: known.isEmpty ? 0 : (now - attempt.begun).inSeconds)
  }
}
