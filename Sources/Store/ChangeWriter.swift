import Domain
import Foundation
import GRDB

/// Writes changes within one transaction. Every statement is such that a second time does nothing.
struct ChangeWriter {
  let db: Database
  /// Milliseconds since 1970.
  let now: Int64
  /// Row of each worker that was looked up already.
  var workers: [WorkerID: Int64]

  mutating func write(_ change: Change) throws {
    switch change {
    case .phase(let phase):
      let code = phase.numbers
      try run("INSERT OR REPLACE INTO run VALUES (1, ?, ?)", [code.phase, code.iteration])
    case .instructionsAdded(let instructions, let iteration):
      for instruction in instructions { try add(instruction, iteration: iteration) }
    case .jobsCreated(let jobs):
      for job in jobs { try create(job) }
    case .leased(let job, let attempt, let worker):
      try lease(job, attempt: attempt, to: worker)
    case .accepted(let report, let worker): try accept(report, from: worker)
    case .reused(let job, let address): try reuse(job, address)
    case .failed(let report, let worker): try fail(report, from: worker)
    case .duplicate(let report, let worker, let equal):
      try keepDuplicate(report, from: worker, equal: equal)
    case .quarantined(let job):
      try run(
        "UPDATE job_states SET state = 3, holder = NULL WHERE job = ? AND state IN (0, 1)",
        [job.number])
    case .assessed(let instruction, let iteration, let assessment):
      try assess(instruction, iteration, assessment)
    case .proposed(let source, let iteration, let outcome):
      let columns = ProposalColumns(outcome)
      try run(
        "INSERT OR REPLACE INTO proposals VALUES (?, ?, ?, ?, ?, ?)",
        [
          source.number, iteration, columns.outcome, columns.instruction, columns.rougeL,
          column(columns.form),
        ])
    case .trainingPlanned(let plan): try keep(plan)
    case .epochOpened(let training, let epoch):
      try run(
        "UPDATE trainings SET epoch = max(epoch, ?) WHERE iteration = ?",
        [column(epoch), training.iteration])
    case .stepCommitted(let training, let step, let epoch, let totals):
      // SQLite keeps NaN as null.
      try run(
        """
        INSERT INTO steps (training, step, loss, epoch, tokens, sum_of_squares)
        VALUES (?, ?, ?, ?, ?, ?)
        ON CONFLICT DO UPDATE SET epoch = max(epoch, excluded.epoch)
        """,
        [
          training.iteration, step, totals.loss, column(epoch), totals.tokens,
          totals.sumOfSquares,
        ])
    case .segmentSaved(let training, let step, let saved):
      try run(
        "INSERT OR REPLACE INTO saved_segments VALUES (?, ?, ?, ?, ?)",
        [training.iteration, step, saved.segment, saved.weights.data, saved.moments.data])
    case .checkpointed(let training, let checkpoint):
      try run(
        "INSERT OR IGNORE INTO checkpoints VALUES (?, ?, ?, ?)",
        [training.iteration, checkpoint.step, checkpoint.state.data, now])
    case .trainingFinished(let export):
      try run(
        "UPDATE trainings SET export_model = ?, export_weights = ? WHERE iteration = ?",
        [export.model.data, export.weights.data, export.training.iteration])
    case .evaluated(let score): try keep(score)
    case .workerJoined(let worker, let kernelSet): try join(worker, kernelSet: kernelSet)
    case .workerLeft(let worker, let reason):
      try run(
        "UPDATE workers SET left = ?, reason = ? WHERE id = ? AND left IS NULL",
        [now, column(reason), try row(of: worker)])
    case .workerBusy(let worker, let milliseconds):
      try run(
        "UPDATE workers SET busy_ms = max(busy_ms, ?) WHERE id = ?",
        [milliseconds, try row(of: worker)])
    }
  }

  /// Runs one statement; returns how many rows it changed.
  @discardableResult
  private func run(_ sql: String, _ arguments: StatementArguments) throws -> Int {
    try db.cachedStatement(sql: sql).execute(arguments: arguments)
    return db.changesCount
  }

  private func add(_ instruction: Instruction, iteration: Int) throws {
    var record: String?
    var turn: Int?
    var parent: Int64?
    var written: Int?
    switch instruction.lineage {
    case .imported(let name, let place): (record, turn) = (name, place)
    case .augmented(let source, let round): (parent, written) = (source.number, round)
    }
    try run(
      "INSERT OR IGNORE INTO instructions VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
      [
        instruction.id.number, instruction.image?.data, column(instruction.text),
        column(instruction.task.name), column(record), turn, parent, written, iteration,
      ])
  }

