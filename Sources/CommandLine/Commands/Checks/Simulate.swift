import ArgumentParser
import Domain
import Foundation
import Simulation

struct Simulate: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract:
      "Run the cluster's decisions through simulated faults, or once more through a run's past.",
    discussion: """
      Every history follows from its seed. A seed whose history broke a promise is printed with \
      the command that replays it; replayed alone it is shrunk to the faults that it takes, and \
      shows its last happenings.

      With --replay a run's journal is gone through again from its beginning: the same decisions \
      are made from the same events, and compared with those that were made. Printed is what \
      happened in the window, and what `comd status` and `comd explain` would have said at its \
      end. The run is only read, and may go on meanwhile.

      Example:
        comd simulate --seeds 1..2000 --faults all
        comd simulate --replay runs/first --from 03:30 --to 03:40 --explain "job 17"
      """)

  @Option(help: "The histories: A..B, both included.")
  var seeds: SeedRange?
  @OptionGroup var past: ReplayOptions
  @Option(help: "all, none, or names with commas: \(faultNames).")
  var faults = "all"
  @Option(help: "A mistake built in on purpose, to see it found: \(bugNames).")
  var planted: String?
  @Option(help: "Histories at one time.")
  var threads = ProcessInfo.processInfo.activeProcessorCount
  @OptionGroup var facts: FactOptions

  private static let faultNames = FaultSet.named.dropFirst(2).map(\.name).joined(separator: ", ")
  private static let bugNames = PlantedBug.allCases.map(\.rawValue).joined(separator: ", ")

  func validate() throws {
    guard (seeds == nil) != (past.replay == nil) else {
      throw ValidationError("give --seeds A..B, or --replay RUN.")
    }
    if seeds != nil, past.from != nil || past.to != nil || past.explain != nil {
      throw ValidationError("--from, --to and --explain belong to --replay.")
    }
    try require("--threads", threads, in: 1...256)
    if FaultSet(names: faults) == nil {
      throw ValidationError("--faults takes all, none, or names out of: \(Self.faultNames).")
    }
    if let planted, PlantedBug(rawValue: planted) == nil {
      throw ValidationError("--planted takes one of: \(Self.bugNames).")
    }
  }

  func run() async throws {
    if past.replay != nil { return try await past.show(asJSON: facts.json) }
    guard let seeds, let faultSet = FaultSet(names: faults) else { return }
    let bug = planted.flatMap { PlantedBug(rawValue: $0) }
    let (range, threads, alone) = (seeds.seeds, threads, seeds.seeds.count == 1)
    let total = try await untilStopped { [self] in
      var total = Total()
      let progress = Progress("simulating", unit: "seeds", total: range.count)
      try await forEachOutcome(of: range, threads: threads, faultSet, bug) { outcome in
        total.add(outcome)
        progress.update(total.seeds)
        if !outcome.violations.isEmpty, !facts.json, !alone { tell(outcome) }
      }
      progress.finish(total.seeds)
      if alone, !facts.json, total.violations > 0,
        let shrunk = shrink(seed: range.lowerBound, faults: faultSet, bug: bug)
      {
        tell(shrunk)
      }
      return total
    }
    try conclude(total)
  }

  /// What all histories came to.
  private struct Total: Sendable {
    var seeds = 0
    var violations = 0
    var simulatedTime = Duration.zero
    var events = 0
    var counts = SimulationCounts()
    var failures: [SimulationOutcome] = []

    mutating func add(_ outcome: SimulationOutcome) {
      seeds += 1
      violations += outcome.violations.count
      simulatedTime += outcome.simulatedTime
      events += outcome.events
      counts += outcome.counts
      if !outcome.violations.isEmpty { failures.append(outcome) }
    }

    var simulatedHours: Double { simulatedTime / .seconds(3_600) }
  }

  private struct Found: Encodable {
    struct Failure: Encodable {
      var seed: UInt64
      var violations: [String]
      var replay: String
    }
    var seeds: Int
    var faults: String
    var planted: String?
    var violations: Int
    var simulatedHours: Double
    var events: Int
    /// How often what, by name.
    var reached: [String: Int]
    var failures: [Failure]
  }

  private func replay(_ outcome: SimulationOutcome) -> String {
    var command = outcome.replayCommand
    if faults != "all" { command += " --faults \(faults)" }
    if let planted { command += " --planted \(planted)" }
    return command
  }

  private func tell(_ shrunk: ShrunkHistory) {
    let outcome = shrunk.outcome
    printFact(
      "shrunk in \(shrunk.tries) tries, from \(shrunk.faultsBefore) faults to these, with joins "
        + "and the healing at the end:")
    for fault in outcome.faults { printFact("  \(fault)") }
    for line in outcome.history { printFact(line) }
    tell(outcome)
  }

  private func tell(_ outcome: SimulationOutcome) {
    for violation in outcome.violations { printFact("seed \(outcome.seed): \(violation)") }
    printFact("replay: \(replay(outcome))")
  }

  private func conclude(_ total: Total) throws {
    if facts.json {
      let failures = total.failures.sorted { $0.seed < $1.seed }.map { outcome in
        Found.Failure(
          seed: outcome.seed, violations: outcome.violations.map(\.description),
          replay: replay(outcome))
      }
      try printJSON(
        Found(
          seeds: total.seeds, faults: faults, planted: planted, violations: total.violations,
          simulatedHours: total.simulatedHours, events: total.events,
          reached: Dictionary(uniqueKeysWithValues: total.counts.named.map { ($0.name, $0.count) }),
          failures: failures))
    } else {
      printFact(
        "seeds \(total.seeds), faults \(faults), violations \(total.violations), simulated "
          + "\(short(total.simulatedHours)) hours, \(total.events) events")
      printFact(
        "reached: " + total.counts.named.map { "\($0.name) \($0.count)" }.joined(separator: ", "))
    }
    if total.violations > 0 {
      throw CommandError.failed(
        "\(total.failures.count) of \(total.seeds) histories broke a promise")
    }
  }
}

/// Goes through the histories of the seeds, some at one time, and hands on what they showed as they
/// end.
private func forEachOutcome(
  of seeds: ClosedRange<UInt64>, threads: Int, _ faults: FaultSet, _ bug: PlantedBug?,
  _ body: (SimulationOutcome) -> Void
) async throws {
  try await withThrowingTaskGroup(of: SimulationOutcome.self) { group in
    var next = seeds.makeIterator()
    func start() {
      guard let seed = next.next() else { return }
      group.addTask { simulate(seed: seed, faults: faults, bug: bug) }
    }
    for _ in 0..<threads { start() }
    while let outcome = try await group.next() {
      try Task.checkCancellation()
      body(outcome)
      start()
    }
  }
}
