import Coordinator
import Foundation

/// How far a long work is, told on standard error. The rate is the mean since the start, the time
/// left follows from it.
struct Progress {
  let what: String
  let unit: String
  let total: Int?
  private let line: LiveLine
  private let start = ContinuousClock.now

  init(_ what: String, unit: String, total: Int?, line: LiveLine = liveLine) {
    self.what = what
    self.unit = unit
    self.total = total
    self.line = line
  }

  func update(_ done: Int) { line.show(text(done)) }

  /// Leaves the last state as a line.
  func finish(_ done: Int) { line.finish(text(done)) }

  private func text(_ done: Int) -> String {
    progressLine(what, unit: unit, done: done, total: total, after: ContinuousClock.now - start)
  }
}

/// One line: a bar when the total is known, how much is done, the rate, the time left.
func progressLine(
  _ what: String, unit: String, done: Int, total: Int?, after elapsed: Duration
) -> String {
  let seconds = elapsed / .seconds(1)
  let rate = seconds > 0 ? Double(done) / seconds : 0
  let speed = rate > 0 ? "  \(short(rate)) \(unit)/s" : ""
  guard let total, total > 0 else { return "\(what)  \(done) \(unit)\(speed)" }
  let share = min(1, Double(done) / Double(total))
  let filled = Int((share * 20).rounded(.down))
  let bar = String(repeating: "█", count: filled) + String(repeating: "░", count: 20 - filled)
  let left = rate > 0 && done < total ? "  \(clock(Double(total - done) / rate)) left" : ""
  return "\(what)  \(bar)  \(Int(share * 100))%  \(done)/\(total) \(unit)\(speed)\(left)"
}

/// Three significant digits without an exponent: `0.123`, `12.3`, `1230`.
func short(_ value: Double) -> String {
  switch abs(value) {
  case 100...: String(format: "%.0f", value)
  case 10..<100: String(format: "%.1f", value)
  case 1..<10: String(format: "%.2f", value)
  case _: String(format: "%.3f", value)
  }
}
