import Dispatch

/// Runs an actor or a task on a thread outside Swift's cooperative pool.
///
/// For what blocks: a disk's fsync, or seconds of computing without a suspension. On the shared
/// pool it would starve the heartbeats. And for what must not wait until others let the pool go.
public final class ThreadExecutor: SerialExecutor, TaskExecutor {
  private let queue: DispatchQueue

  public init(label: String) { queue = DispatchQueue(label: label) }

  public func enqueue(_ job: consuming ExecutorJob) {
    let job = UnownedJob(job)
    queue.async {
      job.runSynchronously(
        isolatedTo: self.asUnownedSerialExecutor(), taskExecutor: self.asUnownedTaskExecutor())
    }
  }
}
