import Domain
import Scheduling

/// What a worker's process waits for.
enum WorkerTimer: Hashable, Sendable {
  case hello
  case heartbeat
  /// The job that runs is done.
  case jobDone(JobID, token: Int)
  /// Results that were not acknowledged are sent again.
  case offer
  /// Model, samples and state have come.
  case fetched(token: Int)
  /// The gradients of its virtual ranks are computed.
  case computed(epoch: UInt64)
  /// Sums that have not come are asked for again.
  case exchange(epoch: UInt64)
  case uploaded(TrainingID, step: Int, weights: [Float])
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
  var spool: [JobID: JobReport] = [:]

  // In the process.
  var isWelcome = false
  var isDraining = false
  var creditMax = 0
  var sequence: UInt64 = 0
  var holding: [Assignment] = []
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
    holding = []
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
          peerPublicKey: "key", models: [])), worker)
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
    case .acknowledge(let jobs):
      for job in jobs { worker.spool[job] = nil }
      leaveWhenDone(worker)
    case .cancel(let jobs): cancel(jobs, worker)
    case .prepareTraining(let plan): prepare(plan, worker)
    case .openStep(let plan): open(plan, worker)
    case .commitStep(let id, let epoch, let step): commit(id, epoch: epoch, step: step, worker)
    case .checkpoint(let id, let step): upload(id, step: step, worker)
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
    case .heartbeat:
      beat(worker)
      schedule(.heartbeat, for: worker, after: world.settings.timing.heartbeatEvery)
    case .jobDone(let job, let token): finish(job, token: token, worker)
    case .offer:
      offer(worker)
      schedule(.offer, for: worker, after: .seconds(2))
    case .fetched(let token): fetched(token: token, worker)
    case .computed(let epoch): computed(epoch: epoch, worker)
    case .exchange(let epoch): exchangeAgain(epoch: epoch, worker)
    case .uploaded(let id, let step, let weights):
      uploaded(id, step: step, weights: weights, worker)
    case .exported(let id): exported(id, worker)
    }
  }

  private func beat(_ worker: SimulatedWorker) {
    worker.sequence += 1
    let credit = worker.isDraining ? 0 : max(0, worker.creditMax - worker.holding.count)
    say(
      .heartbeat(
        Heartbeat(
          sequence: worker.sequence, holding: worker.holding.map(\.job), credit: credit,
          busyMilliseconds: 0, training: worker.training?.plan.training,
          standing: worker.training?.standing)), worker)
  }

  private func offer(_ worker: SimulatedWorker) {
    guard worker.isWelcome, !worker.spool.isEmpty else { return }
    say(.reports(worker.spool.keys.sorted().compactMap { worker.spool[$0] }), worker)
  }

  // MARK: Jobs

  private func take(_ assignments: [Assignment], _ worker: SimulatedWorker) {
    for assignment in assignments {
      if let known = worker.spool[assignment.job] {
        say(.reports([known]), worker)
      } else if let place = worker.holding.firstIndex(where: { $0.job == assignment.job }) {
        worker.holding[place].attempt = max(worker.holding[place].attempt, assignment.attempt)
      } else {
        worker.holding.append(assignment)
      }
    }
    workOn(worker)
  }

  private func cancel(_ jobs: [JobID], _ worker: SimulatedWorker) {
    worker.holding.removeAll { jobs.contains($0.job) }
    if let running = worker.running, jobs.contains(running) { worker.running = nil }
    workOn(worker)
    leaveWhenDone(worker)
  }

  private func workOn(_ worker: SimulatedWorker) {
    guard worker.running == nil, let next = worker.holding.first else { return }
    worker.running = next.job
    worker.token += 1
    let time = Duration.milliseconds(100 + random.below(900)) * worker.slowness
    schedule(.jobDone(next.job, token: worker.token), for: worker, after: time)
  }

  private func finish(_ job: JobID, token: Int, _ worker: SimulatedWorker) {
    guard worker.token == token, worker.running == job else { return }
    worker.running = nil
    guard let place = worker.holding.firstIndex(where: { $0.job == job }) else {
      workOn(worker)
      return
    }
    let assignment = worker.holding.remove(at: place)
    let report = JobReport(
      job: job, attempt: assignment.attempt, address: assignment.address,
      outcome: simulatedOutcome(
        assignment.request, address: simulatedDigest(assignment.request.canonicalBytes),
        attempt: assignment.attempt))
    finished[FinishedResult(job: job, attempt: assignment.attempt, worker: worker.name)] = now
    if bug != .skipSpool { worker.spool[job] = report }
    say(.reports([report]), worker)
    workOn(worker)
    leaveWhenDone(worker)
  }

  private func leaveWhenDone(_ worker: SimulatedWorker) {
    guard worker.isDraining, worker.holding.isEmpty, worker.spool.isEmpty else { return }
    say(.goodbye, worker)
    worker.stop()
  }
}
