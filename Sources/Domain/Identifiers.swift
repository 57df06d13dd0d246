/// Who a worker is. A restart is a new identity: same name, another boot.
public struct WorkerID: Hashable, Comparable, Sendable, CustomStringConvertible {
  /// The name that its access file gives it; the same over restarts.
  public var name: String
  /// Drawn anew by every process that starts under this name.
  public var boot: UInt64

  public init(name: String, boot: UInt64) {
    self.name = name
    self.boot = boot
  }

  public static func < (a: WorkerID, b: WorkerID) -> Bool {
    a.name == b.name ? a.boot < b.boot : a.name < b.name
  }

  public var description: String { "\(name)#\(String(boot, radix: 16))" }
}

/// One job of a run, numbered from 1 in the order in which the run created it.
public struct JobID: Hashable, Comparable, Sendable, CustomStringConvertible {
  public var number: Int64
  public init(_ number: Int64) { self.number = number }
  public static func < (a: JobID, b: JobID) -> Bool { a.number < b.number }
  public var description: String { "job \(number)" }
}

/// One try at a job. A worker may finish several tries of one job, each with a result of its own.
public struct JobAttempt: Hashable, Comparable, Sendable, CustomStringConvertible {
  public var job: JobID
  /// From 1; a lease that ended without a result and was given out again is a new attempt.
  public var attempt: Int

  public init(_ job: JobID, attempt: Int) {
    self.job = job
    self.attempt = attempt
  }

  public static func < (a: JobAttempt, b: JobAttempt) -> Bool {
    a.job == b.job ? a.attempt < b.attempt : a.job < b.job
  }

  public var description: String { "attempt \(attempt) of \(job)" }
}

/// One instruction of a run, numbered from 1 in order of import, then of admission.
public struct InstructionID: Hashable, Comparable, Sendable, CustomStringConvertible {
  public var number: Int64
  public init(_ number: Int64) { self.number = number }
  public static func < (a: InstructionID, b: InstructionID) -> Bool { a.number < b.number }
  public var description: String { "instruction \(number)" }
}

/// A training of the run: 0 is stage 1, the projector's; n ≥ 1 is the tuning of iteration n.
public struct TrainingID: Hashable, Comparable, Sendable, CustomStringConvertible {
  public var iteration: Int
  public init(iteration: Int) { self.iteration = iteration }
  public static let pretraining = TrainingID(iteration: 0)
  public static func < (a: TrainingID, b: TrainingID) -> Bool { a.iteration < b.iteration }
  public var description: String {
    iteration == 0 ? "pretraining" : "tuning \(iteration)"
  }
}
