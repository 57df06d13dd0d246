import ArgumentParser
import Coordinator
import Foundation
import Settings

/// What of a run's past is to be seen.
struct ReplayOptions: ParsableArguments {
  @Option(help: ArgumentHelp("Replay what happened in this run's folder.", valueName: "run"))
  var replay: String?
  @Option(
    help: """
      The window's beginning: 14:05, "2026-11-29 14:05", or +90m since the run's start; the start \
      when left out.
      """)
  var from: PastTime?
  @Option(help: "The window's end, in the same forms; all there is when left out.")
  var to: PastTime?
  @Option(help: "What is explained at the window's end: \"job 17\", \"worker w2\", phase.")
  var explain: String?

  /// Replays, tells the window, and fails when the replay is not what happened.
  func show(asJSON: Bool) async throws {
    guard let folder = replay else { return }
    let run = try RunReplay(runFolder: folder)
    let window = try window(of: run)
    let explain = explain
    let told = try await untilStopped {
      var happenings: [StatusReport.Happening] = []
      var progress: Progress?
      let replayed = try run.run(
        until: window.upperBound,
        onHappening: { happening in
          guard happening.at >= window.lowerBound.timeIntervalSince1970 else { return }
          if asJSON {
            happenings.append(happening)
          } else {
            printFact("\(written(happening.date))  \(happening.what)")
          }
        },
        onProgress: { done, total in
          try Task.checkCancellation()
          let shown = progress ?? Progress("replaying", unit: "events", total: total)
          progress = shown
          shown.update(done)
        })
      return Told(replayed, happenings, explain)
    }
    if asJSON { try printJSON(told) } else { tell(told) }
    if let differs = told.differs { throw CommandError.failed(differs) }
  }

  private func window(of run: RunReplay) throws -> ClosedRange<Date> {
    let first = try from.map { try $0.date(in: run.begins...run.ends, "--from") } ?? run.begins
    // A journal that goes on is taken as far as it is.
    let last = try to.map { try $0.date(in: run.begins...run.ends, "--to") } ?? .distantFuture
    guard first <= last else {
      throw ValidationError("--from \(written(first)) is after --to \(written(last)).")
    }
    return first...last
  }

  private func tell(_ told: Told) {
    printFact("")
    printFact(
      "at \(told.at), after \(told.events) events; \(told.comparisons) comparisons with the run, "
        + (told.differs == nil ? "all equal" : "then it differs")
        + (told.lacking > 0 ? "; \(told.lacking) events are not in the journal" : ""))
    if let status = told.status {
      for line in statusPage(status, rows: .max) { printFact(line) }
    }
    printFact("")
    printFact(told.explanation)
  }

  /// What `--json` prints.
  private struct Told: Encodable, Sendable {
    var at: String
    var events: Int64
    var comparisons: Int
    var lacking: Int64
    var differs: String?
    var happenings: [StatusReport.Happening]
    var status: StatusReport?
    var explanation: String

    init(
      _ replayed: ReplayedRun, _ happenings: [StatusReport.Happening], _ subject: String?
    ) {
      at = written(replayed.time)
      events = replayed.events
      comparisons = replayed.comparisons
      lacking = replayed.lacking
      differs = replayed.difference
      self.happenings = happenings
      status = replayed.status
      explanation = replayed.explain(subject)
    }
  }
}

extension StatusReport.Happening {
  fileprivate var date: Date { Date(timeIntervalSince1970: at) }
}

/// A time of a run as people write it.
enum PastTime: ExpressibleByArgument, Equatable {
  /// Seconds since the run's start.
  case after(Double)
  /// On the last day of the run on which there was such a time.
  case timeOfDay(hour: Int, minute: Int, second: Int)
  case date(Date)

  init?(argument: String) {
    let text = argument.trimmingCharacters(in: .whitespaces)
    if text.hasPrefix("+") {
      guard let time = Duration(written: String(text.dropFirst())) else { return nil }
      self = .after(time / .seconds(1))
      return
    }
    let parts = text.split(separator: ":").map { Int($0) }
    if parts.count == 2 || parts.count == 3, !text.contains(" "), !parts.contains(nil) {
      let numbers = parts.compactMap(\.self) + [0]
      guard (0..<24).contains(numbers[0]), (0..<60).contains(numbers[1]),
        (0..<60).contains(numbers[2])
      else { return nil }
      self = .timeOfDay(hour: numbers[0], minute: numbers[1], second: numbers[2])
      return
    }
    let formatter = DateFormatter()
    formatter.locale = Locale(identifier: "en_US_POSIX")
    formatter.isLenient = false
    for format in ["yyyy-MM-dd HH:mm", "yyyy-MM-dd HH:mm:ss"] {
      formatter.dateFormat = format
      if let date = formatter.date(from: text) {
        self = .date(date)
        return
      }
    }
    return nil
  }

  /// - Throws: `ValidationError` for a time before the run.
  func date(in run: ClosedRange<Date>, _ option: String) throws -> Date {
    let found: Date
    switch self {
    case .after(let seconds): found = run.lowerBound.addingTimeInterval(seconds)
    case .date(let date): found = date
    case .timeOfDay(let hour, let minute, let second):
      found = latest(hour, minute, second, before: run.upperBound)
    }
    guard found >= run.lowerBound.addingTimeInterval(-60) else {
      throw ValidationError(
        "\(option): \(written(found)) is before the run, which is recorded from "
          + "\(written(run.lowerBound)) to \(written(run.upperBound)).")
    }
    return found
  }

  private func latest(_ hour: Int, _ minute: Int, _ second: Int, before end: Date) -> Date {
    let calendar = Calendar(identifier: .gregorian)
    // The minute that the run ended in counts as one of it.
    for day in [end.addingTimeInterval(60), end.addingTimeInterval(-86_400)] {
      let date = calendar.date(bySettingHour: hour, minute: minute, second: second, of: day)
      if let date, date <= end.addingTimeInterval(60) { return date }
    }
    return end
  }
}
