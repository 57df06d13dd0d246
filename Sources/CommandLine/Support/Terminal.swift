import Foundation

/// What the streams of this process can show.
struct Terminal: Sendable {
  /// Standard error is a terminal that moves its cursor.
  var movesCursor: Bool
  var showsColor: Bool
  /// Columns and rows of standard error.
  var columns: Int
  var rows: Int

  /// As the process finds it; `NO_COLOR` with any value and `TERM=dumb` are honoured.
  static func current(
    environment: [String: String] = ProcessInfo.processInfo.environment
  ) -> Terminal {
    let isTerminal = isatty(FileHandle.standardError.fileDescriptor) == 1
    let movesCursor = isTerminal && environment["TERM"] != "dumb"
    let noColor = environment["NO_COLOR"].map { !$0.isEmpty } ?? false
    var size = winsize()
    let isKnown =
      unsafe ioctl(FileHandle.standardError.fileDescriptor, UInt(TIOCGWINSZ), &size) == 0
    func known(_ name: String, _ measured: UInt16, otherwise: Int) -> Int {
      environment[name].flatMap { Int($0) }
        ?? (isKnown && measured > 0 ? Int(measured) : otherwise)
    }
    return Terminal(
      movesCursor: movesCursor, showsColor: movesCursor && !noColor,
      columns: known("COLUMNS", size.ws_col, otherwise: 100),
      rows: known("LINES", size.ws_row, otherwise: 40))
  }
}
