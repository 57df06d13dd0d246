public import Domain

/// A promise that a history broke.
public enum Violation: Hashable, Sendable, CustomStringConvertible {
  case acceptedTwice(JobID)
  /// A worker was told to forget a result that the store does not have.
  case acknowledgedLost(JobID)
  /// A finished result never reached the coordinator, though its worker's disk is whole.
  case finishedLost(JobID, on: String)
  /// Two workers came to different results of one request.
  case twinDiffers(JobID)
  case twoLiveLeases(JobID, WorkerID, WorkerID)
  case attemptReused(JobID, attempt: Int)
  case jobNumberReused(JobID)
  case epochReused(TrainingID, epoch: UInt64)
  /// A worker applied a step that was not durable.
  case stateAheadOfCommit(WorkerID, step: Int, committed: Int)
  case stepOutOfOrder(TrainingID, step: Int, committed: Int)
  case lossDiffers(TrainingID, step: Int)
  case weightsDiffer(TrainingID)
  /// A result was re-used that the store does not have under this address.
  case reusedUnknown(JobID)
  case poolsDifferAfterRestart(machine: PoolSizes, store: PoolSizes)
  case tooSimilar(InstructionID, InstructionID)
  case judgedInOneOrder(InstructionID, iteration: Int)
  /// A part of the final report is not that of the undisturbed run.
  case reportDiffers(ReportPart)
  case notFinished(after: Duration, why: String)

  public var description: String {
    switch self {
    case .acceptedTwice(let job): "\(job) was accepted twice"
    case .acknowledgedLost(let job): "\(job) was acknowledged, and the store does not have it"
    case .finishedLost(let job, let worker): "the result of \(job) was lost on \(worker)"
    case .twinDiffers(let job): "\(job) has two results"
    case .twoLiveLeases(let job, let a, let b): "\(job) is leased to \(a) and to \(b)"
    case .attemptReused(let job, let attempt): "attempt \(attempt) of \(job) was given out twice"
    case .jobNumberReused(let job): "\(job) was created twice"
    case .epochReused(let training, let epoch): "epoch \(epoch) of \(training) was opened twice"
    case .stateAheadOfCommit(let worker, let step, let committed):
      "\(worker) applied \(step) steps, \(committed) are committed"
    case .stepOutOfOrder(let training, let step, let committed):
      "\(training) committed step \(step) after \(committed)"
    case .lossDiffers(let training, let step): "\(training) has two losses at step \(step)"
    case .weightsDiffer(let training): "\(training) made other weights than undisturbed"
    case .reusedUnknown(let job): "\(job) re-uses a result that is not there"
    case .poolsDifferAfterRestart(let machine, let store):
      "after a restart the machine has \(machine), the store \(store)"
    case .tooSimilar(let a, let b): "\(a) was admitted beside \(b)"
    case .judgedInOneOrder(let id, let iteration):
      "\(id) was judged in one order only in iteration \(iteration)"
    case .reportDiffers(let part): "the report's \(part) differ from the undisturbed run's"
    case .notFinished(let time, let why): "not finished \(time) after the faults: \(why)"
    }
  }
}

extension Violation {
  /// Which promise it is: each has a checker of its own.
  public enum Kind: String, Hashable, Sendable, CaseIterable {
    case acceptedTwice, acknowledgedLost, finishedLost, twinDiffers, twoLiveLeases, attemptReused
    case jobNumberReused, epochReused, stateAheadOfCommit, stepOutOfOrder, lossDiffers
    case weightsDiffer, reusedUnknown, poolsDifferAfterRestart, tooSimilar, judgedInOneOrder
    case reportDiffers, notFinished
  }

  public var kind: Kind {
    switch self {
    case .acceptedTwice: .acceptedTwice
    case .acknowledgedLost: .acknowledgedLost
    case .finishedLost: .finishedLost
    case .twinDiffers: .twinDiffers
    case .twoLiveLeases: .twoLiveLeases
    case .attemptReused: .attemptReused
    case .jobNumberReused: .jobNumberReused
    case .epochReused: .epochReused
    case .stateAheadOfCommit: .stateAheadOfCommit
    case .stepOutOfOrder: .stepOutOfOrder
    case .lossDiffers: .lossDiffers
    case .weightsDiffer: .weightsDiffer
    case .reusedUnknown: .reusedUnknown
    case .poolsDifferAfterRestart: .poolsDifferAfterRestart
    case .tooSimilar: .tooSimilar
    case .judgedInOneOrder: .judgedInOneOrder
    case .reportDiffers: .reportDiffers
    case .notFinished: .notFinished
    }
  }
}

/// How many instructions each pool has.
public struct PoolSizes: Hashable, Sendable, CustomStringConvertible {
  public var tuning: Int
  public var cache: Int
  public var description: String { "\(tuning) instructions to tune on and \(cache) in the cache" }
}

/// What of a report must not depend on faults.
public enum ReportPart: String, Hashable, Sendable, CaseIterable, CustomStringConvertible {
  case pools, assessments, proposals, losses, evaluations, completion, quarantine
  public var description: String { rawValue }
}
