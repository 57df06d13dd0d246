import Distillation
import Domain
import Scheduling

/// The coordinator as a process: what is lost when it is killed.
struct CoordinatorProcess {
  var machine: RunMachine
  var startedAt: Moment
  /// Turns whose changes are not synced yet, oldest first.
  var unsynced: [UnsyncedTurn] = []
  /// How many of them the sync that runs will have made durable.
  var syncing = 0
  /// What the attempts of jobs are, as the shell saw them go out: only a planted bug looks at it.
  var attempts: [JobID: Int] = [:]

  struct UnsyncedTurn {
    var changes: [Change]
    /// What is done once the changes are durable.
    var effects: [Effect]
    /// Reports that are acknowledged with this turn.
    var reports: [JobReport]
    var reporter: String
  }
}

// The coordinator's shell, simulated: commit, then send.

extension Simulator {
  func startCoordinator() {
    guard coordinator == nil else { return }
    incarnation += 1
    coordinatorStalledUntil = min(coordinatorStalledUntil, now)
    checkAcknowledged()
    let isCoarse = bug == .coarseAddress
    let restored = store.restored()
    leaseChecker.restarted(with: store, at: .zero)
    recording?.append(RecordedLife(settings: world.settings, restored: restored))
    coordinator = CoordinatorProcess(
      machine: RunMachine(
        settings: world.settings, restored: restored,
        address: { isCoarse ? coarseAddress($0) : simulatedDigest($0.canonicalBytes) },
        at: .zero), startedAt: now)
    handle(.prepared(world.input, pool: world.pool))
    checkPools(after: restored)
    queue.schedule(
      .tick(incarnation: incarnation), at: now + world.settings.timing.tickEvery)
  }

  /// One turn: the machine decides; what it wants durable is handed to the disk, the rest waits.
  func handle(_ event: Event) {
    guard var process = coordinator else { return }
    coordinator = nil
    let event = bug == .ignoreAttempts ? asPresentAttempts(event, process) : event
    // A coordinator's clock counts nanoseconds.
    let moment = Moment(
      nanoseconds: Moment(sinceStart: now - process.startedAt).nanoseconds)
    var effects = process.machine.handle(event, at: moment)
    record(RecordedTurn(event: event, moment: moment, effects: effects))
    leaseChecker.observe(event, effects, at: moment)
    if bug == .acceptTwins { effects = effects.map(acceptingTwins) }
    var turn = CoordinatorProcess.UnsyncedTurn(
      changes: [], effects: [], reports: [], reporter: "")
    (turn.reports, turn.reporter) = acknowledgedReports(event, effects)
    for effect in effects {
      guard case .persist(let change) = effect else {
        turn.effects.append(effect)
        continue
      }
      turn.changes.append(change)
      if case .leased(let job, let attempt, _) = change { process.attempts[job] = attempt }
    }
    let mustWait = !turn.changes.isEmpty || !process.unsynced.isEmpty
    if bug == .sendBeforeSync, mustWait {
      finish(turn)
      turn.effects = []
    }
    if mustWait {
      process.unsynced.append(turn)
      if process.syncing == 0 { beginSync(&process) }
      coordinator = process
    } else {
      coordinator = process
      finish(turn)
    }
    violations += leaseChecker.violations
  }

  /// The disk has synced everything that was handed to it when the sync began.
  func synced() {
    guard var process = coordinator, !process.unsynced.isEmpty else { return }
    let synced = process.unsynced.prefix(process.syncing)
    let turns = bug == .syncBackwards ? synced.reversed() : Array(synced)
    process.unsynced.removeFirst(process.syncing)
    process.syncing = 0
    if !process.unsynced.isEmpty { beginSync(&process) }
    coordinator = process
    for turn in turns {
      for change in turn.changes {
        store.apply(change)
        checkLoss(change)
      }
      finish(turn)
    }
    violations += store.violations
  }

  private func beginSync(_ process: inout CoordinatorProcess) {
    process.syncing = process.unsynced.count
    let slow = now < diskSlowUntil ? Duration.milliseconds(random.below(3000)) : .zero
    let delay = slow + .microseconds(200 + random.below(3000))
    queue.schedule(.synced(incarnation: incarnation), at: now + delay)
  }

  private func finish(_ turn: CoordinatorProcess.UnsyncedTurn) {
    for report in turn.reports {
      dealtWith.insert(FinishedResult(of: report.jobAttempt, worker: turn.reporter))
      if case .success = report.outcome { acknowledged.insert(report.job) }
    }
    perform(turn.effects)
  }

