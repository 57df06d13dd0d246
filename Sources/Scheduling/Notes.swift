public import Domain

/// Something that an operator may want to know, with its reason.
public enum Note: Hashable, Sendable, CustomStringConvertible {
  case joined(WorkerID)
  case refused(WorkerID, Refusal)
  /// Nothing was heard for this long; it keeps its work for now.
  case suspected(WorkerID, silence: Duration)
  /// Its connection has ended; it may come back.
  case disconnected(WorkerID)
  case recovered(WorkerID)
  case left(WorkerID, Departure)
  /// The loop itself stood still, so no silence of this time is held against anybody.
  case observerStalled(Duration)
  case failed(JobID, on: WorkerID, JobFailure)
  case quarantined(JobID, QuarantineReason)
  /// A late job was given to a second worker as well.
  case speculated(JobID, on: WorkerID, beside: WorkerID, after: Duration)
  /// A worker that lives has held a job for far longer than its like take there.
  case stuck(JobID, on: WorkerID, for: Duration, usual: Duration)
  case twinDiffers(JobID, from: WorkerID)
  /// A message that no honest worker sends; it was dropped.
  case nonsense(WorkerID, Nonsense)
  case stepFenced(TrainingID, step: Int, epoch: UInt64, FenceReason)
  /// Members computed different sums of one step: hardware or kernels are not what they claim.
  case sumsDiffer(TrainingID, step: Int, on: [WorkerID])
  case weightsDiffer(TrainingID, exported: Digest, other: Digest, on: WorkerID)
  /// No worker holds the state of the committed step any more.
  case steppedBack(TrainingID, from: Int, to: Int)
  case trainingFailed(TrainingID, on: WorkerID, String)
  /// The step begins with other members than the one before. `excess`: of the traffic of its sums
  /// over the least that there is, as a share.
  case membersChanged(
    TrainingID, step: Int, members: Int, excess: Double, new: [WorkerID], gone: [GoneMember])
  case phase(RunPhase)

  public var description: String {
    switch self {
    case .joined(let worker): "\(worker) joined"
    case .refused(let worker, let refusal): "\(worker) was refused: \(text(of: refusal))"
    case .suspected(let worker, let silence): "\(worker) has been silent for \(text(of: silence))"
    case .disconnected(let worker): "\(worker) has lost its connection"
    case .recovered(let worker): "\(worker) is heard again"
    case .left(let worker, let departure): "\(worker) left: \(departure)"
    case .observerStalled(let stall): "the coordinator itself stood still for \(text(of: stall))"
    case .failed(let job, let worker, let failure):
      "\(job) failed on \(worker): \(text(of: failure))"
    case .quarantined(let job, let reason): "\(job) is set aside: \(reason)"
    case .speculated(let job, let worker, let first, let time):
      "\(job) has been with \(first) for \(text(of: time)); \(worker) tries it, too"
    case .stuck(let job, let worker, let time, let usual):
      "\(job) is taken from \(worker) after \(text(of: time)); \(text(of: usual)) is usual there"
    case .twinDiffers(let job, let worker): "\(worker) has another result for \(job)"
    case .nonsense(let worker, let nonsense): "dropped from \(worker): \(nonsense)"
    case .stepFenced(let training, let step, let epoch, let reason):
      "\(training) step \(step), epoch \(epoch) is void: \(reason)"
    case .sumsDiffer(let training, let step, let workers):
      "\(training) step \(step): not as the owners have it are sums of "
        + workers.map(\.description).joined(separator: ", ")
    case .weightsDiffer(let training, let exported, let other, let worker):
      "\(training): weights \(exported) were exported, \(worker) has \(other)"
    case .steppedBack(let training, let from, let to):
      "\(training): the state after step \(from) is lost, going on from step \(to)"
    case .trainingFailed(let training, let worker, let reason):
      "\(training) is not possible on \(worker): \(reason)"
    case .membersChanged(let training, let step, let members, let excess, let new, let gone):
      "\(training) step \(step) has \(members) member\(members == 1 ? "" : "s")"
        + (new.isEmpty ? "" : "; new: " + new.map(\.description).joined(separator: ", "))
        + (gone.isEmpty ? "" : "; gone: " + gone.map(\.description).joined(separator: ", "))
        + (excess > 0.005
          ? "; \(Int((excess * 100).rounded())) % more traffic than were it even" : "")
    case .phase(let phase): "phase: \(text(of: phase))"
    }
  }
}

