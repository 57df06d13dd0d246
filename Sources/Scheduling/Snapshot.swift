import Distillation
public import Domain

/// Where a run stands, for status, dashboard and metrics. A plain value: readers never touch the
/// machine.
public struct Snapshot: Hashable, Sendable {
  public var run: String
  public var phase: RunPhase
  public var iterations: Int
  public var isPaused: Bool
  public var jobs: JobCounts
  public var pools: PoolCounts
  /// Jobs that ended per second, over about the last minute; nil while that is not known.
  public var jobsPerSecond: Double?
  /// Until the end of the present phase at the present rate; nil while it cannot be said.
  public var remaining: Duration?
  public var assessment: AssessmentCounts
  public var training: TrainingSnapshot?
  /// By name.
  public var workers: [WorkerSnapshot]
  public var evaluations: [EvaluationScore]
  /// In counted time: above 1 after the coordinator's own loop stood still.
  public var patience: Double
}

public struct PoolCounts: Hashable, Sendable {
  public var tuning: Int
  public var cache: Int
  public var answered: Int
  /// Instructions whose teacher answer was set aside: they take part in nothing.
  public var leftOut: Int
}

public struct AssessmentCounts: Hashable, Sendable {
  public var judged = 0
  public var unjudged = 0
  public var difficult = 0
}

public struct TrainingSnapshot: Hashable, Sendable {
  public var training: TrainingID
  public var stepsCommitted: Int
  public var stepsTotal: Int
  public var epoch: UInt64
  public var loss: Double?
  public var members: [WorkerID]
  public var doing: TrainingActivity
}

public enum TrainingActivity: Hashable, Sendable, CustomStringConvertible {
  case waiting(QuorumWait)
  /// Members that have not voted yet are waited for so long at most, since the step was opened.
  case stepping(step: Int, epoch: UInt64, awaited: [WorkerID], patience: Duration)
  case exporting
  case finished

  public var description: String {
    switch self {
    case .waiting(let reason): "waiting: \(reason)"
    case .stepping(let step, let epoch, let awaited, let patience):
      "step \(step), epoch \(epoch); waits for the \(awaited.count == 1 ? "vote" : "votes") of "
        + "\(text(of: awaited)), \(text(of: patience)) at most"
    case .exporting: "saving the student"
    case .finished: "finished"
    }
  }
}

public struct WorkerSnapshot: Hashable, Sendable {
  public enum Health: String, Hashable, Sendable { case alive, suspect, draining }
  public var id: WorkerID
  public var health: Health
  public var silence: Duration
  public var threads: Int
  public var memoryBytes: Int64
  public var kernelSet: String
  public var holding: Int
  public var capacity: Int
  public var accepted: Int
  public var busyMilliseconds: Int64
  public var standing: TrainingStanding?
}

extension RunMachine {
  public func snapshot(at moment: Moment) -> Snapshot {
    let rate = rates.perSecond
    var jobs = board.counts
    jobs.unsettled += backlog.count
    jobs.waiting += backlog.count
    return Snapshot(
      run: settings.run, phase: state.phase, iterations: settings.method.iterations,
      isPaused: isPaused, jobs: jobs, pools: poolCounts, jobsPerSecond: rate,
      remaining: isPaused ? nil : remaining(rate), assessment: state.assessmentCounts,
      training: training?.snapshot, workers: workers, evaluations: state.evaluations,
      patience: clock.patience)
  }

  private var poolCounts: PoolCounts {
    let leftOut = state.teacherAnswers.values.count { $0 == .unavailable }
    return PoolCounts(
      tuning: state.pools.tuning.count, cache: state.pools.cache.count,
      answered: state.teacherAnswers.count - leftOut, leftOut: leftOut)
  }

  private var workers: [WorkerSnapshot] {
    membership.names.compactMap { membership.members[$0] }.map { member in
      WorkerSnapshot(
        id: member.id,
        health: member.draining ? .draining : member.health == .alive ? .alive : .suspect,
        silence: clock.now - member.heardAt, threads: member.hello.threads,
        memoryBytes: member.hello.memoryBytes, kernelSet: member.hello.kernelSet,
        holding: board.heldCount(member.id), capacity: member.capacity,
        accepted: member.accepted, busyMilliseconds: member.busyMilliseconds,
        standing: training?.participants[member.id]?.standing)
    }
  }

  private func remaining(_ rate: Double?) -> Duration? {
    if let training, !state.trainingDone {
      let ranks = training.ranksMaxNow
      return training.patience.expected(ranksMax: ranks).map {
        $0 * (training.plan.stepsTotal - training.position)
      }
    }
    guard let rate, rate > 0 else { return nil }
    return .seconds(Double(board.counts.unsettled + backlog.count) / rate)
  }
}

extension RunState {
  var assessmentCounts: AssessmentCounts {
    var counts = AssessmentCounts()
    for assessment in assessments.values {
      switch assessment {
      case .judged(_, _, _, let difficult):
        counts.judged += 1
        counts.difficult += difficult ? 1 : 0
      case .unjudged: counts.unjudged += 1
      }
    }
    return counts
  }
}

extension TrainingMachine {
  /// Virtual ranks of the busiest member of the present or next step.
  var ranksMaxNow: Int {
    if case .stepping(let round) = mode { return round.ranksMax }
    let workers = max(1, participants.count)
    return (plan.recipe.virtualRanks + workers - 1) / workers
  }

  var snapshot: TrainingSnapshot {
    var members: [WorkerID] = []
    let doing: TrainingActivity
    switch mode {
    case .between: doing = .waiting(waiting ?? .nobodyReady(preparing: []))
    case .stepping(let round):
      members = round.plan.members.map(\.worker)
      doing = .stepping(
        step: round.plan.step, epoch: round.plan.epoch,
        awaited: round.voters.filter { round.votes[$0] == nil },
        patience: round.deadline - round.openedAt)
    case .exporting: doing = .exporting
    case .finished: doing = .finished
    }
    return TrainingSnapshot(
      training: plan.training, stepsCommitted: committed, stepsTotal: plan.stepsTotal,
      epoch: epoch, loss: lastLoss, members: members, doing: doing)
  }
}
