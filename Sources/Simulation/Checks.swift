import Distillation
import Domain
import Scheduling

// The promises, checked while a history runs and at its end.

extension Simulator {
  /// Nobody has a state of which a step is not durable.
  func checkStanding(_ message: WorkerMessage, of worker: WorkerID) {
    let training: TrainingID
    let standing: TrainingStanding
    switch message {
    case .standing(let id, let its): (training, standing) = (id, its)
    case .heartbeat(let heartbeat):
      guard let id = heartbeat.training, let its = heartbeat.standing else { return }
      (training, standing) = (id, its)
    case .hello, .reports, .vote, .segmentSaved, .exported, .goodbye: return
    }
    guard case .following(let progress) = standing else { return }
    let step = progress.step
    let committed = store.trainings[training]?.stepsCommitted ?? 0
    if step > committed {
      violations.append(.stateAheadOfCommit(worker, step: step, committed: committed))
    }
  }

  /// A step of a training has the loss that it has undisturbed, however it came about.
  func checkLoss(_ change: Change) {
    guard case .stepCommitted(let id, let step, _, let totals) = change,
      let expected = expectedLosses?[id]
    else { return }
    if !expected.indices.contains(step) || expected[step] != totals.loss {
      violations.append(.lossDiffers(id, step: step))
    }
  }

  /// What a worker was told to forget is in the store.
  func checkAcknowledged() {
    for job in acknowledged.sorted() {
      switch store[job]?.state {
      case .done, .quarantined: continue
      case .open, .leased, nil: violations.append(.acknowledgedLost(job))
      }
    }
  }

  /// A machine made from the store has the store's pools.
  func checkPools(after restored: RestoredRun) {
    guard let snapshot = coordinator?.machine.snapshot(at: .zero),
      let iteration = iterationOfPools(in: restored.phase), snapshot.phase == restored.phase
    else { return }
    let machine = PoolSizes(tuning: snapshot.pools.tuning, cache: snapshot.pools.cache)
    let stored = PoolSizes(
      tuning: store.tuningIteration.count { $0 >= iteration }, cache: store.instructions.count)
    if machine != stored {
      violations.append(.poolsDifferAfterRestart(machine: machine, store: stored))
    }
  }

  /// The iteration whose tuning pool a phase works on; nil where no pool matters.
  private func iterationOfPools(in phase: RunPhase) -> Int? {
    switch phase {
    case .preparing, .finished: nil
    case .pretraining, .evaluating(iteration: 0): 1
    case .answering(let iteration), .tuning(let iteration), .evaluating(let iteration),
      .assessing(let iteration), .augmenting(let iteration):
      iteration
    }
  }

  /// The run is over, or should be.
  func checkEnd() {
    guard completion != nil else {
      let why = coordinator?.machine.explain(.phase, at: now).description
      violations.append(
        .notFinished(
          after: now - Moment(sinceStart: plan.healAt), why: why ?? "no coordinator"))
      return
    }
    checkAcknowledged()
    checkAdmissions()
    checkJudgements()
    checkFinishedResults()
  }

  private func checkAdmissions() {
    for instruction in store.instructions {
      guard case .augmented = instruction.lineage else { continue }
      for earlier in store.instructions.prefix(Int(instruction.id.number) - 1)
      where earlier.image == instruction.image
        && rougeL(instruction.text, earlier.text) >= world.settings.method.rougeLMax
      {
        violations.append(.tooSimilar(instruction.id, earlier.id))
      }
    }
  }

  private func checkJudgements() {
    struct Judged: Hashable {
      var id: InstructionID
      var iteration: Int
    }
    var orders: [Judged: Set<PresentationOrder>] = [:]
    for stored in store.jobs {
      guard case .judgement(let id, let iteration, let order, _) = stored.job.purpose,
        case .done(let result) = stored.state,
        (try? parseJudgement(result.text, order: order)) != nil
      else { continue }
      orders[Judged(id: id, iteration: iteration), default: []].insert(order)
    }
    for assessed in store.assessments {
      guard case .judged = assessed.assessment else { continue }
      let key = Judged(id: assessed.instruction, iteration: assessed.iteration)
      if orders[key]?.count != PresentationOrder.allCases.count {
        violations.append(
          .judgedInOneOrder(assessed.instruction, iteration: assessed.iteration))
      }
    }
  }

  /// A result that was finished some time ago has been dealt with: its worker's disk is whole.
  private func checkFinishedResults() {
    let settling = Duration.seconds(30)
    let late = finished.filter { result, at in
      now - max(at, Moment(sinceStart: plan.healAt)) > settling && !dealtWith.contains(result)
    }
    for result in late.keys.sorted(by: { ($0.of, $0.worker) < ($1.of, $1.worker) })
    where !isOffered(result) {
      violations.append(.finishedLost(result.of.job, on: result.worker))
    }
  }

  /// The result is on its worker's disk still, so nothing is lost.
  private func isOffered(_ result: FinishedResult) -> Bool {
    guard let number = workerNumbers[result.worker] else { return false }
    return workers[number].spool[result.of] != nil
  }
}
