import Coordinator
import Foundation
import Testing

@testable import CommandLineTool

@Suite("The page of a run's status")
struct StatusPageTests {
  private func report(workers: Int, dropped: Int = 0) throws -> StatusReport {
    let worker = """
      {"name": "wNUMBER", "boot": "1", "health": "alive", "silentSeconds": 0.2, "threads": 2,
       "holding": 3, "accepted": 40, "busySeconds": 61, "dropped": \(dropped)}
      """
    let all = (1...workers).map { worker.replacingOccurrences(of: "NUMBER", with: "\($0)") }
    let text = """
      {"run": "demo", "phase": "assessing 1", "iterations": 4, "paused": false,
       "jobs": {"waiting": 20, "leased": 5, "done": 75, "quarantined": 1, "speculated": 2,
                "reassigned": 3},
       "jobsPerSecond": 2.5, "etaSeconds": 10, "tuningPool": 30, "cachePool": 60, "judged": 12,
       "difficult": 4, "workers": [\(all.joined(separator: ","))],
       "waitingFor": "20 jobs wait, 5 are with workers",
       "recent": [{"at": 0, "what": "w2 joined"}, {"at": 1, "what": "w3 left"}]}
      """
    return try JSONDecoder().decode(StatusReport.self, from: Data(text.utf8))
  }

  @Test("says how far the phase is, what it waits for, who works, and what happened last")
  func page() throws {
    let lines = statusPage(try report(workers: 2), rows: .max)
    #expect(lines[0].hasPrefix("run demo: assessing 1 · 75 jobs done, 25 to go"))
    let bar = String(repeating: "█", count: 30) + String(repeating: "░", count: 10)
    #expect(lines[1] == bar + "  75 %")
    #expect(lines.contains("waits for   20 jobs wait, 5 are with workers"))
    #expect(lines.contains { $0.hasSuffix("3 taken back, 2 tried twice") })
    #expect(lines.contains { $0.contains("w2") && $0.contains("1m01s") })
    #expect(lines.last?.hasSuffix("w3 left") == true)
    #expect(!lines.contains { $0.contains("dropped") })
    let liars = statusPage(try report(workers: 2, dropped: 17), rows: .max)
    #expect(liars.contains { $0.hasSuffix("dropped") } && liars.contains { $0.hasSuffix(" 17") })
  }

  @Test("fits its rows, however many workers there are", arguments: [12, 24, 60])
  func rows(rows: Int) throws {
    let lines = statusPage(try report(workers: 500), rows: rows)
    #expect(lines.count < rows)
    #expect(lines.contains { $0.hasSuffix("more workers") })
  }

  @Test("takes the place of the one before, line by line")
  func frame() {
    let terminal = Terminal(movesCursor: true, showsColor: false, columns: 30, rows: 10)
    var frame = LiveFrame()
    #expect(frame.text(["one", "two"], on: terminal) == "\rone\u{1b}[K\ntwo\u{1b}[K\n\u{1b}[J")
    let long = String(repeating: "x", count: 50)
    #expect(
      frame.text([long], on: terminal)
        == "\u{1b}[2A\r" + String(repeating: "x", count: 29) + "\u{1b}[K\n\u{1b}[J")
    #expect(frame.text([], on: terminal) == "\u{1b}[1A\r\u{1b}[J")
  }
}
