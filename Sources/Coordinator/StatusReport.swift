import Domain
import Scheduling

/// Where a run stands, for people and scripts: what `comd status --json` prints, in snake case.
public struct StatusReport: Codable, Sendable {
  public struct Worker: Codable, Sendable {
    public var name: String
    public var boot: String
    /// `alive`, `suspect` or `draining`.
    public var health: String
    public var silentSeconds: Double
    public var threads: Int
    public var holding: Int
    public var accepted: Int
    public var busySeconds: Double
    /// Messages that made no sense, and were dropped.
    public var dropped: Int
  }
  public struct Training: Codable, Sendable {
    public var name: String
    public var steps: Int
    public var stepsTotal: Int
    public var loss: Double?
    public var members: [String]
    public var doing: String
  }
  public struct Jobs: Codable, Sendable {
    public var waiting: Int
    public var leased: Int
    public var done: Int
    public var quarantined: Int
    /// Given to a second worker as well, because the first one was late.
    public var speculated: Int
    /// Taken back from a worker that was lost or stuck.
    public var reassigned: Int
  }
  /// Something that happened, as the log has it.
  public struct Happening: Codable, Hashable, Sendable {
    /// Seconds since 1970.
    public var at: Double
    public var what: String
  }

  public var run: String
  public var phase: String
  public var iterations: Int
  public var paused: Bool
  public var jobs: Jobs
  public var jobsPerSecond: Double?
  /// Until the end of the phase, at the present rate.
  public var etaSeconds: Double?
  public var tuningPool: Int
  public var cachePool: Int
  public var judged: Int
  public var difficult: Int
  public var training: Training?
  public var workers: [Worker]
  /// What the phase waits for.
  public var waitingFor: String
  /// What happened last, oldest first.
  public var recent: [Happening]
  /// Why what happens is not recorded any more; nil while it is, or when it was not to be.
  public var journalEnd: String?

  init(
    _ snapshot: Snapshot, why: String, recent: [Happening], dropped: [String: Int] = [:],
    journalEnd: String? = nil
  ) {
    self.journalEnd = journalEnd
    self.recent = recent
    run = snapshot.run
    phase = snapshot.phase.name
    iterations = snapshot.iterations
    paused = snapshot.isPaused
    jobs = Jobs(
      waiting: snapshot.jobs.waiting, leased: snapshot.jobs.leased, done: snapshot.jobs.settled,
      quarantined: snapshot.jobs.quarantined, speculated: snapshot.jobs.speculated,
      reassigned: snapshot.jobs.reassigned)
    jobsPerSecond = snapshot.jobsPerSecond
    etaSeconds = snapshot.remaining.map(\.inSeconds)
    tuningPool = snapshot.pools.tuning
    cachePool = snapshot.pools.cache
    judged = snapshot.assessment.judged
    difficult = snapshot.assessment.difficult
    training = snapshot.training.map { training in
      Training(
        name: training.training.description, steps: training.stepsCommitted,
        stepsTotal: training.stepsTotal, loss: training.loss,
        members: training.members.map(\.name), doing: training.doing.description)
    }
    workers = snapshot.workers.map { worker in
      Worker(
        name: worker.id.name, boot: String(worker.id.boot, radix: 16),
        health: worker.health.rawValue, silentSeconds: worker.silence.inSeconds,
        threads: worker.threads, holding: worker.holding, accepted: worker.accepted,
        busySeconds: Double(worker.busyMilliseconds) / 1000,
        dropped: dropped[worker.id.name] ?? 0)
    }
    waitingFor = why
  }

  /// The run in one line, for a terminal.
  public var line: String {
    var parts = [phase]
    if let training, training.steps < training.stepsTotal {
      let loss = training.loss.map { ", loss \(rounded($0, 3))" } ?? ""
      parts.append("step \(training.steps) of \(training.stepsTotal)\(loss)")
    } else if jobs.waiting + jobs.leased > 0 {
      parts.append("\(jobs.done) jobs done, \(jobs.waiting + jobs.leased) to go")
    }
    if let rate = jobsPerSecond, training == nil {
      parts.append(
        rate < 1 ? "\(rounded(rate * 60, 1)) jobs/min" : "\(rounded(rate, 1)) jobs/s")
    }
    if let eta = etaSeconds, eta >= 1 { parts.append("\(clock(eta)) left in this phase") }
    parts.append(workers.count == 1 ? "1 worker" : "\(workers.count) workers")
    if workers.isEmpty || paused { parts.append(waitingFor) }
    return parts.joined(separator: " · ")
  }
}

/// Seconds as `42s`, `3m05s`, `2h07m`.
public func clock(_ seconds: Double) -> String {
  func two(_ number: Int) -> String { number < 10 ? "0\(number)" : "\(number)" }
  let whole = Int(min(max(seconds, 0), 1e9).rounded())
  switch whole {
  case 3_600...: return "\(whole / 3_600)h\(two(whole % 3_600 / 60))m"
  case 60..<3_600: return "\(whole / 60)m\(two(whole % 60))s"
  case _: return "\(whole)s"
  }
}

/// With so many decimals.
private func rounded(_ value: Double, _ decimals: Int) -> Double {
  var factor = 1.0
  for _ in 0..<decimals { factor *= 10 }
  return (value * factor).rounded() / factor
}

extension RunPhase {
  /// As status and log name it.
  var name: String {
    switch self {
    case .preparing: "preparing"
    case .pretraining: "pretraining"
    case .answering(let iteration): "answering \(iteration)"
    case .tuning(let iteration): "tuning \(iteration)"
    case .evaluating(let iteration): "evaluating \(iteration)"
    case .assessing(let iteration): "assessing \(iteration)"
    case .augmenting(let iteration): "augmenting \(iteration)"
    case .finished: "finished"
    }
  }
}
