/// A point in time as the decisions see it: the time since some start that only the shell knows.
///
/// Decisions never read a clock; the shell hands them a `Moment` with every event.
public struct Moment: Hashable, Comparable, Sendable {
  public var sinceStart: Duration

  public init(sinceStart: Duration) { self.sinceStart = sinceStart }

  public static let zero = Moment(sinceStart: .zero)

  public static func < (a: Moment, b: Moment) -> Bool { a.sinceStart < b.sinceStart }
  public static func + (a: Moment, b: Duration) -> Moment {
    Moment(sinceStart: a.sinceStart + b)
  }
  public static func - (a: Moment, b: Moment) -> Duration { a.sinceStart - b.sinceStart }
}
