/// The stages of a run, in order. Iterations count from 1; evaluation 0 follows stage 1.
public enum RunPhase: Hashable, Sendable {
  /// Models and data are read and put into the store.
  case preparing
  /// Stage 1: the projector learns on filtered captions.
  case pretraining
  /// The teacher answers the tuning pool.
  case answering(iteration: Int)
  /// The student learns the answers.
  case tuning(iteration: Int)
  /// The student (and once the teacher) answers the evaluation sets.
  case evaluating(iteration: Int)
  /// Both models' answers to the cache pool are judged in both orders.
  case assessing(iteration: Int)
  /// The augmentor writes new instructions.
  case augmenting(iteration: Int)
  case finished
}

/// A fact that must be durable before anything that follows from it is sent.
///
/// The machines emit changes; the store applies all changes of a turn in one transaction and can
/// give them back as a `RestoredRun`. Each is idempotent: applying it twice is applying it once.
public enum Change: Hashable, Sendable {
  case phase(RunPhase)
  /// New instructions; they enter the cache pool and the tuning pool of `iteration`.
  case instructionsAdded([Instruction], iteration: Int)
  case jobsCreated([Job])
  /// The job is leased; the attempt number is used up whatever happens.
  case leased(JobID, attempt: Int, to: WorkerID)
  /// The one accepted end of a job.
  case accepted(JobReport, from: WorkerID)
  /// A result for an address that was known already finished this job without any worker.
  case reused(JobID, address: Digest)
  /// A failure was reported; the job goes back to the open ones.
  case failed(JobReport, from: WorkerID)
  /// A late twin arrived; when it differs from the accepted result, both are kept.
  case duplicate(JobReport, from: WorkerID, equal: Bool)
  /// The job failed on too many workers and is set aside.
  case quarantined(JobID)
  case assessed(InstructionID, iteration: Int, Assessment)
  case proposed(from: InstructionID, iteration: Int, ProposalOutcome)
  case trainingPlanned(TrainingPlan)
  /// An epoch was used; the next one is higher, crash or not.
  case epochOpened(TrainingID, epoch: UInt64)
  /// Of a step that was computed again, the highest epoch counts.
  case stepCommitted(TrainingID, step: Int, epoch: UInt64, StepTotals)
  /// A segment of the state after `step` steps is stored; it counts once all of them are.
  case segmentSaved(TrainingID, step: Int, SavedSegment)
  case checkpointed(TrainingID, TrainingCheckpoint)
  case trainingFinished(TrainingExport)
  /// An evaluation set was scored: accuracy in all and by category, for a model by name.
  case evaluated(EvaluationScore)
  case workerJoined(WorkerID, kernelSet: String)
  case workerLeft(WorkerID, reason: String)
  /// Work done by a worker so far.
  case workerBusy(WorkerID, milliseconds: Int64)
}

/// The score of a model on one evaluation set.
public struct EvaluationScore: Hashable, Codable, Sendable {
  /// `teacher`, `student`, or `student-blind`: the student shown no picture.
  public var subject: String
  public var set: Int
  public var iteration: Int
  public var items: Int
  public var correct: Int
  /// Per category: how many, how many right. Sorted by name.
  public var categories: [CategoryScore]

  public init(
    subject: String, set: Int, iteration: Int, items: Int, correct: Int,
    categories: [CategoryScore]
  ) {
    self.subject = subject
    self.set = set
    self.iteration = iteration
    self.items = items
    self.correct = correct
    self.categories = categories
  }
}

public struct CategoryScore: Hashable, Codable, Sendable {
  public var name: String
  public var items: Int
  public var correct: Int
  public init(name: String, items: Int, correct: Int) {
    self.name = name
    self.items = items
    self.correct = correct
  }
}

/// A job without a result, as the store knows it after a restart.
public struct RestoredJob: Hashable, Sendable {
  public enum State: Hashable, Sendable {
    case open
    case leased(to: WorkerID)
    case quarantined
  }
  public var job: Job
  /// Names of the workers to which it was given, one for each attempt.
  public var givenTo: [String]
  /// Names of the workers on which it failed, one entry each.
  public var failedOn: [String]
  public var state: State
  public init(job: Job, givenTo: [String], failedOn: [String], state: State) {
    self.job = job
    self.givenTo = givenTo
    self.failedOn = failedOn
    self.state = state
  }
}

/// A job that had its result before a restart: no more of it than is used again.
public struct EndedJob: Hashable, Sendable {
  public var id: JobID
  public var purpose: Purpose
  public var text: String
  public init(id: JobID, purpose: Purpose, text: String) {
    self.id = id
    self.purpose = purpose
    self.text = text
  }
}

