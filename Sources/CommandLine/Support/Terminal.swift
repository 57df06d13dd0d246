import Foundation

/// What the streams of this process can show.
struct Terminal: Sendable {
  /// Standard error is a terminal that moves its cursor.
  var movesCursor: Bool
  var showsColor: Bool
  /// Columns of standard error.
  var columns: Int

  /// As the process finds it; `NO_COLOR` with any value and `TERM=dumb` are honoured.
  static func current(
    environment: [String: String] = ProcessInfo.processInfo.environment
  ) -> Terminal {
    let isTerminal = isatty(FileHandle.standardError.fileDescriptor) == 1
    let movesCursor = isTerminal && environment["TERM"] != "dumb"
    let noColor = environment["NO_COLOR"].map { !$0.isEmpty } ?? false
    return Terminal(
      movesCursor: movesCursor, showsColor: movesCursor && !noColor,
      columns: environment["COLUMNS"].flatMap { Int($0) } ?? 100)
  }
}
