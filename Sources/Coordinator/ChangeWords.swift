import Domain

extension Change {
  /// In one line, for the log at its finest level: what just became durable.
  var words: String {
    switch self {
    case .phase(let phase): "phase \(phase.name)"
    case .instructionsAdded(let added, let iteration):
      "\(added.count) instructions for iteration \(iteration)"
    case .jobsCreated(let jobs): "\(jobs.count) jobs from \(jobs.first?.id.number ?? 0)"
    case .leased(let job, let attempt, let worker):
      "\(JobAttempt(job, attempt: attempt)) leased to \(worker)"
    case .accepted(let report, let worker): "\(report.jobAttempt) accepted from \(worker)"
    case .reused(let job, _): "\(job) answered by a result that was known"
    case .failed(let report, let worker): "\(report.jobAttempt) failed on \(worker)"
    case .duplicate(let report, let worker, let equal):
      "\(report.jobAttempt) from \(worker) \(equal ? "equals" : "differs from") the accepted one"
    case .quarantined(let job): "\(job) set aside"
    case .assessed(let id, let iteration, _): "\(id) assessed in iteration \(iteration)"
    case .proposed(let id, let iteration, _): "\(id) proposed one in iteration \(iteration)"
    case .trainingPlanned(let plan): "\(plan.training) planned, \(plan.stepsTotal) steps"
    case .epochOpened(let training, let epoch): "\(training) epoch \(epoch) opened"
    case .stepCommitted(let training, let step, let epoch, _):
      "\(training) step \(step) committed, epoch \(epoch)"
    case .segmentSaved(let training, let step, let saved):
      "\(training) segment \(saved.segment) after step \(step) saved"
    case .checkpointed(let training, let checkpoint):
      "\(training) checkpoint at step \(checkpoint.step)"
    case .trainingFinished(let export): "\(export.training) gave model \(export.model)"
    case .evaluated(let score):
      "\(score.subject) has \(score.correct) of \(score.items) in iteration \(score.iteration)"
    case .workerJoined(let worker, _): "\(worker) joined"
    case .workerLeft(let worker, let reason): "\(worker) left: \(reason)"
    case .workerBusy(let worker, let milliseconds): "\(worker) busy for \(milliseconds) ms"
    }
  }
}

extension StepPlan {
  /// Which attempt at which step, for the log.
  var words: String { "\(training) step \(step), epoch \(epoch)" }
}
