import ArgumentParser
import Foundation
import Simulation

struct BenchDecisions: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "decisions",
    abstract: "What the coordinator's decisions cost: CPU time a job, memory an instruction.",
    discussion: """
      The real machine of decisions with simulated workers, each of which does two jobs a second; \
      no sockets and no disk. Four jobs an instruction: two answers, and two judgements of them. \
      Memory is the most that there was, less what the process had before.

      Example:
        comd bench decisions --workers 1000 --instructions 1000000 --jobs 200000
      """)

  @Option(help: "Workers.")
  var workers = 1_000
  @Option(help: "Instructions in the pool.")
  var instructions = 1_000_000
  @Option(help: "Jobs to go through.")
  var jobs = 100_000
  @OptionGroup var facts: FactOptions

  func validate() throws {
    try require("--workers", workers, in: 1...100_000)
    try require("--instructions", instructions, in: 1...100_000_000)
    try require("--jobs", jobs, in: 1...100_000_000)
  }

  private struct Row: Encodable {
    var workers: Int
    var instructions: Int
    var jobs: Int
    var microsecondsPerJob: Double
    var beginSeconds: Double
    var bytesPerInstruction: Int
  }

  func run() throws {
    let before = Int(residentMemoryBytes())
    var trial = DecisionTrial(workers: workers, instructions: instructions)
    let clock = ContinuousClock()
    let begin = clock.measure { trial.begin() }
    let goal = min(jobs, 4 * instructions)
    let progress = Progress("bench decisions", unit: "jobs", total: goal)
    // Queues fill first.
    trial.beat()
    let first = trial.done
    let begun = clock.now
    while trial.done - first < goal, !trial.isOver {
      trial.beat()
      progress.update(min(goal, trial.done - first))
    }
    let taken = (clock.now - begun) / .seconds(1)
    let bytes = (Int(peakMemoryBytes()) - before) / instructions
    let row = Row(
      workers: workers, instructions: instructions, jobs: trial.done - first,
      microsecondsPerJob: taken * 1e6 / Double(max(1, trial.done - first)),
      beginSeconds: begin / .seconds(1), bytesPerInstruction: bytes)
    if facts.json { return try printJSON(row) }
    printFact(
      "decisions: \(workers) workers, \(instructions) instructions: "
        + "\(short(row.microsecondsPerJob)) µs a job, \(bytes) bytes an instruction, "
        + "\(short(row.beginSeconds)) s to the first jobs")
  }
}
