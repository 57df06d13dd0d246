import Domain

/// Where a machine stands, in numbers: two machines that were given the same events agree in all.
public struct MachineStanding: Hashable, Sendable {
  /// One for each of `names`.
  public var values: [UInt64]

  public init(values: [UInt64]) { self.values = values }

  /// What each value is.
  public static let names = [
    "phase", "iteration", "paused", "jobs created", "jobs unsettled", "jobs waiting",
    "jobs leased", "jobs settled", "results accepted", "results reused", "failures",
    "jobs set aside", "jobs reassigned", "jobs speculated", "twins compared", "twins differing",
    "jobs to come", "members", "who the members are", "training's participants",
    "training's epoch", "steps committed", "next step", "effects",
  ]

  /// The first value in which a replay's machine is not as the run's was.
  ///
  /// - Parameter run: of the run, as it was recorded.
  public func difference(fromRun run: MachineStanding) -> String? {
    guard values.count == run.values.count, values.count == Self.names.count else {
      return "the numbers are of another release"
    }
    for (name, (mine, its)) in zip(Self.names, zip(values, run.values)) where mine != its {
      return "\(name): \(its) in the run, \(mine) in the replay"
    }
    return nil
  }
}

extension RunMachine {
  /// - Parameter effects: the hash of all effects since this machine was made.
  public func standing(effects: EffectsHash) -> MachineStanding {
    let (phase, iteration) = state.phase.numbers
    let counts = board.counts
    var members = EffectsHash()
    for worker in membership.ids { members.combine(worker) }
    let small = [
      phase, iteration, isPaused ? 1 : 0, Int(board.created), counts.unsettled, counts.waiting,
      counts.leased, counts.settled, counts.accepted, counts.reused, counts.failures,
      counts.quarantined, counts.reassigned, counts.speculated, counts.duplicatesCompared,
      counts.duplicatesDiffering, backlog.count, membership.names.count,
    ]
    let training = [
      UInt64(training?.participants.count ?? 0), training?.epoch ?? 0,
      UInt64(training?.committed ?? 0), UInt64(training?.position ?? 0),
    ]
    return MachineStanding(
      values: small.map { UInt64(bitPattern: Int64($0)) } + [members.value] + training
        + [effects.value])
  }
}

/// A running hash of effects, equal in every process: which job went to whom, what became durable,
/// what was asked for, in its order.
///
/// It takes numbers and names, no texts: it costs little beside the decisions that it follows.
public struct EffectsHash: Hashable, Sendable {
  public private(set) var value = fnv1aBasis

  public init() {}

  public mutating func combine(_ effects: [Effect]) {
    for effect in effects {
      switch effect {
      case .persist(let change):
        combine(1)
        combine(change)
      case .send(let worker, let message):
        combine(2)
        combine(worker)
        combine(message)
      case .request(let request): combine(request)
      case .note: combine(4)
      }
    }
  }

  mutating func combine(_ word: UInt64) {
    // FNV-1a, by words in place of bytes; the rotation lets high bits reach the low ones.
    value = (value ^ word) &* 0x100_0000_01b3
    value = value << 29 | value >> 35
  }

  private mutating func combine(_ first: UInt64, _ second: UInt64, _ third: UInt64 = 0) {
    combine(first)
    combine(second)
    combine(third)
  }

  mutating func combine(_ worker: WorkerID) { combine(worker.boot) }

  private mutating func combine(_ number: Int) { combine(UInt64(bitPattern: Int64(number))) }
  private mutating func combine(_ job: JobID) { combine(UInt64(bitPattern: job.number)) }
  private mutating func combine(_ report: JobReport) {
    combine(report.job)
    combine(report.attempt)
  }

  private mutating func combine(_ change: Change) {
    switch change {
    case .phase(let phase):
      let (place, iteration) = phase.numbers
      combine(10, UInt64(place), UInt64(iteration))
    case .instructionsAdded(let added, _): combine(11, UInt64(added.count))
    case .jobsCreated(let jobs):
      combine(12, UInt64(jobs.count))
      for job in jobs { combine(job.address.words.0) }
    case .leased(let job, let attempt, let worker):
      combine(13)
      combine(job)
      combine(attempt)
      combine(worker)
    case .accepted(let report, let worker):
      combine(14)
      combine(report)
      combine(worker)
    case .reused(let job, _):
      combine(15)
      combine(job)
    case .failed(let report, let worker):
      combine(16)
      combine(report)
      combine(worker)
    case .duplicate(let report, _, let equal):
      combine(equal ? 17 : 18)
      combine(report)
    case .quarantined(let job):
      combine(19)
      combine(job)
    case .assessed(let id, _, _): combine(20, UInt64(bitPattern: id.number))
    case .proposed(let id, _, _): combine(21, UInt64(bitPattern: id.number))
    case .trainingPlanned(let plan): combine(22, plan.dataset.words.0, UInt64(plan.stepsTotal))
    case .epochOpened(_, let epoch): combine(23, epoch)
    case .stepCommitted(_, let step, let epoch, let totals):
      combine(24, UInt64(step), epoch)
      combine(totals.loss.bitPattern, totals.sumOfSquares.bitPattern)
    case .segmentSaved(_, let step, let saved):
      combine(31, UInt64(step), saved.weights.words.0 ^ saved.moments.words.0)
    case .checkpointed(_, let checkpoint): combine(25, checkpoint.state.words.0)
    case .trainingFinished(let export): combine(26, export.weights.words.0)
    case .evaluated(let score): combine(27, UInt64(score.items), UInt64(score.correct))
    case .workerJoined(let worker, _):
      combine(28)
      combine(worker)
    case .workerLeft(let worker, _):
      combine(29)
      combine(worker)
    case .workerBusy(let worker, let milliseconds):
      combine(30, UInt64(bitPattern: milliseconds))
      combine(worker)
    }
  }

  private mutating func combine(_ message: CoordinatorMessage) {
    switch message {
    case .welcome: combine(40)
    case .refused: combine(41)
    case .helloWanted: combine(42)
    case .assign(let assignments):
      combine(43)
      for assignment in assignments {
        combine(assignment.job)
        combine(assignment.attempt)
      }
    case .acknowledge(let attempts): combine(44, UInt64(attempts.count))
    case .cancel(let jobs):
      combine(45)
      for job in jobs { combine(job) }
    case .prepareTraining(let plan): combine(46, UInt64(plan.checkpoint?.step ?? 0))
    case .openStep(let plan): combine(47, plan.epoch, UInt64(plan.members.count))
    case .commitStep(_, let epoch, let step, _, let isSaved):
      combine(isSaved ? 49 : 48, epoch, UInt64(step))
    case .export: combine(50)
    case .endTraining: combine(51)
    case .drain: combine(52)
    }
  }

  private mutating func combine(_ request: Request) {
    switch request {
    case .lookUp(let queries): combine(60, UInt64(queries.count))
    case .recall(let report, _):
      combine(61)
      combine(report)
    case .buildDataset(let training): combine(62, UInt64(training.iteration))
    case .writeManifest(let training, let step, let segments):
      combine(65, UInt64(training.iteration), UInt64(step))
      combine(segments.count)
    case .scoreEvaluation(_, let set, let iteration): combine(63, UInt64(set), UInt64(iteration))
    case .finish: combine(64)
    }
  }
}
