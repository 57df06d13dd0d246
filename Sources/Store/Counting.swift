import Domain
import Foundation
import GRDB

extension RunReader {
  func reportFacts() throws -> ReportFacts {
    let trainings = try trainings()
    let evaluations = try evaluations()
    let phase = try phase()
    let begun = max(
      phase.numbers.iteration, trainings.map(\.plan.training.iteration).max() ?? 0,
      evaluations.map(\.iteration).max() ?? 0)
    let iterations = try (0..<begun).map { index in
      try iteration(index + 1, trainings: trainings, evaluations: evaluations)
    }
    return ReportFacts(
      phase: phase, pretraining: try facts(of: .pretraining, in: trainings),
      iterations: iterations, firstEvaluations: evaluations.filter { $0.iteration == 0 },
      jobs: try jobFacts(finished: phase == .finished), workers: try workerFacts())
  }

  private func facts(
    of training: TrainingID, in trainings: [RestoredTraining]
  ) throws -> TrainingFacts? {
    guard let restored = trainings.first(where: { $0.plan.training == training }) else {
      return nil
    }
    func loss(_ order: String) throws -> Double? {
      try Double.fetchOne(
        db, sql: "SELECT loss FROM steps WHERE training = ? ORDER BY step \(order) LIMIT 1",
        arguments: [training.iteration])
    }
    return TrainingFacts(
      steps: restored.stepsCommitted, lossFirst: try loss("ASC"), lossLast: try loss("DESC"),
      export: restored.export)
  }

  private func iteration(
    _ index: Int, trainings: [RestoredTraining], evaluations: [EvaluationScore]
  ) throws -> IterationFacts {
    func counted(_ sql: String) throws -> Int { try count(db, sql, [index]) }
    let judged = "FROM assessments WHERE iteration = ? AND last_text IS NULL"
    let assessment = AssessmentFacts(
      instructions: try counted("SELECT count(*) FROM assessments WHERE iteration = ?"),
      judged: try counted("SELECT count(*) \(judged)"),
      unparsed: try counted(
        "SELECT count(*) FROM assessments WHERE iteration = ? AND last_text IS NOT NULL"),
      orderConsistent: try counted(
        """
        SELECT count(*) \(judged)
        AND sign(first_teacher - first_student) = sign(second_teacher - second_student)
        """),
      difficult: try counted("SELECT count(*) \(judged) AND difficult"),
      easy: try counted("SELECT count(*) \(judged) AND NOT difficult"))
    func outcomes(_ outcome: Int) throws -> Int {
      try count(
        db, "SELECT count(*) FROM proposals WHERE iteration = ? AND outcome = ?", [index, outcome])
    }
    let augmentation = AugmentationFacts(
      asked: try count(
        db, "SELECT count(*) FROM jobs WHERE iteration = ? AND purpose = ?",
        [index, PurposeColumns.newInstruction]),
      accepted: try outcomes(ProposalColumns.admitted),
      rejectedRougeL: try outcomes(ProposalColumns.tooSimilar),
      rejectedEmpty: try outcomes(ProposalColumns.empty),
      rejectedForm: try outcomes(ProposalColumns.form),
      failed: try outcomes(ProposalColumns.failed))
    return IterationFacts(
      index: index, tuning: try facts(of: TrainingID(iteration: index), in: trainings),
      assessment: assessment, augmentation: augmentation,
      tuningPool: try counted("SELECT count(*) FROM instructions WHERE tuning = ?"),
      cachePool: try counted("SELECT count(*) FROM instructions WHERE tuning <= ? + 1"),
      evaluations: evaluations.filter { $0.iteration == index })
  }

  private func jobFacts(finished: Bool) throws -> JobFacts {
    func states(_ condition: String) throws -> Int {
      try count(db, "SELECT count(*) FROM job_states WHERE \(condition)")
    }
    let ended = try states("state IN (2, 3)")
    let created = try count(db, "SELECT count(*) FROM jobs")
    let withoutResult = try count(
      db,
      """
      SELECT count(*) FROM job_states s WHERE s.state = 2
      AND NOT EXISTS (SELECT 1 FROM results r WHERE r.id = s.result)
      """)
    return JobFacts(
      created: created, accepted: try states("state = 2 AND accepted_attempt IS NOT NULL"),
      reused: try states("state = 2 AND accepted_attempt IS NULL"),
      attempts: try count(db, "SELECT count(*) FROM attempts"),
      reassigned: try count(db, "SELECT count(*) FROM attempts WHERE attempt > 1"),
      failures: try count(db, "SELECT count(*) FROM attempts WHERE outcome = 2"),
      duplicatesCompared: try count(db, "SELECT count(*) FROM duplicates"),
      duplicatesDiffering: try count(db, "SELECT count(*) FROM duplicates WHERE NOT equal"),
      quarantined: try states("state = 3"),
      lost: withoutResult + (finished ? created - ended : 0))
  }

  private func workerFacts() throws -> [WorkerFacts] {
    try rows(
      db,
      """
      SELECT w.name, w.boot, w.kernel_set, w.joined, w.left, w.reason, w.busy_ms,
        coalesce(a.jobs, 0)
      FROM workers w LEFT JOIN (
        SELECT reporter, count(*) AS jobs FROM attempts WHERE outcome = 1 GROUP BY reporter
      ) a ON a.reporter = w.id
      ORDER BY w.joined, w.id
      """
    ) { fields in
      WorkerFacts(
        worker: WorkerID(name: try fields.text(0), boot: try fields.word(1)),
        kernelSet: try fields.optionalText(2),
        joined: (fields.row[3] as Int64?).map { Date(milliseconds: $0) },
        left: (fields.row[4] as Int64?).map { Date(milliseconds: $0) },
        reason: try fields.optionalText(5), jobs: try fields.integer(7),
        busy: .milliseconds(try fields.long(6)))
    }
  }
}
