import Domain
import Synchronization

/// The newest step that this worker has heard of: what belongs to an older one is void, and a rank
/// that is still computing for it may stop.
///
/// Epochs rise within a training, trainings within a run.
final class EpochFence: Sendable {
  private struct Mark: Comparable {
    var training: TrainingID
    var epoch: UInt64

    static func < (a: Mark, b: Mark) -> Bool {
      a.training == b.training ? a.epoch < b.epoch : a.training < b.training
    }
  }

  private let newest = Mutex(Mark(training: .pretraining, epoch: 0))

  func advance(to training: TrainingID, epoch: UInt64) {
    newest.withLock { $0 = max($0, Mark(training: training, epoch: epoch)) }
  }

  func isVoid(_ training: TrainingID, epoch: UInt64) -> Bool {
    newest.withLock { Mark(training: training, epoch: epoch) < $0 }
  }
}

/// How far the training state of this worker is; written by the rank, read by heartbeats while the
/// rank computes.
final class StandingBoard: Sendable {
  struct Entry: Sendable {
    var training: TrainingID
    var standing: TrainingStanding
  }
  private let entry = Mutex<Entry?>(nil)

  var current: Entry? { entry.withLock { $0 } }
  func set(_ new: Entry?) { entry.withLock { $0 = new } }
}
