import Domain

/// The coordinator's disk: changes that were synced survive a crash, later ones do not.
///
/// Applies changes as the real store has to, and notices those that no right machine makes.
struct StoreModel {
  enum State: Hashable {
    case open
    case leased(to: WorkerID)
    case done(GenerationResult)
    case quarantined
  }

  struct StoredJob {
    var job: Job
    var givenTo: [String] = []
    var attempts: Int { givenTo.count }
    var failedAttempts: Set<Int> = []
    var failedOn: [String] = []
    var holder: WorkerID?
    var acceptedAttempt = 0
    var state = State.open
  }

  var phase = RunPhase.preparing
  var instructions: [Instruction] = []
  var tuningIteration: [Int] = []
  /// By number, from 1 at place 0.
  var jobs: [StoredJob] = []
  var results: [Digest: GenerationResult] = [:]
  var assessments: [RestoredRun.AssessedInstruction] = []
  var proposals: [RestoredRun.Proposal] = []
  var trainings: [TrainingID: RestoredTraining] = [:]
  var losses: [TrainingID: [Double]] = [:]
  var evaluations: [EvaluationScore] = []
  var present: [String: WorkerID] = [:]
  /// Late twins that were compared.
  var twins = 0
  private(set) var violations: [Violation] = []
  let bug: PlantedBug?

  init(bug: PlantedBug?) { self.bug = bug }

  mutating func apply(_ change: Change) {
    switch change {
    case .phase(let phase): self.phase = phase
    case .instructionsAdded(let added, let iteration):
      for instruction in added where instruction.id.number > Int64(instructions.count) {
        instructions.append(bug == .repeatWords ? repeated(instruction) : instruction)
        tuningIteration.append(iteration)
      }
    case .jobsCreated(let created): for job in created { create(job) }
    case .leased(let id, let attempt, let worker): lease(id, attempt, worker)
    case .accepted(let report, _): accept(report)
    case .reused(let id, let address): reuse(id, address)
    case .failed(let report, let worker): fail(report, worker)
    case .duplicate(let report, _, let equal):
      if !equal { violations.append(.twinDiffers(report.job)) }
      if self[report.job]?.acceptedAttempt != report.attempt { twins += 1 }
    case .quarantined(let id): update(id) { $0.state = .quarantined }
    case .assessed(let id, let iteration, let assessment):
      assessments.append(
        RestoredRun.AssessedInstruction(
          instruction: id, iteration: iteration, assessment: assessment))
    case .proposed(let from, let iteration, let outcome):
      proposals.append(RestoredRun.Proposal(from: from, iteration: iteration, outcome: outcome))
    case .trainingPlanned(let plan):
      trainings[plan.training] = RestoredTraining(
        plan: plan, epoch: 0, stepsCommitted: 0, lastTotals: nil, export: nil)
    case .epochOpened(let id, let epoch):
      if let known = trainings[id]?.epoch, known >= epoch {
        violations.append(.epochReused(id, epoch: epoch))
      }
      trainings[id]?.epoch = epoch
    case .stepCommitted(let id, let step, _, let totals): commit(id, step, totals)
    case .segmentSaved: break
    case .checkpointed(let id, let checkpoint): trainings[id]?.plan.checkpoint = checkpoint
    case .trainingFinished(let export): trainings[export.training]?.export = export
    case .evaluated(let score): evaluations.append(score)
    case .workerJoined(let worker, _): present[worker.name] = worker
    case .workerLeft(let worker, _):
      if present[worker.name] == worker { present[worker.name] = nil }
    case .workerBusy: break
    }
  }

  subscript(_ id: JobID) -> StoredJob? {
    let place = Int(id.number) - 1
    return jobs.indices.contains(place) ? jobs[place] : nil
  }

  /// What a coordinator that starts now is given.
  func restored() -> RestoredRun {
    let wanted = jobs.filter { isUsedAgain($0.job.purpose) }
    let ended = wanted.compactMap { stored -> EndedJob? in
      guard case .done(let result) = stored.state else { return nil }
      return EndedJob(id: stored.job.id, purpose: stored.job.purpose, text: result.text)
    }
    return RestoredRun(
      phase: phase, instructions: instructions,
      tuningIteration: bug == .forgetIterations ? tuningIteration.map { _ in 1 } : tuningIteration,
      jobs: wanted.compactMap { restored($0) }, ended: ended,
      jobsCreated: Int64(jobs.count), assessments: assessments,
      proposals: proposals,
      trainings: trainings.keys.sorted().compactMap { trainings[$0] }.map { training in
        var training = training
        if bug == .forgetEpoch { training.epoch = 0 }
        return training
      }, evaluations: evaluations, present: present.keys.sorted())
  }

