/// Mistakes that can be built into the simulated shells, disks and workers, to see that the
/// checkers find them. The machines of `Scheduling` know nothing of them.
public enum PlantedBug: String, Hashable, Sendable, CaseIterable {
  /// The coordinator sends before the turn's changes are synced.
  case sendBeforeSync
  /// The coordinator takes every report for one of the present attempt.
  case ignoreAttempts
  /// Late twins are written as if they had been accepted.
  case acceptTwins
  /// Requests are told apart by model and picture only.
  case coarseAddress
  /// The store forgets on a restart who has leased what.
  case forgetLeases
  /// The store forgets on a restart which epochs were used.
  case forgetEpoch
  /// The store forgets on a restart how often jobs were handed out.
  case forgetAttempts
  /// The store writes every third step as the one after it.
  case miscountSteps
  /// What a model answers depends on the attempt.
  case moodyModels
  /// The store forgets on a restart which instructions came with which iteration.
  case forgetIterations
  /// The store writes a new instruction with the words of the one it was made from.
  case repeatWords
  /// The store loses the words of judgements that read the student's answer first.
  case loseWords
  /// The store writes turns that are synced together newest first.
  case syncBackwards
  /// A look-up finds results that were never stored.
  case inventResults
  /// Examinations that are to be scored are forgotten.
  case forgetScoring
  /// A worker applies a step as soon as it has its sum.
  case applyBeforeCommit
  /// A checkpoint holds the weights from before the training, whatever its step.
  case staleCheckpoint
  /// Partial sums are added in the order in which they arrive.
  case sumInArrivalOrder
  /// A worker sends results without keeping them.
  case skipSpool
  /// A worker takes an acknowledgement for one of every attempt at the job.
  case acknowledgeWholeJobs
}