/// A worker that is no member of a training's steps any more.
public struct GoneMember: Hashable, Sendable, CustomStringConvertible {
  public enum Reason: Hashable, Sendable {
    /// It is not there; why is said where it left.
    case left
    case drained
    /// It held a step up, and is left out for a while.
    case late
    case wrongSums
    case failed(String)
  }
  public var worker: WorkerID
  public var reason: Reason

  public var description: String {
    let words =
      switch reason {
      case .left: "left"
      case .drained: "drained"
      case .late: "held steps up"
      case .wrongSums: "its sums are wrong"
      case .failed(let reason): reason
      }
    return "\(worker) (\(words))"
  }
}

/// Why a worker is no longer a member.
public enum Departure: Hashable, Sendable, CustomStringConvertible {
  case goodbye
  case silent(Duration)
  /// Its connection ended and did not come back.
  case disconnected
  /// Another process started under the same name.
  case restarted(boot: UInt64)
  case revoked

  public var description: String {
    switch self {
    case .goodbye: "said goodbye"
    case .silent(let silence): "silent for \(text(of: silence))"
    case .disconnected: "its connection ended and did not come back"
    case .restarted(let boot): "started again as boot \(String(boot, radix: 16))"
    case .revoked: "revoked"
    }
  }
}

/// Messages that are dropped, and why.
public enum Nonsense: Hashable, Sendable, CustomStringConvertible {
  case unknownJob(JobID)
  /// The report is about another request than the job's.
  case addressMismatch(JobID)
  case attemptNeverMade(JobID, attempt: Int)
  /// Another worker was given it.
  case notGiven(JobID, attempt: Int)
  case vote(TrainingID, step: Int, epoch: UInt64)
  case unaskedCheckpoint(TrainingID, step: Int)

  public var description: String {
    switch self {
    case .unknownJob(let job): "a report for \(job), which does not exist"
    case .addressMismatch(let job): "a report for \(job) with another request's address"
    case .attemptNeverMade(let job, let attempt):
      "a report for attempt \(attempt) of \(job), which was never made"
    case .notGiven(let job, let attempt):
      "a report for attempt \(attempt) of \(job), which another worker was given"
    case .vote(let training, let step, let epoch):
      "a vote of \(training) step \(step), epoch \(epoch), which is not open to it"
    case .unaskedCheckpoint(let training, let step):
      "a checkpoint of \(training) at step \(step), which is not committed"
    }
  }
}

/// Why a job is set aside.
public enum QuarantineReason: Hashable, Sendable, CustomStringConvertible {
  case failedOn(workers: [String])
  case failures(Int)
  case attempts(Int)
  /// So many workers were lost with it and nothing else.
  case lostWorkers(Int)
  /// The job with the same request was set aside.
  case sameRequest(as: JobID)

  public var description: String {
    switch self {
    case .failedOn(let workers): "it failed on \(workers.joined(separator: ", "))"
    case .failures(let count): "it failed \(count) times"
    case .attempts(let count): "\(count) attempts brought no result"
    case .lostWorkers(let count): "\(count) workers were lost while they did it and nothing else"
    case .sameRequest(let job): "it asks the same as \(job), which is set aside"
    }
  }
}

/// Why an attempt at a step was given up.
public enum FenceReason: Hashable, Sendable, CustomStringConvertible {
  case memberLost(WorkerID)
  case timedOut(missing: [WorkerID])
  case sumsDiffer
  case memberBehind(WorkerID)

  public var description: String {
    switch self {
    case .memberLost(let worker): "\(worker) was lost"
    case .timedOut(let missing):
      "no vote in time from " + missing.map(\.description).joined(separator: ", ")
    case .sumsDiffer: "the members' sums differ"
    case .memberBehind(let worker): "\(worker) does not hold the state of the step"
    }
  }
}
