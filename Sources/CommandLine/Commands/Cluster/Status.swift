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
  @Flag(help: "Go on showing it until stopped.")
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
        while true {
          let status = try await client.status()
          if facts.json { try printJSON(status) } else { liveLine.show(status.line) }
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
    printFact("run \(status.run): \(status.line)")
    printFact(
      "pools: tuning \(status.tuningPool), cache \(status.cachePool); "
        + "jobs: \(status.jobs.waiting) waiting, \(status.jobs.leased) at work, "
        + "\(status.jobs.done) done, \(status.jobs.quarantined) set aside")
    if status.workers.isEmpty { return }
    let rows = status.workers.map { worker in
      [
        worker.name, worker.health, "\(worker.threads)", "\(worker.holding)",
        "\(worker.accepted)", clock(worker.busySeconds), clock(worker.silentSeconds),
      ]
    }
    printFact(
      textTable(
        ["worker", "health", "threads", "holding", "accepted", "busy", "last heard"], rows))
  }
}