  private func create(_ job: Job) throws {
    let purpose = PurposeColumns(job.purpose)
    try run(
      "INSERT OR IGNORE INTO jobs VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
      [
        job.id.number, purpose.purpose, purpose.iteration, purpose.instruction,
        purpose.presentation, purpose.judgeAttempt, purpose.subject, purpose.set, purpose.item,
        job.address.data, Data(job.request.canonicalBytes),
      ])
    try run("INSERT OR IGNORE INTO job_states VALUES (?, 0, 0, NULL, NULL, NULL)", [job.id.number])
  }

  private mutating func lease(_ job: JobID, attempt: Int, to worker: WorkerID) throws {
    let holder = try row(of: worker)
    try run(
      "INSERT OR IGNORE INTO attempts (job, attempt, worker, leased) VALUES (?, ?, ?, ?)",
      [job.number, attempt, holder, now])
    try run(
      """
      UPDATE job_states SET state = 1, holder = ?2, attempts = ?3
      WHERE job = ?1 AND attempts < ?3 AND state IN (0, 1)
      """, [job.number, holder, attempt])
  }

  private mutating func accept(_ report: JobReport, from worker: WorkerID) throws {
    guard case .success(let result) = report.outcome else {
      preconditionFailure("an accepted report has a result: \(report.job)")
    }
    let reporter = try row(of: worker)
    let added = try run(
      "INSERT OR IGNORE INTO results VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
      [
        report.address.data, report.job.number, report.attempt, reporter, now, result.stop.code,
        result.promptTokens, column(result.text), result.tokens.data,
      ])
    let id = added > 0 ? db.lastInsertedRowID : try self.result(report.address)
    try run(
      """
      UPDATE job_states SET state = 2, holder = NULL, accepted_attempt = ?, result = ?
      WHERE job = ? AND state <> 2
      """, [report.attempt, id, report.job.number])
    try run(
      """
      INSERT INTO attempts (job, attempt, outcome, reporter, ended) VALUES (?, ?, 1, ?, ?)
      ON CONFLICT (job, attempt) DO UPDATE
      SET outcome = excluded.outcome, reporter = excluded.reporter, ended = excluded.ended
      WHERE outcome IS NULL
      """, [report.job.number, report.attempt, reporter, now])
  }

  private func result(_ address: Digest) throws -> Int64? {
    try Int64.fetchOne(
      db.cachedStatement(sql: "SELECT id FROM results WHERE address = ?"),
      arguments: [address.data])
  }

  private func reuse(_ job: JobID, _ address: Digest) throws {
    guard let id = try result(address) else {
      throw StoreError.missingResult(job, address: address)
    }
    try run(
      "UPDATE job_states SET state = 2, holder = NULL, result = ? WHERE job = ? AND state <> 2",
      [id, job.number])
  }

  private mutating func fail(_ report: JobReport, from worker: WorkerID) throws {
    guard case .failure(let failure) = report.outcome else {
      preconditionFailure("a failed report has a failure: \(report.job)")
    }
    let columns = FailureColumns(failure)
    let known = try run(
      """
      INSERT INTO attempts (job, attempt, outcome, reporter, ended, failure, failure_digest,
        failure_tokens, failure_limit, reason) VALUES (?, ?, 2, ?, ?, ?, ?, ?, ?, ?)
      ON CONFLICT (job, attempt) DO UPDATE
      SET outcome = excluded.outcome, reporter = excluded.reporter, ended = excluded.ended,
        failure = excluded.failure, failure_digest = excluded.failure_digest,
        failure_tokens = excluded.failure_tokens, failure_limit = excluded.failure_limit,
        reason = excluded.reason
      WHERE outcome IS NULL
      """,
      [
        report.job.number, report.attempt, try row(of: worker), now, columns.kind,
        columns.digest, columns.tokens, columns.limit, column(columns.reason),
      ])
    // An older attempt's failure does not touch the lease of the present one.
    if known > 0 {
      try run(
        """
        UPDATE job_states SET state = 0, holder = NULL WHERE job = ? AND state = 1 AND attempts = ?
        """, [report.job.number, report.attempt])
    }
  }

  /// A twin that equals the accepted result is only counted; one that differs is kept.
  private mutating func keepDuplicate(
    _ report: JobReport, from worker: WorkerID, equal: Bool
  ) throws {
    let reporter = try row(of: worker)
    var arguments: StatementArguments = [
      report.job.number, report.attempt, reporter, equal, now,
    ]
    if !equal, case .success(let result) = report.outcome {
      arguments += [
        result.stop.code, result.promptTokens, column(result.text), result.tokens.data,
      ]
    } else {
      arguments += [nil, nil, nil, nil]
    }
    try run("INSERT OR IGNORE INTO duplicates VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", arguments)
  }

