import Domain
import Foundation
import GRDB

/// Reads a run back, within one snapshot of the database.
struct RunReader {
  let db: Database

  /// All but the instructions.
  func restoreButPool() throws -> RestoredRun {
    let phase = try phase()
    return RestoredRun(
      phase: phase, jobs: try jobs(in: phase), ended: try ended(in: phase),
      jobsCreated: Int64(try count(db, "SELECT max(id) FROM jobs")),
      assessments: try assessments(), proposals: try proposals(), trainings: try trainings(),
      evaluations: try evaluations(), present: try present())
  }

  private func present() throws -> [String] {
    try rows(
      db,
      "SELECT DISTINCT name FROM workers WHERE joined IS NOT NULL AND left IS NULL ORDER BY name"
    ) { try $0.text(0) }
  }

  func phase() throws -> RunPhase {
    let phases = try rows(db, "SELECT phase, iteration FROM run") { fields in
      guard
        let phase = RunPhase(phase: try fields.integer(0), iteration: try fields.integer(1))
      else { throw fields.damaged(0) }
      return phase
    }
    return phases.first ?? .preparing
  }

  /// The cache pool in id order, and in whose iteration's tuning pool each is first.
  func instructions() throws -> ([Instruction], [Int]) {
    var iterations: [Int] = []
    let instructions = try rows(
      db,
      """
      SELECT id, image, text, task, record, turn, parent, written, tuning FROM instructions
      ORDER BY id
      """
    ) { fields -> Instruction in
      iterations.append(try fields.integer(8))
      return try instruction(fields)
    }
    return (instructions, iterations)
  }

  /// `id, image, text, task, record, turn, parent, written`.
  private func instruction(_ fields: Fields) throws -> Instruction {
    let lineage: Lineage
    if let record = try fields.optionalText(4) {
      lineage = .imported(record: record, turn: try fields.integer(5))
    } else {
      lineage = .augmented(
        from: InstructionID(try fields.long(6)), iteration: try fields.integer(7))
    }
    return Instruction(
      id: InstructionID(try fields.long(0)), image: try fields.optionalDigest(1),
      text: try fields.text(2), task: TaskType(try fields.text(3)), lineage: lineage)
  }

  /// In id order.
  func answered(iteration: Int) throws -> [(Instruction, answer: String)] {
    try rows(
      db,
      """
      SELECT i.id, i.image, i.text, i.task, i.record, i.turn, i.parent, i.written, r.text
      FROM jobs j JOIN instructions i ON i.id = j.instruction
      JOIN job_states s ON s.job = j.id JOIN results r ON r.id = s.result
      WHERE j.iteration IS NULL AND j.purpose = ? AND i.tuning = ? AND s.state = 2
      ORDER BY i.id
      """, [PurposeColumns.teacherAnswer, iteration]
    ) { (try instruction($0), answer: try $0.text(8)) }
  }

  /// The iteration of which jobs are used again.
  private func current(_ phase: RunPhase) -> Int {
    phase == .finished ? Int.max : phase.numbers.iteration
  }

  /// Jobs without a result: those that have no end, and what was set aside in the present iteration
  /// or of the teacher's answers, which every later iteration uses again.
  private func jobs(in phase: RunPhase) throws -> [RestoredJob] {
    let (failures, holders) = (try failures(), try holders())
    return try rows(
      db,
      """
      SELECT j.id, j.purpose, j.iteration, j.instruction, j.presentation, j.judge_attempt,
        j.subject, j.eval_set, j.item, j.address, j.request, s.state, s.attempts, w.name, w.boot
      FROM job_states s JOIN jobs j ON j.id = s.job LEFT JOIN workers w ON w.id = s.holder
      WHERE s.state <> 2 AND (s.state <> 3 OR j.iteration IS NULL OR j.iteration >= ?)
      ORDER BY s.job
      """, [current(phase)]
    ) { fields in
      let id = try fields.long(0)
      return RestoredJob(
        job: try job(fields),
        givenTo: try givenTo(try fields.integer(12), holders[id] ?? [:], fields),
        failedOn: failures[id] ?? [], state: try state(fields))
    }
  }

  /// Jobs with a result: of the present iteration, and the teacher's answers.
  private func ended(in phase: RunPhase) throws -> [EndedJob] {
    try rows(
      db,
      """
      SELECT j.id, j.purpose, j.iteration, j.instruction, j.presentation, j.judge_attempt,
        j.subject, j.eval_set, j.item, r.text
      FROM job_states s JOIN jobs j ON j.id = s.job JOIN results r ON r.id = s.result
      WHERE s.state = 2 AND (j.iteration IS NULL OR j.iteration >= ?)
      ORDER BY s.job
      """, [current(phase)]
    ) { fields in
      EndedJob(
        id: JobID(try fields.long(0)), purpose: try purpose(fields), text: try fields.text(9))
    }
  }