  private func perform(_ effects: [Effect]) {
    for effect in effects {
      switch effect {
      case .persist: break
      case .send(let worker, let message): send(message, to: worker)
      case .request(let request): answer(request)
      case .note(let note): counts.count(note)
      }
    }
  }

  func send(_ message: CoordinatorMessage, to worker: WorkerID) {
    guard let number = workerNumbers[worker.name] else { return }
    for delay in network.fate(from: .coordinator, to: .worker(number), at: now) {
      queue.schedule(.toWorker(message, worker), at: now + delay)
    }
  }

  /// The shell's own work: takes a moment, and is lost with the process.
  private func answer(_ request: Request) {
    let event: Event
    switch request {
    case .lookUp(let queries):
      event = .lookedUp(
        asked: queries.map(\.job),
        found: queries.compactMap { query in
          let known = store.results[query.address] ?? (bug == .inventResults ? invented : nil)
          return known.map { KnownResult(job: query.job, result: $0) }
        })
    case .recall(let report, let worker):
      guard let accepted = store.acceptedResult(of: report.job) else { return }
      event = .recalled(report, from: worker, accepted)
    case .buildDataset(let id):
      let (digest, samples) = dataset(of: id)
      event = .datasetBuilt(id, dataset: digest, samples: samples)
    case .writeManifest(let id, let step, let segments):
      let state = simulatedDigest(
        "manifest", [UInt64(step)] + segments.flatMap { [$0.weights.words.0, $0.moments.words.0] })
      manifests[state] = segments
      event = .manifestWritten(id, TrainingCheckpoint(step: step, state: state))
    case .scoreEvaluation(let subject, let set, let iteration):
      if bug == .forgetScoring { return }
      event = .evaluationScored(score(subject, set, iteration))
    case .finish(let completion):
      self.completion = completion
      return
    }
    let delay = Duration.milliseconds(1 + random.below(200))
    queue.schedule(.answered(event, incarnation: incarnation), at: now + delay)
  }

  private func dataset(of id: TrainingID) -> (Digest, Int) {
    if id == .pretraining {
      return (simulatedDigest("captions", UInt64(world.captions)), world.captions)
    }
    var words: [UInt64] = []
    for stored in store.jobs {
      guard case .teacherAnswer(let instruction) = stored.job.purpose,
        store.tuningIteration[Int(instruction.number) - 1] == id.iteration,
        case .done(let result) = stored.state
      else { continue }
      words += [UInt64(instruction.number), simulatedDigest(result.text.utf8).words.0]
    }
    // Jobs are numbered as they are created, which is in the order of the instructions.
    return (simulatedDigest("samples", words), words.count / 2)
  }

  private func score(
    _ subject: EvaluationSubject, _ set: Int, _ iteration: Int
  ) -> EvaluationScore {
    var score = EvaluationScore(
      subject: subject.rawValue, set: set, iteration: iteration, items: 0, correct: 0,
      categories: [])
    for stored in store.jobs {
      guard case .evaluation(subject, set, _, iteration) = stored.job.purpose else { continue }
      score.items += 1
      guard case .done(let result) = stored.state else { continue }
      score.correct += simulatedDigest(result.text.utf8).words.0 & 1 == 0 ? 1 : 0
    }
    return score
  }

  private func acknowledgedReports(
    _ event: Event, _ effects: [Effect]
  ) -> ([JobReport], String) {
    guard case .received(.reports(let reports), let worker) = event else { return ([], "") }
    var attempts: Set<JobAttempt> = []
    for case .send(worker, .acknowledge(let acknowledged)) in effects {
      attempts.formUnion(acknowledged)
    }
    return (reports.filter { attempts.contains($0.jobAttempt) }, worker.name)
  }

  private func asPresentAttempts(_ event: Event, _ process: CoordinatorProcess) -> Event {
    guard case .received(.reports(let reports), let worker) = event else { return event }
    let changed = reports.map { report in
      var report = report
      report.attempt = process.attempts[report.job] ?? report.attempt
      return report
    }
    return .received(.reports(changed), from: worker)
  }
}

/// A planted mistake: nobody ever answered this.
private let invented = GenerationResult(text: "", tokens: [], stop: .stopToken, promptTokens: 0)

private func acceptingTwins(_ effect: Effect) -> Effect {
  guard case .persist(.duplicate(let report, let worker, _)) = effect else { return effect }
  return .persist(.accepted(report, from: worker))
}

/// The planted mistake: the words of the prompt are left out of the address.
private func coarseAddress(_ request: GenerationRequest) -> Digest {
  var bytes = request.model.bytes + (request.prompt.image?.bytes ?? [])
  bytes.append(UInt8(truncatingIfNeeded: request.sampling.tokensMax))
  return simulatedDigest(bytes)
}
