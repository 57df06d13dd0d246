import Domain

/// What the store promises, in memory and as plainly as can be: the other side of the comparison.
struct ModelRun {
  enum State {
    case open
    case leased(to: WorkerID)
    case done(GenerationResult)
    case quarantined
  }

  struct ModelJob {
    var job: Job
    var givenTo: [String] = []
    var attempts: Int { givenTo.count }
    var state = State.open
    /// By attempt: on whom it failed.
    var failures: [Int: String] = [:]
    var ended: Set<Int> = []
  }

  var phase = RunPhase.preparing
  var instructions: [InstructionID: (Instruction, Int)] = [:]
  var jobs: [JobID: ModelJob] = [:]
  var results: [Digest: GenerationResult] = [:]
  var assessments: [[Int64]: RestoredRun.AssessedInstruction] = [:]
  var proposals: [[Int64]: RestoredRun.Proposal] = [:]
  var trainings: [TrainingID: RestoredTraining] = [:]
  var evaluations: [String: EvaluationScore] = [:]
  var present: [String: WorkerID] = [:]

  mutating func apply(_ change: Change) {
    switch change {
    case .phase(let phase): self.phase = phase
    case .instructionsAdded(let added, let iteration):
      for instruction in added where instructions[instruction.id] == nil {
        instructions[instruction.id] = (instruction, iteration)
      }
    case .jobsCreated(let created):
      for job in created where jobs[job.id] == nil { jobs[job.id] = ModelJob(job: job) }
    case .leased(let id, let attempt, let worker):
      update(id) { job in
        guard attempt > job.attempts else { return }
        switch job.state {
        case .open, .leased:
          job.givenTo.append(worker.name)
          job.state = .leased(to: worker)
        case .done, .quarantined: return
        }
      }
    case .accepted(let report, _):
      guard case .success(let result) = report.outcome else { return }
      if results[report.address] == nil { results[report.address] = result }
      finish(report.job, report.address)
      update(report.job) { $0.ended.insert(report.attempt) }
    case .reused(let id, let address): finish(id, address)
    case .failed(let report, let worker):
      update(report.job) { job in
        guard job.ended.insert(report.attempt).inserted else { return }
        job.failures[report.attempt] = worker.name
        if case .leased = job.state, job.attempts == report.attempt { job.state = .open }
      }
    case .duplicate: return
    case .quarantined(let id):
      update(id) { job in
        if case .done = job.state { return }
        job.state = .quarantined
      }
    case .assessed(let instruction, let iteration, let assessment):
      assessments[[Int64(iteration), instruction.number]] = RestoredRun.AssessedInstruction(
        instruction: instruction, iteration: iteration, assessment: assessment)
    case .proposed(let source, let iteration, let outcome):
      proposals[[Int64(iteration), source.number]] = RestoredRun.Proposal(
        from: source, iteration: iteration, outcome: outcome)
    case .trainingPlanned(let plan):
      if trainings[plan.training] == nil {
        trainings[plan.training] = RestoredTraining(
          plan: plan, epoch: 0, stepsCommitted: 0, lastTotals: nil, export: nil)
      }
    case .epochOpened(let id, let epoch):
      update(id) { $0.epoch = max($0.epoch, epoch) }
    case .stepCommitted(let id, let step, _, let totals):
      update(id) { training in
        // A step that is computed again has the same totals.
        guard step + 1 > training.stepsCommitted else { return }
        training.lastTotals = totals
        training.stepsCommitted = step + 1
      }
    case .segmentSaved: break
    case .checkpointed(let id, let checkpoint):
      update(id) { training in
        guard checkpoint.step >= training.plan.checkpoint?.step ?? 0 else { return }
        training.plan.checkpoint = checkpoint
      }
    case .trainingFinished(let export): update(export.training) { $0.export = export }
    case .evaluated(let score):
      evaluations["\(score.iteration) \(score.set) \(score.subject)"] = score
    case .workerJoined(let worker, _): present[worker.name] = worker
    case .workerLeft(let worker, _):
      if present[worker.name] == worker { present[worker.name] = nil }
    case .workerBusy: return
    }
  }

  private mutating func update(_ id: JobID, _ body: (inout ModelJob) -> Void) {
    guard var job = jobs[id] else { return }
    body(&job)
    jobs[id] = job
  }

  private mutating func update(_ id: TrainingID, _ body: (inout RestoredTraining) -> Void) {
    guard var training = trainings[id] else { return }
    body(&training)
    trainings[id] = training
  }

  private mutating func finish(_ id: JobID, _ address: Digest) {
    guard let result = results[address] else { return }
    update(id) { job in
      if case .done = job.state { return }
      job.state = .done(result)
    }
  }

  var restored: RestoredRun {
    let iteration: Int =
      switch phase {
      case .preparing, .pretraining: 0
      case .answering(let iteration), .tuning(let iteration), .evaluating(let iteration),
        .assessing(let iteration), .augmenting(let iteration):
        iteration
      case .finished: Int.max
      }
    let pool = instructions.values.sorted { $0.0.id < $1.0.id }
    let used = jobs.values.filter { isUsed($0, in: iteration) }.sorted { $0.job.id < $1.job.id }
    return RestoredRun(
      phase: phase, instructions: pool.map(\.0), tuningIteration: pool.map(\.1),
      jobs: used.compactMap { restored($0) },
      ended: used.compactMap { job in
        guard case .done(let result) = job.state else { return nil }
        return EndedJob(id: job.job.id, purpose: job.job.purpose, text: result.text)
      },
      jobsCreated: jobs.keys.max()?.number ?? 0,
      assessments: assessments.sorted { $0.key.lexicographicallyPrecedes($1.key) }.map(\.value),
      proposals: proposals.sorted { $0.key.lexicographicallyPrecedes($1.key) }.map(\.value),
      trainings: trainings.sorted { $0.key < $1.key }.map(\.value),
      evaluations: evaluations.values.sorted {
        ($0.iteration, $0.set, $0.subject) < ($1.iteration, $1.set, $1.subject)
      }, present: present.keys.sorted())
  }

  private func restored(_ job: ModelJob) -> RestoredJob? {
    let state: RestoredJob.State
    switch job.state {
    case .open: state = .open
    case .leased(let worker): state = .leased(to: worker)
    case .quarantined: state = .quarantined
    case .done: return nil
    }
    return RestoredJob(
      job: job.job, givenTo: job.givenTo,
      failedOn: job.failures.sorted { $0.key < $1.key }.map(\.value), state: state)
  }

  private func isUsed(_ job: ModelJob, in iteration: Int) -> Bool {
    switch job.state {
    case .open, .leased: return true
    case .done, .quarantined: break
    }
    switch job.job.purpose {
    case .teacherAnswer: return true
    case .studentAnswer(_, let own), .judgement(_, let own, _, _), .newInstruction(_, let own),
      .evaluation(_, _, _, let own):
      return own >= iteration
    }
  }
}
