import Domain
import Scheduling

/// What a worker's process waits for.
enum WorkerTimer: Hashable, Sendable {
  case hello
  /// The connection to the coordinator was made anew.
  case reconnected
  case heartbeat
  /// The job that runs is done.
  case jobDone(JobID, token: Int)
  /// Results that were not acknowledged are sent again.
  case offer
  /// Model, samples and state have come.
  case fetched(token: Int)
  /// The gradients of its virtual ranks are computed.
  case computed(epoch: UInt64, [ReductionInstruction])
  /// What was sent in the epoch is sent again.
  case exchange(epoch: UInt64)
  case momentsLoaded(segment: Int, epoch: UInt64)
  case segmentSaved(TrainingID, step: Int, segment: Int, weights: [Float], moments: [Float])
  case exported(TrainingID)
}

/// A worker: a machine with a disk, and at times a process on it.
final class SimulatedWorker {
  let number: Int
  let name: String
  let slowness: Double
  var boot: UInt64 = 0
  var isRunning = false
  var stalledUntil = Moment.zero

  // On disk.
  var spool: [JobAttempt: JobReport] = [:]

  // In the process.
  var isWelcome = false
  var isDraining = false
  var creditMax = 0
  var sequence: UInt64 = 0
  var desk = WorkerDesk()
  var running: JobID?
  /// Jobs begun and fetches begun: a timer of an older one is void.
  var token = 0
  var fetches = 0
  var training: LocalTraining?

  init(number: Int, slowness: Double) {
    self.number = number
    name = "w\(number)"
    self.slowness = slowness
  }

  var id: WorkerID { WorkerID(name: name, boot: boot) }

  /// Killed, or ended: only the disk is left.
  func stop() {
    isRunning = false
    isWelcome = false
    isDraining = false
    sequence = 0
    desk = WorkerDesk()
    running = nil
    training = nil
  }
}

// The worker's shell, simulated.

extension Simulator {
  func start(_ worker: SimulatedWorker) {
    guard !worker.isRunning else { return }
    worker.boot = random.next()
    worker.isRunning = true
    worker.desk = WorkerDesk(unacknowledged: Array(worker.spool.values))
    sayHello(worker)
    schedule(.offer, for: worker, after: .seconds(2))
  }

  func schedule(_ timer: WorkerTimer, for worker: SimulatedWorker, after delay: Duration) {
    queue.schedule(.worker(worker.id, timer), at: now + delay)
  }

  func say(_ message: WorkerMessage, _ worker: SimulatedWorker) {
    for delay in network.fate(from: .worker(worker.number), to: .coordinator, at: now) {
      queue.schedule(
        .toCoordinator(message, from: worker.id, incarnation: incarnation), at: now + delay)
    }
  }

  private func sayHello(_ worker: SimulatedWorker) {
    say(
      .hello(
        WorkerHello(
          protocolVersion: protocolVersion, worker: worker.id, threads: 1,
          memoryBytes: 1 << 30, kernelSet: "simulated", peerEndpoint: "peer-\(worker.name)",
          peerPublicKey: String(repeating: "k", count: 40), models: [])), worker)
    schedule(.hello, for: worker, after: .seconds(2))
  }

  func hear(_ message: CoordinatorMessage, _ worker: SimulatedWorker) {
    switch message {
    case .welcome(let welcome):
      worker.creditMax = welcome.creditMax
      let isFirst = !worker.isWelcome
      worker.isWelcome = true
      beat(worker)
      offer(worker)
      if isFirst { schedule(.heartbeat, for: worker, after: welcome.heartbeatEvery) }
    case .refused:
      // Whoever looks after the process starts it again.
      worker.stop()
      queue.schedule(.restart(.worker(worker.number)), at: now + .seconds(3))
    case .helloWanted: sayHello(worker)
    case .assign(let assignments): take(assignments, worker)
    case .acknowledge(let attempts): acknowledged(attempts, worker)
    case .cancel(let jobs): cancel(jobs, worker)
    case .prepareTraining(let plan): prepare(plan, worker)
    case .openStep(let plan): open(plan, worker)
    case .commitStep(let id, let epoch, let step, let totals, let isSaved):
      commit(id, epoch: epoch, step: step, totals, isSaved: isSaved, worker)
    case .export(let id): export(id, worker)
    case .endTraining(let id):
      if worker.training?.plan.training == id { worker.training = nil }
    case .drain:
      worker.isDraining = true
      leaveWhenDone(worker)
    }
  }

