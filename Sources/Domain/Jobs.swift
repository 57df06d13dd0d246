/// Whose answer a judge reads first.
public enum PresentationOrder: Int, Hashable, Sendable, CaseIterable {
  case teacherFirst, studentFirst
}

/// What a job is for. All are generations; they differ in model and prompt only.
public enum Purpose: Hashable, Sendable {
  case teacherAnswer(InstructionID)
  case studentAnswer(InstructionID, iteration: Int)
  /// `attempt` counts from 1 and rises when the judge's words could not be parsed.
  case judgement(InstructionID, iteration: Int, order: PresentationOrder, attempt: Int)
  /// The new instruction that is asked for from this one.
  case newInstruction(from: InstructionID, iteration: Int)
  /// Item `item` (from 0) of the evaluation set `set` (its place in the settings).
  case evaluation(EvaluationSubject, set: Int, item: Int, iteration: Int)

  /// Whether the teacher does it, in whichever role; else the student.
  public var isForTeacher: Bool {
    switch self {
    case .teacherAnswer, .judgement, .newInstruction, .evaluation(.teacher, _, _, _): true
    case .studentAnswer, .evaluation(.student, _, _, _), .evaluation(.studentBlind, _, _, _): false
    }
  }
}

/// Who is examined. The raw value is the name in reports.
public enum EvaluationSubject: String, Hashable, Sendable, CaseIterable {
  case teacher, student
  /// The student, shown no picture: what can be guessed from the words alone.
  case studentBlind = "student-blind"
}

/// A unit of work that is leased to one worker at a time.
public struct Job: Hashable, Sendable {
  public var id: JobID
  public var purpose: Purpose
  /// SHA-256 of `request.canonicalBytes`.
  public var address: Digest
  public var request: GenerationRequest

  public init(id: JobID, purpose: Purpose, address: Digest, request: GenerationRequest) {
    self.id = id
    self.purpose = purpose
    self.address = address
    self.request = request
  }
}

/// A job on its way to a worker, with everything the worker needs.
public struct Assignment: Hashable, Sendable {
  public var job: JobID
  /// From 1; a lease that expired and was given out again is a new attempt.
  public var attempt: Int
  public var address: Digest
  public var request: GenerationRequest

  public init(job: JobID, attempt: Int, address: Digest, request: GenerationRequest) {
    self.job = job
    self.attempt = attempt
    self.address = address
    self.request = request
  }
}

/// Why a worker could not do a job. The world's fault, not the program's.
public enum JobFailure: Hashable, Sendable {
  /// A model or picture could not be had: its digest and what happened.
  case blobUnavailable(Digest, String)
  case imageUnreadable(Digest, String)
  case modelUnusable(Digest, String)
  case promptTooLong(tokens: Int, limit: Int)
  case outOfMemory(String)
}

/// How a job ended on a worker.
public enum JobOutcome: Hashable, Sendable {
  case success(GenerationResult)
  case failure(JobFailure)
}

/// A job's end as the worker reports it and keeps it in its spool until it is acknowledged.
public struct JobReport: Hashable, Sendable {
  public var job: JobID
  public var attempt: Int
  public var address: Digest
  public var outcome: JobOutcome

  /// What it is acknowledged by.
  public var jobAttempt: JobAttempt { JobAttempt(job, attempt: attempt) }
  public var isSuccess: Bool { if case .success = outcome { true } else { false } }

  public init(job: JobID, attempt: Int, address: Digest, outcome: JobOutcome) {
    self.job = job
    self.attempt = attempt
    self.address = address
    self.outcome = outcome
  }
}
