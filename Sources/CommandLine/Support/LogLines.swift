import Foundation
import Logging

/// The log of a service on standard error, a line each; `COMD_LOG` sets the level.
func makeLogger(_ label: String) -> Logger {
  var logger = Logger(label: label) { _ in LogLines() }
  let level = ProcessInfo.processInfo.environment["COMD_LOG"]
  logger.logLevel = level.flatMap { Logger.Level(rawValue: $0) } ?? .info
  return logger
}

/// The log of a service inside a measurement: warnings and errors only.
func makeQuietLogger(_ label: String) -> Logger {
  var logger = Logger(label: label) { _ in LogLines() }
  logger.logLevel = .warning
  return logger
}

private struct LogLines: LogHandler {
  var logLevel = Logger.Level.info
  var metadata = Logger.Metadata()

  subscript(metadataKey key: String) -> Logger.Metadata.Value? {
    get { metadata[key] }
    set { metadata[key] = newValue }
  }

  func log(event: LogEvent) {
    let facts = metadata.merging(event.metadata ?? [:]) { $1 }.sorted { $0.key < $1.key }
      .map { " \($0.key)=\($0.value)" }.joined()
    let time = Date.now.formatted(.iso8601.time(includingFractionalSeconds: true))
    liveLine.write("\(time) \(event.level) \(event.message)\(facts)")
  }
}