  func ring(_ timer: WorkerTimer, _ worker: SimulatedWorker) {
    switch timer {
    case .hello: if !worker.isWelcome { sayHello(worker) }
    case .reconnected: sayHello(worker)
    case .heartbeat:
      beat(worker)
      schedule(.heartbeat, for: worker, after: world.settings.timing.heartbeatEvery)
    case .jobDone(let job, let token): finish(job, token: token, worker)
    case .offer:
      offer(worker)
      schedule(.offer, for: worker, after: .seconds(2))
    case .fetched(let token): fetched(token: token, worker)
    case .computed(let epoch, let program): computed(epoch: epoch, program, worker)
    case .exchange(let epoch): exchangeAgain(epoch: epoch, worker)
    case .momentsLoaded(let segment, let epoch):
      momentsLoaded(segment: segment, epoch: epoch, worker)
    case .segmentSaved(let id, let step, let segment, let weights, let moments):
      segmentSaved(
        id, step: step, segment: segment, weights: weights, moments: moments, worker)
    case .exported(let id): exported(id, worker)
    }
  }

  private func beat(_ worker: SimulatedWorker) {
    worker.sequence += 1
    let credit = worker.isDraining ? 0 : max(0, worker.creditMax - worker.desk.holding.count)
    say(
      .heartbeat(
        Heartbeat(
          sequence: worker.sequence, holding: worker.desk.holding, credit: credit,
          busyMilliseconds: 0, training: worker.training?.plan.training,
          standing: worker.training?.standing)), worker)
  }

  private func offer(_ worker: SimulatedWorker) {
    let reports = worker.desk.toOffer
    guard worker.isWelcome, !reports.isEmpty else { return }
    say(.reports(reports), worker)
  }

  // MARK: Jobs

  private func take(_ assignments: [Assignment], _ worker: SimulatedWorker) {
    let known = worker.desk.take(assignments)
    if !known.isEmpty { say(.reports(known), worker) }
    workOn(worker)
  }

  private func cancel(_ jobs: [JobID], _ worker: SimulatedWorker) {
    worker.desk.cancel(jobs)
    if let running = worker.running, jobs.contains(running) { worker.running = nil }
    workOn(worker)
    leaveWhenDone(worker)
  }

  private func workOn(_ worker: SimulatedWorker) {
    guard worker.running == nil, let next = worker.desk.begin(1).first else { return }
    worker.running = next.job
    worker.token += 1
    let time = Duration.milliseconds(100 + random.below(900)) * worker.slowness
    schedule(.jobDone(next.job, token: worker.token), for: worker, after: time)
  }

  private func finish(_ job: JobID, token: Int, _ worker: SimulatedWorker) {
    guard worker.token == token, worker.running == job else { return }
    worker.running = nil
    guard let assignment = worker.desk.running(job) else {
      workOn(worker)
      return
    }
    for case .text(let text) in assignment.request.prompt.parts where text.contains(deadly) {
      counts.deaths += 1
      end(worker)
      queue.schedule(
        .restart(.worker(worker.number)), at: now + .milliseconds(200 + random.below(3000)))
      return
    }
    var outcome = simulatedOutcome(
      assignment.request, address: simulatedDigest(assignment.request.canonicalBytes),
      attempt: assignment.attempt)
    if bug == .moodyModels, case .success(var result) = outcome {
      result.text += " \(assignment.attempt)"
      outcome = .success(result)
    }
    let reports = worker.desk.finish([
      JobReport(
        job: job, attempt: assignment.attempt, address: assignment.address, outcome: outcome)
    ])
    for report in reports { keep(report, worker) }
    say(.reports(reports), worker)
    workOn(worker)
    leaveWhenDone(worker)
  }

  private func keep(_ report: JobReport, _ worker: SimulatedWorker) {
    finished[FinishedResult(of: report.jobAttempt, worker: worker.name)] = now
    if bug == .skipSpool {
      _ = worker.desk.acknowledged([report.jobAttempt])
    } else {
      worker.spool[report.jobAttempt] = report
    }
  }

  private func acknowledged(_ attempts: [JobAttempt], _ worker: SimulatedWorker) {
    var attempts = attempts
    if bug == .acknowledgeWholeJobs {
      let jobs = Set(attempts.map(\.job))
      attempts = worker.spool.keys.filter { jobs.contains($0.job) }.sorted()
    }
    for attempt in worker.desk.acknowledged(attempts) { worker.spool[attempt] = nil }
    leaveWhenDone(worker)
  }

  private func leaveWhenDone(_ worker: SimulatedWorker) {
    guard worker.isDraining, worker.desk.isClear else { return }
    say(.goodbye, worker)
    worker.stop()
    // One that was drained before the healing and leaves after it: everybody is there then.
    if isHealed { start(worker) }
  }
}
