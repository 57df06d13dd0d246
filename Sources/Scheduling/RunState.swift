import Distillation
import Domain

/// An answer that came, or never will.
enum Answer: Hashable, Sendable {
  case text(String)
  /// Its job was set aside.
  case unavailable
}

/// One evaluation of one model on one set.
struct Examination: Hashable, Comparable, Sendable {
  var subject: EvaluationSubject
  var set: Int
  static func < (a: Examination, b: Examination) -> Bool {
    (a.set, a.subject.rawValue) < (b.set, b.subject.rawValue)
  }
}

/// Where the method stands: phase, pools, and what the present phase has gathered.
///
/// Knows no worker and no lease. Jobs end in any order; nothing that is kept here for later phases
/// depends on that order.
struct RunState: Sendable {
  var phase: RunPhase
  var pools: Pools
  /// Of every instruction that was ever in a tuning pool, as soon as it is there.
  var teacherAnswers: [InstructionID: Answer] = [:]
  /// Of the present assessment.
  var studentAnswers: [InstructionID: Answer] = [:]
  var judgements: [InstructionID: JudgementProgress] = [:]
  var assessments: [InstructionID: Assessment] = [:]
  /// Replies of the augmentor in the present phase.
  var proposals: [InstructionID: Proposal] = [:]
  /// Jobs of the present examination that have not ended, and those asked to be scored.
  var answersMissing: [Examination: Int] = [:]
  var scoring: Set<Examination> = []
  var evaluations: [EvaluationScore]
  /// What each training made, by its iteration; a training without samples made nothing.
  var exports: [Int: TrainingExport] = [:]
  /// Trainings that were begun, as the store had them at the start.
  var begun: [TrainingID: RestoredTraining] = [:]
  /// After a restart, until all of it is taken in: purposes for which the phase has a job.
  var asked: Set<Purpose> = []
  var awaitingDataset: TrainingID?
  /// The present phase has nothing to do, or its training is done.
  var trainingDone = false
  let method: Method
  let seeds: Seeds

  init(settings: RunSettings, restored: RestoredRun) {
    phase = restored.phase
    method = settings.method
    seeds = Seeds(run: settings.method.seed)
    pools = Pools(
      restoring: restored.instructions, tuningIteration: restored.tuningIteration,
      iteration: iterationOfPool(in: restored.phase))
    evaluations = restored.evaluations
    for training in restored.trainings {
      begun[training.plan.training] = training
      if let export = training.export { exports[export.training.iteration] = export }
    }
  }

  mutating func importPool(_ pool: [Instruction]) {
    pools = Pools(
      restoring: pool, tuningIteration: Array(repeating: 1, count: pool.count), iteration: 1)
  }

  /// The student after stage 1 (0) or after the tuning of `iteration`.
  func student(after iteration: Int, base: Digest) -> Digest {
    for earlier in stride(from: iteration, through: 0, by: -1) {
      if let export = exports[earlier] { return export.model }
    }
    return base
  }

  /// Whether nothing is left to do in this training.
  func isOver(_ id: TrainingID) -> Bool {
    switch phase {
    case .preparing: false
    case .pretraining: id == .pretraining && trainingDone
    case .tuning(let present):
      id.iteration < present || (id.iteration == present && trainingDone)
    case .answering(let present): id.iteration < present
    case .evaluating(let present), .assessing(let present), .augmenting(let present):
      id.iteration <= present
    case .finished: true
    }
  }

  /// What comes after the present phase.
  func next() -> RunPhase {
    switch phase {
    case .preparing: .pretraining
    case .pretraining: .evaluating(iteration: 0)
    case .evaluating(0): method.iterations > 0 ? .answering(iteration: 1) : .finished
    case .answering(let iteration): .tuning(iteration: iteration)
    case .tuning(let iteration): .evaluating(iteration: iteration)
    case .evaluating(let iteration): .assessing(iteration: iteration)
    case .assessing(let iteration):
      // Instructions written after the last tuning would teach nobody.
      iteration < method.iterations ? .augmenting(iteration: iteration) : .finished
    case .augmenting(let iteration):
      pools.tuning.isEmpty ? .finished : .answering(iteration: iteration + 1)
    case .finished: .finished
    }
  }

  /// Why a finished run is over: its pools tell.
  func completion(tuningIterations: Int) -> Completion {
    tuningIterations < method.iterations
      ? .nothingNew(afterIteration: tuningIterations) : .allIterations
  }

  /// Forgets what only the phase that is over needed.
  mutating func enter(_ phase: RunPhase) {
    self.phase = phase
    asked = []
    answersMissing = [:]
    scoring = []
    trainingDone = false
    awaitingDataset = nil
    switch phase {
    case .augmenting: break
    case .preparing, .pretraining, .answering, .tuning, .evaluating, .assessing, .finished:
      assessments = [:]
    }
    studentAnswers = [:]
    judgements = [:]
    proposals = [:]
  }
}

/// The iteration whose tuning pool is in force during a phase.
private func iterationOfPool(in phase: RunPhase) -> Int {
  switch phase {
  case .preparing, .pretraining, .finished: 1
  case .answering(let iteration), .tuning(let iteration), .assessing(let iteration),
    .augmenting(let iteration):
    iteration
  case .evaluating(let iteration): max(1, iteration)
  }
}
