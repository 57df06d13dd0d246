import Domain
import Foundation
import Store

/// `report.json`: what outsiders rely on. Written in snake case; shares are from 0 to 1.
struct RunReport: Encodable {
  struct Pretraining: Encodable {
    var pairs: Int
    var steps: Int
    var lossFirst: Double?
    var lossLast: Double?
  }
  struct Iteration: Encodable {
    var index: Int
    var tuning: Tuning
    var assessment: Assessment
    var augmentation: Augmentation
    var pools: Pools
    /// Of the student on the first examination.
    var evaluation: Score?
    /// Of everybody on every examination.
    var evaluations: [Score]
  }
  struct Tuning: Encodable {
    var instructions: Int
    var steps: Int
    var lossFirst: Double?
    var lossLast: Double?
    var weightsSha256: String?
  }
  struct Assessment: Encodable {
    var instructions: Int
    var judged: Int
    var unparsed: Int
    var orderConsistent: Double
    var difficult: Int
    var easy: Int
  }
  struct Augmentation: Encodable {
    var asked: Int
    var accepted: Int
    var rejectedRougeL: Int
    var rejectedEmpty: Int
    var rejectedForm: Int
    var failed: Int
  }
  struct Pools: Encodable {
    var tuning: Int
    var cache: Int
  }
  struct Score: Encodable {
    var subject: String
    var set: String
    var items: Int
    var accuracy: Double
    var byCategory: [String: Double]
  }
  struct Jobs: Encodable {
    var accepted: Int
    var reused: Int
    var attempts: Int
    var reassigned: Int
    var failures: Int
    var duplicatesCompared: Int
    var duplicatesDiffering: Int
    var quarantined: Int
    var lost: Int
  }
  struct Worker: Encodable {
    var name: String
    var joined: Date?
    var left: Date?
    var jobs: Int
    /// Share of its time in the run that it computed.
    var busy: Double
  }
  struct Student: Encodable {
    var path: String
    var weightsSha256: String?
  }

  var run: String
  var configSha256: String
  var kernelSet: String?
  var version: String
  var finished: Bool
  var pretraining: Pretraining?
  /// After stage 1, before the first iteration: the student, the student shown no picture, and the
  /// teacher.
  var firstEvaluations: [Score]
  var iterations: [Iteration]
  var jobs: Jobs
  var workers: [Worker]
  var student: Student?
}

extension RunReport {
  /// What a run has come to, counted from the store.
  ///
  /// - Parameters:
  ///   - sets: the names of the examinations, in the order of the settings.
  ///   - pairs: of stage 1's data set.
  init(
    run: String, configSha256: String, kernelSet: String?, facts: ReportFacts, sets: [String],
    pairs: Int, studentPath: String, now: Date
  ) {
    func scores(_ evaluations: [EvaluationScore]) -> [Score] {
      evaluations.map { Score($0, set: sets.indices.contains($0.set) ? sets[$0.set] : "") }
    }
    self.run = run
    self.configSha256 = configSha256
    self.kernelSet = kernelSet
    version = comdVersion
    finished = facts.phase == .finished
    pretraining = facts.pretraining.map {
      Pretraining(
        pairs: pairs, steps: $0.steps, lossFirst: $0.lossFirst, lossLast: $0.lossLast)
    }
    firstEvaluations = scores(facts.firstEvaluations)
    iterations = facts.iterations.map { iteration in
      let student = iteration.evaluations.first {
        $0.subject == EvaluationSubject.student.rawValue && $0.set == 0
      }
      return Iteration(
        index: iteration.index,
        tuning: Tuning(
          instructions: iteration.tuningPool, steps: iteration.tuning?.steps ?? 0,
          lossFirst: iteration.tuning?.lossFirst, lossLast: iteration.tuning?.lossLast,
          weightsSha256: iteration.tuning?.export?.weights.hex),
        assessment: Assessment(iteration.assessment),
        augmentation: Augmentation(iteration.augmentation),
        pools: Pools(tuning: iteration.tuningPool, cache: iteration.cachePool),
        evaluation: student.map { scores([$0])[0] },
        evaluations: scores(iteration.evaluations))
    }
    jobs = Jobs(facts.jobs)
    workers = facts.workers.map { Worker($0, now: now) }
    let trained = [facts.pretraining] + facts.iterations.map(\.tuning)
    student = trained.compactMap { $0?.export }.last.map {
      Student(path: studentPath, weightsSha256: $0.weights.hex)
    }
  }
}

extension RunReport.Score {
  fileprivate init(_ score: EvaluationScore, set: String) {
    subject = score.subject
    self.set = set
    items = score.items
    accuracy = share(score.correct, of: score.items)
    byCategory = Dictionary(
      score.categories.map { ($0.name, share($0.correct, of: $0.items)) },
      uniquingKeysWith: { first, _ in first })
  }
}

extension RunReport.Assessment {
  fileprivate init(_ facts: AssessmentFacts) {
    instructions = facts.instructions
    judged = facts.judged
    unparsed = facts.unparsed
    orderConsistent = share(facts.orderConsistent, of: facts.judged)
    difficult = facts.difficult
    easy = facts.easy
  }
}

extension RunReport.Augmentation {
  fileprivate init(_ facts: AugmentationFacts) {
    asked = facts.asked
    accepted = facts.accepted
    rejectedRougeL = facts.rejectedRougeL
    rejectedEmpty = facts.rejectedEmpty
    rejectedForm = facts.rejectedForm
    failed = facts.failed
  }
}

extension RunReport.Jobs {
  fileprivate init(_ facts: JobFacts) {
    accepted = facts.accepted
    reused = facts.reused
    attempts = facts.attempts
    reassigned = facts.reassigned
    failures = facts.failures
    duplicatesCompared = facts.duplicatesCompared
    duplicatesDiffering = facts.duplicatesDiffering
    quarantined = facts.quarantined
    lost = facts.lost
  }
}

extension RunReport.Worker {
  fileprivate init(_ facts: WorkerFacts, now: Date) {
    name = facts.worker.name
    joined = facts.joined
    left = facts.left
    jobs = facts.jobs
    let there = facts.joined.map { (facts.left ?? now).timeIntervalSince($0) } ?? 0
    busy = there > 0 ? min(1, facts.busy.inSeconds / there) : 0
  }
}

private func share(_ part: Int, of whole: Int) -> Double {
  whole == 0 ? 0 : Double(part) / Double(whole)
}
