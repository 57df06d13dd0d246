public import Domain

/// What somebody wants explained.
public enum ExplanationSubject: Hashable, Sendable {
  case phase
  case job(JobID)
  case worker(String)
}

/// Why something is as it is: typed, with a text for people.
public enum Explanation: Hashable, Sendable, CustomStringConvertible {
  case phase(RunPhase, [PhaseReason])
  case job(JobID, JobReason)
  case worker(String, WorkerReason)

  public var description: String {
    switch self {
    case .phase(let phase, let reasons):
      "\(text(of: phase)): " + reasons.map(\.description).joined(separator: "; ")
    case .job(let job, let reason): "\(job): \(reason)"
    case .worker(let name, let reason): "\(name): \(reason)"
    }
  }
}

/// What a phase waits for.
public enum PhaseReason: Hashable, Sendable, CustomStringConvertible {
  case inputNotRead
  case paused
  case noWorkers
  case jobs(waiting: Int, leased: Int)
  case dataset(TrainingID)
  case training(TrainingID, TrainingActivity)
  case scores(Int)
  case finished(Completion)

  public var description: String {
    switch self {
    case .inputNotRead: "models and data are being read"
    case .paused: "the run is paused: `comd resume` goes on"
    case .noWorkers: "no worker is there: start one with its access file"
    case .jobs(let waiting, let leased): "\(waiting) jobs wait, \(leased) are with workers"
    case .dataset(let training): "the samples of \(training) are being written"
    case .training(_, let activity): activity.description
    case .scores(let count): "\(count) evaluations are being scored"
    case .finished(let completion): completion.description
    }
  }
}

/// Where a job is and why.
public enum JobReason: Hashable, Sendable, CustomStringConvertible {
  case unknown
  /// It has its result, or its phase is over.
  case ended
  case lookedUp
  case paused
  case noWorkers
  /// Others are before it in the queues.
  case queued(position: String, failedOn: [String])
  case leased(to: WorkerID, attempt: Int, listed: Bool, since: Duration)
  /// The first one was late, so a second one has it, too.
  case speculated(first: WorkerID, since: Duration, second: WorkerID, secondSince: Duration)
  case following(JobID)
  case quarantined(QuarantineReason)

  public var description: String {
    switch self {
    case .unknown: "no such job"
    case .ended: "it has ended; the store has its result"
    case .lookedUp: "its address is being looked up among known results"
    case .paused: "waits: the run is paused"
    case .noWorkers: "waits: no worker can take jobs now"
    case .queued(let position, let failedOn):
      "waits \(position)"
        + (failedOn.isEmpty ? "" : "; failed on " + failedOn.joined(separator: ", "))
    case .leased(let worker, let attempt, let listed, let since):
      "with \(worker) as attempt \(attempt) for \(text(of: since))"
        + (listed ? "" : "; the worker has not confirmed it yet")
    case .speculated(let first, let since, let second, let secondSince):
      "with \(first) for \(text(of: since)), and with \(second), too, for "
        + "\(text(of: secondSince)), because the first one was late"
    case .following(let job): "asks the same as \(job) and ends with it"
    case .quarantined(let reason): "set aside: \(reason)"
    }
  }
}

/// What a worker does, or why it does nothing.
public enum WorkerReason: Hashable, Sendable, CustomStringConvertible {
  case unknown
  case revoked
  case silent(Duration)
  case disconnected(Duration)
  case draining(holding: Int)
  case paused
  /// It was given jobs it never confirmed.
  case heldBack(Duration)
  case noCredit(holding: Int)
  case working(holding: Int)
  case training(TrainingID, TrainingStanding?, benchedFor: Duration?, excluded: Bool)
  case nothingToDo

