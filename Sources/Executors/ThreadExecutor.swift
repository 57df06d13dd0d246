import Dispatch

/// Runs an actor on a thread outside Swift's cooperative pool.
///
/// For actors that block: on a disk's fsync, or on seconds of computing without a suspension. On
/// the
/// shared pool they would starve the heartbeats.
public final class ThreadExecutor: SerialExecutor {
  private let queue: DispatchQueue

  public init(label: String) { queue = DispatchQueue(label: label) }

  public func enqueue(_ job: consuming ExecutorJob) {
    let job = UnownedJob(job)
    queue.async { job.runSynchronously(on: self.asUnownedSerialExecutor()) }
  }
}
