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