  private func restored(_ stored: StoredJob) -> RestoredJob? {
    let state: RestoredJob.State
    switch stored.state {
    case .open: state = .open
    case .leased(let worker): state = bug == .forgetLeases ? .open : .leased(to: worker)
    case .quarantined: state = .quarantined
    case .done: return nil
    }
    return RestoredJob(
      job: stored.job, givenTo: bug == .forgetAttempts ? [] : stored.givenTo,
      failedOn: stored.failedOn, state: state)
  }

  /// The result of a job, if it has one.
  func acceptedResult(of job: JobID) -> AcceptedResult? {
    guard let stored = self[job], case .done(let result) = stored.state else { return nil }
    return AcceptedResult(
      address: stored.job.address, attempt: stored.acceptedAttempt, givenTo: stored.givenTo,
      result: result)
  }

  private func isUsedAgain(_ purpose: Purpose) -> Bool {
    switch (purpose, phase) {
    case (.teacherAnswer, _): true
    case (.studentAnswer(_, let own), .assessing(let present)),
      (.judgement(_, let own, _, _), .assessing(let present)),
      (.newInstruction(_, let own), .augmenting(let present)),
      (.evaluation(_, _, _, let own), .evaluating(let present)):
      own == present
    case (.studentAnswer, _), (.judgement, _), (.newInstruction, _), (.evaluation, _): false
    }
  }

  /// With the words of the instruction that it was written from.
  private func repeated(_ instruction: Instruction) -> Instruction {
    guard case .augmented(let source, _) = instruction.lineage else { return instruction }
    var instruction = instruction
    instruction.text = instructions[Int(source.number) - 1].text
    return instruction
  }

  private mutating func update(_ id: JobID, _ change: (inout StoredJob) -> Void) {
    let place = Int(id.number) - 1
    if jobs.indices.contains(place) { change(&jobs[place]) }
  }

  private mutating func create(_ job: Job) {
    guard job.id.number == Int64(jobs.count + 1) else {
      violations.append(.jobNumberReused(job.id))
      return
    }
    jobs.append(StoredJob(job: job))
  }

  private mutating func lease(_ id: JobID, _ attempt: Int, _ worker: WorkerID) {
    if let known = self[id]?.attempts, attempt <= known {
      violations.append(.attemptReused(id, attempt: attempt))
    }
    update(id) { job in
      job.givenTo = Array(job.givenTo.prefix(attempt - 1)) + [worker.name]
      job.holder = worker
      job.state = .leased(to: worker)
    }
  }

  private mutating func accept(_ report: JobReport) {
    guard case .success(var result) = report.outcome else { return }
    if bug == .loseWords, case .judgement(_, _, .studentFirst, _) = self[report.job]?.job.purpose {
      result.text = ""
    }
    if case .done = self[report.job]?.state { violations.append(.acceptedTwice(report.job)) }
    results[report.address] = result
    update(report.job) { job in
      job.state = .done(result)
      job.acceptedAttempt = report.attempt
    }
  }

  private mutating func reuse(_ id: JobID, _ address: Digest) {
    guard let result = results[address], self[id]?.job.address == address else {
      violations.append(.reusedUnknown(id))
      return
    }
    update(id) { $0.state = .done(result) }
  }

  private mutating func fail(_ report: JobReport, _ worker: WorkerID) {
    update(report.job) { job in
      guard job.failedAttempts.insert(report.attempt).inserted else { return }
      job.failedOn.append(worker.name)
      if case .leased = job.state, report.attempt == job.attempts { job.state = .open }
    }
  }

  private mutating func commit(_ id: TrainingID, _ step: Int, _ totals: StepTotals) {
    let step = bug == .miscountSteps && step % 3 == 1 ? step + 1 : step
    let committed = trainings[id]?.stepsCommitted ?? 0
    if step > committed {
      violations.append(.stepOutOfOrder(id, step: step, committed: committed))
    } else if step == committed {
      losses[id, default: []].append(totals.loss)
      trainings[id]?.stepsCommitted = step + 1
    } else if losses[id]?[step] != totals.loss {
      violations.append(.lossDiffers(id, step: step))
    }
    if step + 1 == trainings[id]?.stepsCommitted { trainings[id]?.lastTotals = totals }
  }
}
