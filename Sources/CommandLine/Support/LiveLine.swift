import Foundation
import Synchronization

/// The one line of standard error that is written over while a work goes on.
///
/// On a terminal it is redrawn in place; elsewhere it becomes a plain line every few seconds, while
/// it changes.
final class LiveLine: Sendable {
  private struct State {
    var shownAt: ContinuousClock.Instant?
    var isOnScreen = false
    var shownText = ""
  }

  private static let redrawEvery = Duration.milliseconds(200)
  private static let lineEvery = Duration.seconds(5)
  /// A plain line that says the same as the one before is left out for so long.
  private static let sameLineEvery = Duration.seconds(60)
  private static let clear = "\r\u{1b}[K"

  let terminal: Terminal
  private let state = Mutex(State())

  init(terminal: Terminal) { self.terminal = terminal }

  /// Shows a text when it is time to; others in between are skipped.
  func show(_ text: @autoclosure () -> String) {
    let every = terminal.movesCursor ? Self.redrawEvery : Self.lineEvery
    state.withLock { state in
      let now = ContinuousClock.now
      if let shownAt = state.shownAt, now - shownAt < every { return }
      let text = text()
      if terminal.movesCursor {
        put(Self.clear + text.prefix(max(20, terminal.columns - 1)))
        state.isOnScreen = true
      } else {
        if text == state.shownText, let shownAt = state.shownAt, now - shownAt < Self.sameLineEvery
        {
          return
        }
        // A plain line is worth its room only for work that takes longer than the first interval.
        if state.shownAt != nil {
          put(text + "\n")
          state.shownText = text
        }
      }
      state.shownAt = now
    }
  }

  /// Writes a line of its own that stays.
  func write(_ line: String) {
    state.withLock { state in
      put((state.isOnScreen ? Self.clear : "") + line + "\n")
      state.isOnScreen = false
    }
  }

  /// Ends the work: the next one shows its own lines anew.
  func finish(_ line: String) {
    write(line)
    state.withLock { $0.shownAt = nil }
  }

  /// Output that nobody reads any more (a closed pipe) is no reason to fail.
  private func put(_ text: String) {
    try? FileHandle.standardError.write(contentsOf: Data(text.utf8))
  }
}

/// Standard error of this process.
let liveLine = LiveLine(terminal: .current())
