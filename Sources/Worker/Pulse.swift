import Domain
import Executors
import Foundation
import Protocol
import Synchronization
import Transport

/// Says in regular heartbeats that this worker is alive and what it holds.
///
/// From a thread of its own: neither a disk that somebody waits for, nor a pool that others keep
/// busy, nor a clock that is set makes a live worker look dead. Whoever changes what the worker
/// holds says so here.
final class Pulse: Sendable {
  private struct State {
    var holding: [JobID] = []
    var credit = 0
    var busy = Duration.zero
    var sequence: UInt64 = 0
    /// Nil until the coordinator has let the worker in.
    var every: Duration?
    var hasEnded = false
  }
  private let state = Mutex(State())
  private let woken = Bell()
  private let control: MessageClient
  private let standing: StandingBoard

  init(control: MessageClient, standing: StandingBoard) {
    self.control = control
    self.standing = standing
    let thread = Thread { self.run() }
    thread.name = "pulse"
    thread.start()
  }

  /// The coordinator has let the worker in: the first heartbeat goes at once, also after each later
  /// welcome.
  func begin(every: Duration) {
    state.withLock { $0.every = every }
    woken.ring()
  }

  /// What the next heartbeats say.
  func hold(_ jobs: [JobID], credit: Int) {
    state.withLock { ($0.holding, $0.credit) = (jobs, credit) }
  }

  func worked(_ duration: Duration) { state.withLock { $0.busy += duration } }

  func end() {
    state.withLock { $0.hasEnded = true }
    woken.ring()
  }

  private func run() {
    while true {
      let (hasEnded, every) = state.withLock { ($0.hasEnded, $0.every) }
      if hasEnded { return }
      guard let every else {
        woken.wait()
        continue
      }
      beat()
      woken.wait(for: every)
    }
  }

  /// A heartbeat that cannot be sent is not missed: there is no connection.
  private func beat() {
    let training = standing.current
    let heartbeat = state.withLock { state in
      state.sequence += 1
      return Heartbeat(
        sequence: state.sequence, holding: state.holding, credit: state.credit,
        busyMilliseconds: state.busy.milliseconds, training: training?.training,
        standing: training?.standing)
    }
    try? control.send([Frame(encode(WorkerMessage.heartbeat(heartbeat)))])
  }
}
