import ArgumentParser
import Coordinator

struct Status: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Show how far a run is: phase, rates, time left, workers.",
    discussion: """
      Example:
        comd status --dir runs/first --watch
      """)

  @OptionGroup var place: RunOptions
  @Flag(help: "Go on showing it until stopped, on a terminal as a page that changes in place.")
  var watch = false
  @OptionGroup var facts: FactOptions

  func run() async throws {
    if !watch {
      let status = try await withAdmin(place) { try await $0.status() }
      try show(status)
      return
    }
    try await untilStopped { [self] in
      try await withAdmin(place) { client in
        var frame = LiveFrame()
        while true {
          let status = try await client.status()
          let terminal = Terminal.current()
          if facts.json {
            try printJSON(status)
          } else if terminal.movesCursor {
            frame.show(statusPage(status, rows: terminal.rows), on: terminal)
          } else {
            liveLine.show(status.line)
          }
          try await Task.sleep(for: .seconds(1))
        }
      }
    }
  }

  private func show(_ status: StatusReport) throws {
    if facts.json {
      try printJSON(status)
      return
    }
    for line in statusPage(status, rows: .max) { printFact(line) }
  }
}
