import Domain
import Executors

/// Writes the spool on a thread of its own, in the order in which it is asked: neither who computes
/// nor who listens waits for the disk.
actor SpoolKeeper {
  private let executor = ThreadExecutor(label: "spool")
  nonisolated var unownedExecutor: UnownedSerialExecutor {
    executor.asUnownedSerialExecutor()
  }
  private var spool: Spool

  init(_ spool: consuming Spool) { self.spool = spool }

  /// Durable on return.
  func keep(_ results: [(of: JobAttempt, payload: [UInt8])]) throws { try spool.keep(results) }

  func forget(_ attempts: [JobAttempt]) throws { try spool.forget(attempts) }
}
