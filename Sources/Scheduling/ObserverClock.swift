import Domain

/// Time as the machine counts it against others: while its own loop stood still, it does not pass.
///
/// A coordinator that was stopped for half a minute finds half a minute of everybody's silence, and
/// would give up workers whose heartbeats wait in its own inbox. So a gap between two events that
/// is longer than the shell's promise (`tickEvery`) is its own fault and is cut out, and for a
/// while afterwards it is more patient.
///
/// - Source: Dadgar, Phillips & Currey 2018, "Lifeguard": local health awareness in SWIM.
struct ObserverClock: Sendable {
  private let tickEvery: Duration
  private var latest: Moment
  private var stalled: Duration = .zero
  /// Factor on every patience with workers: 1 for a healthy observer, 8 at most.
  private(set) var patience: Double = 1

  init(tickEvery: Duration, at now: Moment) {
    self.tickEvery = tickEvery
    latest = now
  }

  /// Counted time at the latest event.
  var now: Moment { Moment(sinceStart: latest.sinceStart - stalled) }

  /// Takes in an event's moment; returns the stall that it reveals, if any.
  mutating func advance(to moment: Moment) -> Duration? {
    let gap = max(moment - latest, .zero)
    latest = max(latest, moment)
    guard gap > tickEvery * 4 else {
      patience = max(1, patience * 0.99)
      return nil
    }
    stalled += gap - tickEvery
    patience = min(8, patience * 2)
    return gap - tickEvery
  }
}
