/// What a worker is and has, said when it connects.
public struct WorkerHello: Hashable, Sendable {
  public var protocolVersion: Int
  public var worker: WorkerID
  public var threads: Int
  public var memoryBytes: Int64
  /// Names the CPU features and libraries that fix the bits of its sums.
  public var kernelSet: String
  /// Where peers reach its gradient socket, and that socket's CURVE key (Z85).
  public var peerEndpoint: String
  public var peerPublicKey: String
  /// Models whose files are all in its cache.
  public var models: [Digest]

  public init(
    protocolVersion: Int, worker: WorkerID, threads: Int, memoryBytes: Int64, kernelSet: String,
    peerEndpoint: String, peerPublicKey: String, models: [Digest]
  ) {
    self.protocolVersion = protocolVersion
    self.worker = worker
    self.threads = threads
    self.memoryBytes = memoryBytes
    self.kernelSet = kernelSet
    self.peerEndpoint = peerEndpoint
    self.peerPublicKey = peerPublicKey
    self.models = models
  }
}

/// A sign of life, with what the worker is busy with.
public struct Heartbeat: Hashable, Sendable {
  public var sequence: UInt64
  /// Jobs that it holds and has not reported; their leases are renewed.
  public var holding: [JobID]
  /// How many more jobs it is willing to hold.
  public var credit: Int
  /// Milliseconds of compute since its start.
  public var busyMilliseconds: Int64
  public var training: TrainingID?
  public var standing: TrainingStanding?

  public init(
    sequence: UInt64, holding: [JobID], credit: Int, busyMilliseconds: Int64,
    training: TrainingID?, standing: TrainingStanding?
  ) {
    self.sequence = sequence
    self.holding = holding
    self.credit = credit
    self.busyMilliseconds = busyMilliseconds
    self.training = training
    self.standing = standing
  }
}

/// What the finished student is, as a worker exported it.
public struct TrainingExport: Hashable, Sendable {
  public var training: TrainingID
  /// The manifest blob of the new student's folder: its digest is the model's digest.
  public var model: Digest
  /// SHA-256 of the trained vector in f32, little-endian: equal on every worker.
  public var weights: Digest
  public init(training: TrainingID, model: Digest, weights: Digest) {
    self.training = training
    self.model = model
    self.weights = weights
  }
}

/// From a worker to the coordinator, on the control socket.
public enum WorkerMessage: Hashable, Sendable {
  case hello(WorkerHello)
  case heartbeat(Heartbeat)
  /// Results, in any number; each stays in the spool until acknowledged.
  case reports([JobReport])
  case standing(TrainingID, TrainingStanding)
  case vote(StepVote)
  /// A segment of the state after `step` steps has been uploaded.
  case segmentSaved(TrainingID, step: Int, SavedSegment)
  case exported(TrainingExport)
  /// Leaves on its own accord: gives back what it holds.
  case goodbye
}

/// Why a worker may not take part.
public enum Refusal: Hashable, Sendable {
  case protocolVersion(ours: Int, yours: Int)
  case kernelSet(ours: String, yours: String)
  case revoked
  case nameInUse
}

/// What a worker hears when it is let in.
public struct Welcome: Hashable, Sendable {
  public var run: String
  public var heartbeatEvery: Duration
  /// Jobs that a worker may hold at most.
  public var creditMax: Int
  public init(run: String, heartbeatEvery: Duration, creditMax: Int) {
    self.run = run
    self.heartbeatEvery = heartbeatEvery
    self.creditMax = creditMax
  }
}

/// From the coordinator to a worker, on the control socket.
public enum CoordinatorMessage: Hashable, Sendable {
  case welcome(Welcome)
  case refused(Refusal)
  /// The sender is not known (the coordinator restarted, or had given it up): say hello again.
  case helloWanted
  case assign([Assignment])
  /// The results of these attempts are durable: the worker may forget them, and no others of the
  /// same jobs.
  case acknowledge([JobAttempt])
  /// These jobs are no longer wanted.
  case cancel([JobID])
  case prepareTraining(TrainingPlan)
  /// Begin this step. Whatever belongs to an older epoch is void; steps before it are committed.
  case openStep(StepPlan)
  /// The step is durable: apply it. Then, when `isSaved`, upload the segments that you own.
  case commitStep(TrainingID, epoch: UInt64, step: Int, StepTotals, isSaved: Bool)
  /// All steps are committed: save the student, upload it and say what it is.
  case export(TrainingID)
  case endTraining(TrainingID)
  /// Take no more work, finish, leave.
  case drain
}

/// The version of the wire contract; raised with every change that an older peer would misread.
public let protocolVersion = 4