  public var description: String {
    switch self {
    case .unknown: "no such worker is connected"
    case .revoked: "its key is revoked"
    case .silent(let duration): "not heard for \(text(of: duration))"
    case .disconnected(let duration):
      "its connection ended \(text(of: duration)) ago; it may come back"
    case .draining(let holding): "is leaving; \(holding) jobs are still with it"
    case .paused: "the run is paused"
    case .heldBack(let duration):
      "did not confirm the jobs it was given; asked again in \(text(of: duration))"
    case .noCredit(let holding): "holds \(holding) jobs and takes no more"
    case .working(let holding): "holds \(holding) jobs"
    case .training(let training, let standing, let benched, let excluded):
      "\(training): " + (standing.map(text(of:)) ?? "not heard yet")
        + (excluded ? "; left out, its sums were wrong" : "")
        + (benched.map { "; left out for \(text(of: $0)), it was late" } ?? "")
    case .nothingToDo: "idle: no job waits"
    }
  }
}

extension RunMachine {
  /// Why something waits, or what it does.
  public func explain(_ subject: ExplanationSubject, at moment: Moment) -> Explanation {
    switch subject {
    case .phase: .phase(state.phase, phaseReasons)
    case .job(let job): .job(job, reason(of: job))
    case .worker(let name): .worker(name, reason(ofWorker: name))
    }
  }

  private var phaseReasons: [PhaseReason] {
    guard input != nil else { return [.inputNotRead] }
    if state.phase == .finished {
      return [.finished(state.completion(tuningIterations: state.begunIterations))]
    }
    var reasons: [PhaseReason] = []
    if isPaused { reasons.append(.paused) }
    if membership.names.isEmpty { reasons.append(.noWorkers) }
    if let dataset = state.awaitingDataset { reasons.append(.dataset(dataset)) }
    if let training { reasons.append(.training(training.plan.training, training.snapshot.doing)) }
    if board.counts.unsettled > 0 || !backlog.isEmpty {
      reasons.append(.jobs(waiting: board.open.count + backlog.count, leased: board.counts.leased))
    }
    if !state.scoring.isEmpty { reasons.append(.scores(state.scoring.count)) }
    return reasons
  }

  private func reason(of job: JobID) -> JobReason {
    guard let entry = board.entries[job] else {
      return (1...max(1, board.created)).contains(job.number) ? .ended : .unknown
    }
    switch entry.state {
    case .awaitingLookUp: return .lookedUp
    case .waiting:
      if isPaused { return .paused }
      let anyTaker = membership.names.contains { mayTakeJobs($0, at: clock.now) }
      guard anyTaker else { return .noWorkers }
      if board.isSuspect(job) {
        return .queued(
          position: "for a worker with nothing else to do: \(entry.lostWith) were lost with it",
          failedOn: entry.failedOn)
      }
      let home = board.open.home(of: job).map { "for \($0), which has its picture" }
      return .queued(
        position: home ?? "for any worker, \(board.open.count) jobs are open",
        failedOn: entry.failedOn)
    case .leased:
      let leases = board.leases(of: job)
      guard let first = leases.first else { return .unknown }
      if let second = leases.dropFirst().first {
        return .speculated(
          first: first.worker, since: clock.now - first.since, second: second.worker,
          secondSince: clock.now - second.since)
      }
      return .leased(
        to: first.worker, attempt: first.attempt, listed: first.listed,
        since: clock.now - first.since)
    case .following(let other): return .following(other)
    case .quarantined(let reason): return .quarantined(reason)
    }
  }

  private func reason(ofWorker name: String) -> WorkerReason {
    if membership.revoked.contains(name) { return .revoked }
    guard let member = membership.members[name] else { return .unknown }
    let holding = board.heldCount(member.id)
    let now = clock.now
    if let cut = member.disconnectedAt { return .disconnected(now - cut) }
    if member.health == .suspect { return .silent(now - member.heardAt) }
    if member.draining { return .draining(holding: holding) }
    if let training, !state.trainingDone {
      let participant = training.participants[member.id]
      let benched = participant?.benchedUntil.flatMap { $0 > now ? $0 - now : nil }
      return .training(
        training.plan.training, participant?.standing, benchedFor: benched,
        excluded: participant?.excluded ?? false)
    }
    if isPaused { return .paused }
    if member.heldBackUntil > now { return .heldBack(member.heldBackUntil - now) }
    if holding > 0 {
      return holding >= member.capacity ? .noCredit(holding: holding) : .working(holding: holding)
    }
    return member.capacity == 0 ? .noCredit(holding: 0) : .nothingToDo
  }
}
