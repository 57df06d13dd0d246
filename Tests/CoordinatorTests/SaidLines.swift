import Logging
import Synchronization

/// Keeps everything that is logged to it, in order.
final class SaidLines: Sendable {
  private let kept = Mutex<[String]>([])

  var lines: [String] { kept.withLock { $0 } }
  var handler: any LogHandler { Handler(said: self) }

  private struct Handler: LogHandler {
    let said: SaidLines
    var logLevel = Logger.Level.trace
    var metadata = Logger.Metadata()

    init(said: SaidLines) { self.said = said }

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
      get { metadata[key] }
      set { metadata[key] = newValue }
    }

    func log(event: LogEvent) { said.kept.withLock { $0.append("\(event.message)") } }
  }
}
