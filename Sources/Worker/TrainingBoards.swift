import Domain
import Synchronization

/// The highest epoch that this worker has heard of: what belongs to a lower one is void, and a rank
/// that is still computing for it may stop.
final class EpochFence: Sendable {
  private let highest = Mutex<UInt64>(0)

  func advance(to epoch: UInt64) { highest.withLock { $0 = max($0, epoch) } }
  func isVoid(_ epoch: UInt64) -> Bool { highest.withLock { epoch < $0 } }
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
