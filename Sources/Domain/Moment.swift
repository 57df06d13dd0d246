/// A point in time as the decisions see it: the time since some start that only the shell knows.
///
/// Decisions never read a clock; the shell hands them a `Moment` with every event.
public struct Moment: Hashable, Comparable, Sendable {
  public var sinceStart: Duration

  public init(sinceStart: Duration) { self.sinceStart = sinceStart }

  /// A shell's clock counts nanoseconds.
  public init(nanoseconds: Int64) { self.init(sinceStart: .nanoseconds(nanoseconds)) }

  /// Whole ones since the start.
  public var nanoseconds: Int64 {
    let (seconds, attoseconds) = sinceStart.components
    return seconds * 1_000_000_000 + attoseconds / 1_000_000_000
  }

  public static let zero = Moment(sinceStart: .zero)

  public static func < (a: Moment, b: Moment) -> Bool { a.sinceStart < b.sinceStart }
  public static func + (a: Moment, b: Duration) -> Moment {
    Moment(sinceStart: a.sinceStart + b)
  }
  public static func - (a: Moment, b: Moment) -> Duration { a.sinceStart - b.sinceStart }
}

extension Duration {
  public var inSeconds: Double {
    Double(components.seconds) + Double(components.attoseconds) * 1e-18
  }
}
