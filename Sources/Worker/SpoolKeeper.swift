import Domain
import Executors

/// Writes the spool on a thread of its own: neither who computes nor who listens waits for the
/// disk.
actor SpoolKeeper {
  private let executor = ThreadExecutor(label: "spool")
  nonisolated var unownedExecutor: UnownedSerialExecutor {
    executor.asUnownedSerialExecutor()
  }
  private var spool: Spool

  init(_ spool: consuming Spool) { self.spool = spool }

  /// What is kept is durable on return.
  func write(
    kept: [(of: JobAttempt, payload: [UInt8])], forgotten: [JobAttempt]
  ) throws {
    try spool.keep(kept)
    try spool.forget(forgotten)
  }
}
