import Domain

// How the vocabulary of Domain reads in notes and explanations.

func text(of refusal: Refusal) -> String {
  switch refusal {
  case .protocolVersion(let ours, let yours):
    "it speaks version \(yours) of the protocol, this coordinator version \(ours): install the same"
  case .kernelSet(let ours, let yours):
    "its kernel set is \(yours), the run's is \(ours): its sums would have other bits"
  case .revoked: "its key is revoked"
  case .nameInUse: "a newer process runs under its name: give each process its own access file"
  }
}

func text(of failure: JobFailure) -> String {
  switch failure {
  case .blobUnavailable(let digest, let reason): "blob \(digest) could not be had: \(reason)"
  case .imageUnreadable(let digest, let reason): "picture \(digest) is unreadable: \(reason)"
  case .modelUnusable(let digest, let reason): "model \(digest) is unusable: \(reason)"
  case .promptTooLong(let tokens, let limit): "the prompt has \(tokens) tokens, \(limit) fit"
  case .outOfMemory(let reason): "out of memory: \(reason)"
  }
}

func text(of phase: RunPhase) -> String {
  switch phase {
  case .preparing: "preparing"
  case .pretraining: "pretraining"
  case .answering(let iteration): "answering \(iteration)"
  case .tuning(let iteration): "tuning \(iteration)"
  case .evaluating(let iteration): "evaluating \(iteration)"
  case .assessing(let iteration): "assessing \(iteration)"
  case .augmenting(let iteration): "augmenting \(iteration)"
  case .finished: "finished"
  }
}

func text(of standing: TrainingStanding) -> String {
  switch standing {
  case .preparing: "preparing"
  case .following(let progress): text(of: progress)
  case .failed(let reason): "failed: \(reason)"
  }
}

/// Names, the first few where there are many.
func text(of workers: [WorkerID]) -> String {
  let shown = workers.count > 6 ? 5 : workers.count
  let rest = workers.count > shown ? " and \(workers.count - shown) others" : ""
  return workers.prefix(shown).map(\.name).joined(separator: ", ") + rest
}

/// Seconds with one decimal, like `4.1 s`.
func text(of duration: Duration) -> String {
  let tenths = Int((seconds(duration) * 10).rounded())
  return "\(tenths / 10).\(abs(tenths) % 10) s"
}

func text(of progress: TrainingProgress) -> String {
  let weights = progress.isWhole ? "has the weights" : "is being sent weights"
  let sums = progress.summed.map { ", sums of \($0.count) for the next" } ?? ""
  return "\(weights) after step \(progress.step), keeps \(progress.kept.count) of "
    + "\(progress.kept.pieceCount) segments\(sums)"
}