/// The result of a job that is in the store.
public struct AcceptedResult: Hashable, Sendable {
  public var address: Digest
  /// The attempt that it came from; 0 when no worker was given the job.
  public var attempt: Int
  /// Names of the workers to which the job was given, one for each attempt.
  public var givenTo: [String]
  public var result: GenerationResult
  public init(address: Digest, attempt: Int, givenTo: [String], result: GenerationResult) {
    self.address = address
    self.attempt = attempt
    self.givenTo = givenTo
    self.result = result
  }
}

/// A training as the store knows it after a restart.
public struct RestoredTraining: Hashable, Sendable {
  public var plan: TrainingPlan
  /// The highest epoch ever opened.
  public var epoch: UInt64
  public var stepsCommitted: Int
  /// Of the last of them; nil before the first.
  public var lastTotals: StepTotals?
  public var export: TrainingExport?
  public init(
    plan: TrainingPlan, epoch: UInt64, stepsCommitted: Int, lastTotals: StepTotals?,
    export: TrainingExport?
  ) {
    self.plan = plan
    self.epoch = epoch
    self.stepsCommitted = stepsCommitted
    self.lastTotals = lastTotals
    self.export = export
  }
}

/// All that the machines need to go on where a run stood.
public struct RestoredRun: Hashable, Sendable {
  public var phase: RunPhase
  /// In id order: the cache pool.
  public var instructions: [Instruction]
  /// The iteration in whose tuning pool each instruction is used first, parallel to `instructions`.
  public var tuningIteration: [Int]
  /// Without results, in id order; of finished iterations none.
  public var jobs: [RestoredJob]
  /// With results, in id order; of finished iterations only those that are used again.
  public var ended: [EndedJob]
  /// How many jobs were ever created: the highest job number in use, restored or not.
  public var jobsCreated: Int64
  public var assessments: [AssessedInstruction]
  public var proposals: [Proposal]
  public var trainings: [RestoredTraining]
  public var evaluations: [EvaluationScore]
  /// Names of the workers that were members when the coordinator ended, sorted: they may still be
  /// running.
  public var present: [String]

  public struct AssessedInstruction: Hashable, Sendable {
    public var instruction: InstructionID
    public var iteration: Int
    public var assessment: Assessment
    public init(instruction: InstructionID, iteration: Int, assessment: Assessment) {
      self.instruction = instruction
      self.iteration = iteration
      self.assessment = assessment
    }
  }

  public struct Proposal: Hashable, Sendable {
    public var from: InstructionID
    public var iteration: Int
    public var outcome: ProposalOutcome
    public init(from: InstructionID, iteration: Int, outcome: ProposalOutcome) {
      self.from = from
      self.iteration = iteration
      self.outcome = outcome
    }
  }

  public init(
    phase: RunPhase = .preparing, instructions: [Instruction] = [], tuningIteration: [Int] = [],
    jobs: [RestoredJob] = [], ended: [EndedJob] = [], jobsCreated: Int64 = 0,
    assessments: [AssessedInstruction] = [], proposals: [Proposal] = [],
    trainings: [RestoredTraining] = [], evaluations: [EvaluationScore] = [],
    present: [String] = []
  ) {
    self.phase = phase
    self.instructions = instructions
    self.tuningIteration = tuningIteration
    self.jobs = jobs
    self.ended = ended
    self.jobsCreated = jobsCreated
    self.assessments = assessments
    self.proposals = proposals
    self.trainings = trainings
    self.evaluations = evaluations
    self.present = present
  }
}

extension RunPhase {
  /// The phase and its iteration as numbers, 0 where it has none. Stores and journals keep them:
  /// they are added to, never changed.
  public var numbers: (phase: Int, iteration: Int) {
    switch self {
    case .preparing: (0, 0)
    case .pretraining: (1, 0)
    case .answering(let iteration): (2, iteration)
    case .tuning(let iteration): (3, iteration)
    case .evaluating(let iteration): (4, iteration)
    case .assessing(let iteration): (5, iteration)
    case .augmenting(let iteration): (6, iteration)
    case .finished: (7, 0)
    }
  }

  /// Nil for a number that is no phase's.
  public init?(phase: Int, iteration: Int) {
    switch phase {
    case 0: self = .preparing
    case 1: self = .pretraining
    case 2: self = .answering(iteration: iteration)
    case 3: self = .tuning(iteration: iteration)
    case 4: self = .evaluating(iteration: iteration)
    case 5: self = .assessing(iteration: iteration)
    case 6: self = .augmenting(iteration: iteration)
    case 7: self = .finished
    default: return nil
    }
  }
}