  private func purpose(_ fields: Fields) throws -> Purpose {
    let row = fields.row
    let columns = PurposeColumns(
      purpose: try fields.integer(1), iteration: row[2], instruction: row[3], presentation: row[4],
      judgeAttempt: row[5], subject: row[6], set: row[7], item: row[8])
    guard let purpose = columns.value else { throw fields.damaged(1) }
    return purpose
  }

  private func job(_ fields: Fields) throws -> Job {
    let row = fields.row
    let purpose = try purpose(fields)
    guard let bytes = row[10] as Data?,
      let request = GenerationRequest(canonicalBytes: Array(bytes))
    else { throw fields.damaged(10) }
    return Job(
      id: JobID(try fields.long(0)), purpose: purpose, address: try fields.digest(9),
      request: request)
  }

  private func state(_ fields: Fields) throws -> RestoredJob.State {
    guard let code = JobStateCode(rawValue: try fields.integer(11)) else {
      throw fields.damaged(11)
    }
    switch code {
    case .open: return .open
    case .leased:
      return .leased(to: WorkerID(name: try fields.text(13), boot: try fields.word(14)))
    case .done: throw fields.damaged(11)
    case .quarantined: return .quarantined
    }
  }

  /// By attempt, of jobs that have no end.
  private func holders() throws -> [Int64: [Int: String]] {
    var names: [Int64: [Int: String]] = [:]
    _ = try rows(
      db,
      """
      SELECT s.job, a.attempt, w.name
      FROM job_states s JOIN attempts a ON a.job = s.job JOIN workers w ON w.id = a.worker
      WHERE s.state IN (0, 1, 3)
      """
    ) { fields in
      names[try fields.long(0), default: [:]][try fields.integer(1)] = try fields.text(2)
    }
    return names
  }

  private func givenTo(
    _ attempts: Int, _ holders: [Int: String], _ fields: Fields
  ) throws -> [String] {
    if attempts == 0 { return [] }
    return try (1...attempts).map { attempt in
      guard let holder = holders[attempt] else { throw fields.damaged(12) }
      return holder
    }
  }

  /// Per job, on whom its attempts failed, in their order.
  private func failures() throws -> [Int64: [String]] {
    var names: [Int64: [String]] = [:]
    _ = try rows(
      db,
      """
      SELECT a.job, w.name FROM attempts a JOIN workers w ON w.id = a.reporter
      WHERE a.outcome = 2 ORDER BY a.job, a.attempt
      """
    ) { fields in names[try fields.long(0), default: []].append(try fields.text(1)) }
    return names
  }

  private func assessments() throws -> [RestoredRun.AssessedInstruction] {
    try rows(
      db,
      """
      SELECT instruction, iteration, last_text, first_teacher, first_student, second_teacher,
        second_student, difficulty, difficult FROM assessments ORDER BY iteration, instruction
      """
    ) { fields in
      let assessment: Assessment
      if let lastText = try fields.optionalText(2) {
        assessment = .unjudged(lastText: lastText)
      } else {
        assessment = .judged(
          teacherFirst: ScorePair(teacher: try fields.real(3), student: try fields.real(4)),
          studentFirst: ScorePair(teacher: try fields.real(5), student: try fields.real(6)),
          difficulty: try fields.real(7), difficult: try fields.integer(8) != 0)
      }
      return RestoredRun.AssessedInstruction(
        instruction: InstructionID(try fields.long(0)), iteration: try fields.integer(1),
        assessment: assessment)
    }
  }

  private func proposals() throws -> [RestoredRun.Proposal] {
    try rows(
      db,
      """
      SELECT source, iteration, outcome, instruction, rouge_l, form FROM proposals
      ORDER BY iteration, source
      """
    ) { fields in
      let columns = ProposalColumns(
        outcome: try fields.integer(2), instruction: fields.row[3], rougeL: fields.row[4],
        form: try fields.optionalText(5))
      guard let outcome = columns.value else { throw fields.damaged(2) }
      return RestoredRun.Proposal(
        from: InstructionID(try fields.long(0)), iteration: try fields.integer(1),
        outcome: outcome)
    }
  }

