import Foundation

/// Lines of standard error that are written over, all of them, each time they are shown.
struct LiveFrame {
  private var height = 0

  /// What takes the place of the lines shown before: the cursor goes up to their first one, each
  /// line is cut to the terminal's width and cleared behind its end, and so is all below.
  mutating func text(_ lines: [String], on terminal: Terminal) -> String {
    let start = height > 0 ? "\u{1b}[\(height)A\r" : "\r"
    height = lines.count
    let width = max(20, terminal.columns - 1)
    return start + lines.map { $0.prefix(width) + "\u{1b}[K\n" }.joined() + "\u{1b}[J"
  }

  mutating func show(_ lines: [String], on terminal: Terminal) {
    // Output that nobody reads any more (a closed pipe) is no reason to fail.
    try? FileHandle.standardError.write(contentsOf: Data(text(lines, on: terminal).utf8))
  }
}