  private func assess(
    _ instruction: InstructionID, _ iteration: Int, _ assessment: Assessment
  ) throws {
    var arguments: StatementArguments = [instruction.number, iteration]
    switch assessment {
    case .judged(let first, let second, let difficulty, let difficult):
      arguments += [
        first.teacher, first.student, second.teacher, second.student, difficulty, difficult, nil,
      ]
    case .unjudged(let lastText):
      arguments += [nil, nil, nil, nil, nil, nil, column(lastText)]
    }
    try run("INSERT OR REPLACE INTO assessments VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", arguments)
  }

  private func keep(_ plan: TrainingPlan) throws {
    let recipe = plan.recipe
    try run(
      """
      INSERT INTO trainings (iteration, model, dataset, steps_total, batch, learning_rate,
        warmup_ratio, epochs, weight_decay, beta1, beta2, epsilon, clip_norm, trained,
        virtual_ranks, checkpoint_every, seed, planned_step, planned_state,
        recompute, precision, adapter_rank, adapter_alpha, adapter_targets, replication,
        wire)
      VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
      ON CONFLICT (iteration) DO UPDATE SET model = excluded.model, dataset = excluded.dataset,
        steps_total = excluded.steps_total, batch = excluded.batch,
        learning_rate = excluded.learning_rate, warmup_ratio = excluded.warmup_ratio,
        epochs = excluded.epochs, weight_decay = excluded.weight_decay, beta1 = excluded.beta1,
        beta2 = excluded.beta2, epsilon = excluded.epsilon, clip_norm = excluded.clip_norm,
        trained = excluded.trained, virtual_ranks = excluded.virtual_ranks,
        checkpoint_every = excluded.checkpoint_every, seed = excluded.seed,
        planned_step = excluded.planned_step, planned_state = excluded.planned_state,
        recompute = excluded.recompute, precision = excluded.precision,
        adapter_rank = excluded.adapter_rank, adapter_alpha = excluded.adapter_alpha,
        adapter_targets = excluded.adapter_targets, replication = excluded.replication,
        wire = excluded.wire
      """,
      [
        plan.training.iteration, plan.model.data, plan.dataset.data, plan.stepsTotal,
        recipe.batch, recipe.learningRate, recipe.warmupRatio, recipe.epochs, recipe.weightDecay,
        recipe.beta1, recipe.beta2, recipe.epsilon, recipe.clipNorm, recipe.trained.rawValue,
        recipe.virtualRanks, recipe.checkpointEvery, column(recipe.seed), plan.checkpoint?.step,
        plan.checkpoint?.state.data, recipe.recompute, recipe.precision.rawValue,
        recipe.adapters?.rank, recipe.adapters?.alpha, recipe.adapters?.targetsText,
        recipe.replication, recipe.wire.rawValue,
      ])
  }

  private func keep(_ score: EvaluationScore) throws {
    let key: StatementArguments = [score.iteration, score.set, score.subject]
    try run(
      "INSERT OR REPLACE INTO evaluations VALUES (?, ?, ?, ?, ?)",
      key + [score.items, score.correct])
    try run(
      "DELETE FROM evaluation_categories WHERE iteration = ? AND eval_set = ? AND subject = ?", key)
    for (place, category) in score.categories.enumerated() {
      try run(
        "INSERT INTO evaluation_categories VALUES (?, ?, ?, ?, ?, ?, ?)",
        key + [place, column(category.name), category.items, category.correct])
    }
  }

  /// A worker has one process; that which was there before has ended.
  private mutating func join(_ worker: WorkerID, kernelSet: String) throws {
    try run(
      """
      UPDATE workers SET left = ?, reason = 'another process has its name'
      WHERE name = ? AND boot <> ? AND joined IS NOT NULL AND left IS NULL
      """, [now, column(worker.name), column(worker.boot)])
    try run(
      """
      UPDATE workers SET kernel_set = ?, joined = coalesce(joined, ?), left = NULL, reason = NULL
      WHERE id = ?
      """, [column(kernelSet), now, try row(of: worker)])
  }

  /// The row of a worker; made where there is none.
  private mutating func row(of worker: WorkerID) throws -> Int64 {
    if let row = workers[worker] { return row }
    try run(
      "INSERT OR IGNORE INTO workers (name, boot) VALUES (?, ?)",
      [column(worker.name), column(worker.boot)])
    let row = try Int64.fetchOne(
      db.cachedStatement(sql: "SELECT id FROM workers WHERE name = ? AND boot = ?"),
      arguments: [column(worker.name), column(worker.boot)])
    guard let row else { preconditionFailure("a row that was just written") }
    workers[worker] = row
    return row
  }
}
