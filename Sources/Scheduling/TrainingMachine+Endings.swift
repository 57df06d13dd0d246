import Domain

// The student at the end, and what has to be said again.

extension TrainingMachine {
  mutating func judge(
    _ export: Export, at now: Moment, _ turn: inout Turn
  ) -> TrainingExport? {
    var export = export
    export.results = export.results.filter { participants[$0.key] != nil }
    let finishers = finishers
    if export.results.isEmpty {
      if finishers.isEmpty {
        gatherLast(&export, at: now, &turn)
        return nil
      }
      let isThere = export.exporter.map(finishers.contains) ?? false
      if !isThere || now >= export.deadline {
        let after = export.exporter.flatMap(finishers.firstIndex).map { $0 + 1 } ?? 0
        let exporter = finishers[after % finishers.count]
        export.exporter = exporter
        export.deadline = now + timing.uploadPatience
        tell(exporter, .export(plan.training), at: now, &turn)
      }
      mode = .exporting(export)
      return nil
    }
    mode = .exporting(export)
    let silent = finishers.filter { export.results[$0] == nil }
    guard silent.isEmpty || now >= export.deadline else { return nil }
    return agreed(export, &turn)
  }

  /// Nobody has all of the last weights yet: lets those who have the state fetch them from one
  /// another, and begins again when somebody of them is lost.
  mutating func gatherLast(_ export: inout Export, at now: Moment, _ turn: inout Turn) {
    if let plan = export.plan, plan.members.allSatisfy({ participants[$0.worker] != nil }),
      now < export.deadline
    {
      mode = .exporting(export)
      return
    }
    guard case .go(let members) = decide(quorum(at: now), at: now, isPaused: false) else {
      mode = .between
      return
    }
    let there = members.compactMap { worker in participants[worker].map { (worker, $0) } }
    let (keepers, base) = placement(there)
    var last = newPlan(members, ranks: [], segments: keepers, &turn)
    last.base = base
    for worker in members { tell(worker, .openStep(last), at: now, &turn) }
    export.plan = last
    export.deadline = now + timing.stepPatienceMin
    mode = .exporting(export)
  }

  /// The student that most have; of equally many, the one of the lowest id.
  func agreed(_ export: Export, _ turn: inout Turn) -> TrainingExport? {
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
      tell(worker, .prepareTraining(planForJoiners), at: now, &turn)
      return
    }
    switch standing {
    case .preparing: return
    case .failed:
      guard isAvailable(participant, at: now) else { return }
      participants[worker]?.standing = nil
      tell(worker, .prepareTraining(planForJoiners), at: now, &turn)
    case .following(let progress):
      if progress.lineage < plan.lineage {
        tell(worker, .prepareTraining(planForJoiners), at: now, &turn)
        return
      }
      remindOfMode(worker, progress, at: now, &turn)
    }
  }

  mutating func remindOfMode(
    _ worker: WorkerID, _ progress: TrainingProgress, at now: Moment, _ turn: inout Turn
  ) {
    switch mode {
    case .stepping(let round):
      let isMember = round.plan.members.contains { $0.worker == worker }
      if isMember, round.votes[worker] == nil {
        tell(worker, .openStep(round.plan), at: now, &turn)
      }
    case .exporting(let export):
      if progress.step < plan.stepsTotal || !progress.isWhole {
        if let last = export.plan, last.members.contains(where: { $0.worker == worker }) {
          tell(worker, .openStep(last), at: now, &turn)
        }
        return
      }
      let isAsked = export.exporter == worker || !export.results.isEmpty
      if isAsked, export.results[worker] == nil {
        tell(worker, .export(plan.training), at: now, &turn)
      }
    case .between, .finished: break
    }
  }
}