  func evaluations() throws -> [EvaluationScore] {
    var scores = try rows(
      db,
      """
      SELECT subject, eval_set, iteration, items, correct FROM evaluations
      ORDER BY iteration, eval_set, subject
      """
    ) { fields in
      EvaluationScore(
        subject: try fields.text(0), set: try fields.integer(1), iteration: try fields.integer(2),
        items: try fields.integer(3), correct: try fields.integer(4), categories: [])
    }
    for index in scores.indices {
      let score = scores[index]
      scores[index].categories = try rows(
        db,
        """
        SELECT name, items, correct FROM evaluation_categories
        WHERE iteration = ? AND eval_set = ? AND subject = ? ORDER BY place
        """, [score.iteration, score.set, score.subject]
      ) { fields in
        CategoryScore(
          name: try fields.text(0), items: try fields.integer(1), correct: try fields.integer(2))
      }
    }
    return scores
  }
}

extension RunReader {
  func trainings() throws -> [RestoredTraining] {
    try rows(
      db,
      """
      SELECT iteration, model, dataset, steps_total, batch, learning_rate, warmup_ratio, epochs,
        weight_decay, beta1, beta2, epsilon, clip_norm, trained, virtual_ranks, checkpoint_every,
        seed, planned_step, planned_state, epoch, export_model, export_weights,
        (SELECT coalesce(max(step) + 1, 0) FROM steps WHERE training = iteration),
        recompute, precision, adapter_rank, adapter_alpha, adapter_targets, replication, wire
      FROM trainings ORDER BY iteration
      """
    ) { fields in
      let training = TrainingID(iteration: try fields.integer(0))
      var plan = TrainingPlan(
        training: training, model: try fields.digest(1), dataset: try fields.digest(2),
        recipe: try recipe(fields), stepsTotal: try fields.integer(3), checkpoint: nil)
      if let state = try fields.optionalDigest(18) {
        plan.checkpoint = TrainingCheckpoint(step: try fields.integer(17), state: state)
      }
      if let newest = try newestCheckpoint(training), newest.step >= plan.checkpoint?.step ?? 0 {
        plan.checkpoint = newest
      }
      var export: TrainingExport?
      if let model = try fields.optionalDigest(20) {
        export = TrainingExport(training: training, model: model, weights: try fields.digest(21))
      }
      return RestoredTraining(
        plan: plan, epoch: try fields.word(19), stepsCommitted: try fields.integer(22),
        lastTotals: try lastTotals(training), export: export)
    }
  }

  private func recipe(_ fields: Fields) throws -> TrainingRecipe {
    guard let trained = TrainedPart(rawValue: try fields.integer(13)) else {
      throw fields.damaged(13)
    }
    guard let precision = Precision(rawValue: try fields.text(24)) else {
      throw fields.damaged(24)
    }
    var recipe = TrainingRecipe(
      batch: try fields.integer(4), learningRate: try fields.real(5),
      warmupRatio: try fields.real(6), epochs: try fields.integer(7),
      weightDecay: try fields.real(8), beta1: try fields.real(9), beta2: try fields.real(10),
      epsilon: try fields.real(11), clipNorm: try fields.real(12), trained: trained,
      virtualRanks: try fields.integer(14), checkpointEvery: try fields.integer(15),
      seed: try fields.word(16), precision: precision)
    recipe.recompute = try fields.integer(23) != 0
    recipe.replication = try fields.integer(28)
    guard let wire = WirePrecision(rawValue: try fields.text(29)) else { throw fields.damaged(29) }
    recipe.wire = wire
    if let targets = try fields.optionalText(27) {
      guard
        let adapters = LowRankAdapters(
          rank: try fields.integer(25), alpha: try fields.real(26), targetsText: targets)
      else { throw fields.damaged(27) }
      recipe.adapters = adapters
    }
    return recipe
  }

  /// Of the newest step; nil in runs of before they were kept, and before the first.
  private func lastTotals(_ training: TrainingID) throws -> StepTotals? {
    try rows(
      db,
      """
      SELECT loss, tokens, sum_of_squares FROM steps WHERE training = ? ORDER BY step DESC LIMIT 1
      """, [training.iteration]
    ) { fields -> StepTotals? in
      if fields.isNull(1) { return nil }
      // SQLite keeps NaN as null.
      return StepTotals(
        loss: fields.isNull(0) ? .nan : try fields.real(0), tokens: try fields.long(1),
        sumOfSquares: fields.isNull(2) ? .nan : try fields.real(2))
    }.first ?? nil
  }

  private func newestCheckpoint(_ training: TrainingID) throws -> TrainingCheckpoint? {
    try rows(
      db, "SELECT step, state FROM checkpoints WHERE training = ? ORDER BY step DESC LIMIT 1",
      [training.iteration]
    ) { fields in
      TrainingCheckpoint(step: try fields.integer(0), state: try fields.digest(1))
    }.first
  }
}
