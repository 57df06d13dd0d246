public import Domain
public import Foundation

/// What a run's report counts, all of it read from the tables.
public struct ReportFacts: Hashable, Sendable {
  public var phase: RunPhase
  /// Stage 1; nil before it is planned.
  public var pretraining: TrainingFacts?
  /// By index, from 1.
  public var iterations: [IterationFacts]
  /// Before the first iteration: of the student after stage 1, and of the teacher.
  public var firstEvaluations: [EvaluationScore]
  public var jobs: JobFacts
  /// By the time at which they joined: each start of a worker by itself.
  public var workers: [WorkerFacts]
}

public struct TrainingFacts: Hashable, Sendable {
  /// Steps committed.
  public var steps: Int
  public var lossFirst: Double?
  public var lossLast: Double?
  /// Of the finished student.
  public var export: TrainingExport?
}

public struct IterationFacts: Hashable, Sendable {
  public var index: Int
  public var tuning: TrainingFacts?
  public var assessment: AssessmentFacts
  public var augmentation: AugmentationFacts
  /// The tuning pool of this iteration.
  public var tuningPool: Int
  /// The cache pool when this iteration is over: with the instructions that it admitted.
  public var cachePool: Int
  public var evaluations: [EvaluationScore]
}

public struct AssessmentFacts: Hashable, Sendable {
  /// `judged` and `unparsed` together.
  public var instructions: Int
  public var judged: Int
  public var unparsed: Int
  /// Of the judged: both orders prefer the same answer, or both none.
  public var orderConsistent: Int
  public var difficult: Int
  public var easy: Int
}

public struct AugmentationFacts: Hashable, Sendable {
  public var asked: Int
  public var accepted: Int
  public var rejectedRougeL: Int
  public var rejectedEmpty: Int
  public var rejectedForm: Int
  public var failed: Int
}

public struct JobFacts: Hashable, Sendable {
  public var created: Int
  /// Finished by a worker's result.
  public var accepted: Int
  /// Finished by a result that was known already.
  public var reused: Int
  public var attempts: Int
  /// Attempts after the first one of their job.
  public var reassigned: Int
  public var failures: Int
  public var duplicatesCompared: Int
  public var duplicatesDiffering: Int
  public var quarantined: Int
  /// Finished jobs without a stored result, and in a finished run jobs that have no end: always 0
  /// unless something is wrong.
  public var lost: Int
}

public struct WorkerFacts: Hashable, Sendable {
  public var worker: WorkerID
  public var kernelSet: String?
  public var joined: Date?
  public var left: Date?
  public var reason: String?
  /// Results accepted from it.
  public var jobs: Int
  public var busy: Duration
}

/// Something worth remembering that is no state: for the journal that people read.
public struct JournalEvent: Hashable, Sendable {
  public var at: Date
  public var kind: String
  public var subject: String
  public var words: String
  public init(at: Date = Date(), kind: String, subject: String, words: String) {
    self.at = at
    self.kind = kind
    self.subject = subject
    self.words = words
  }
}

/// An event with its place in the journal, counted from 1.
public struct JournalEntry: Hashable, Sendable {
  public var number: Int64
  public var event: JournalEvent
}
