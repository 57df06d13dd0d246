import ArgumentParser
import Coordinator

/// Asks the live coordinator of a run.
func withAdmin<Result>(
  _ place: RunOptions, _ body: (AdminClient) async throws -> Result
) async throws -> Result {
  try await body(try AdminClient(runFolder: place.folder))
}

struct Explain: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Say why a run, a job or a worker waits.",
    discussion: """
      Example:
        comd explain --dir runs/first
        comd explain 12 --dir runs/first
        comd explain w2 --dir runs/first
      """)

  @Argument(help: "A job's number or a worker's name; the run itself when left out.")
  var subject: String?
  @OptionGroup var place: RunOptions
  @OptionGroup var facts: FactOptions

  func run() async throws {
    let lines = try await withAdmin(place) { try await $0.explain(subject) }
    if facts.json {
      try printJSON(["explanation": lines])
    } else {
      for line in lines { printFact(line) }
    }
  }
}

struct Pause: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Hand out no more work; what runs is finished.",
    discussion: """
      Example:
        comd pause --dir runs/first
      """)

  @OptionGroup var place: RunOptions

  func run() async throws {
    try await withAdmin(place) { try await $0.perform(.pause) }
    log("paused; `comd resume --dir \(place.folder)` goes on")
  }
}

struct Resume: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Hand out work again after a pause.",
    discussion: """
      Example:
        comd resume --dir runs/first
      """)

  @OptionGroup var place: RunOptions

  func run() async throws {
    try await withAdmin(place) { try await $0.perform(.resume) }
    log("resumed")
  }
}

struct Drain: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Let a worker finish what it holds, and leave.",
    discussion: """
      Example:
        comd drain w2 --dir runs/first
      """)

  @Argument(help: "The worker's name.")
  var worker: String
  @OptionGroup var place: RunOptions

  func run() async throws {
    try await withAdmin(place) { try await $0.perform(.drain(worker: worker)) }
    log("\(worker) gets no new work and leaves when it is done")
  }
}

struct Revoke: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Take a worker's key away now; its jobs go to others.",
    discussion: """
      Example:
        comd revoke w2 --dir runs/first
      """)

  @Argument(help: "The worker's name.")
  var worker: String
  @OptionGroup var place: RunOptions

  func run() async throws {
    try await withAdmin(place) { try await $0.perform(.revoke(worker: worker)) }
    log("\(worker) is out")
  }
}
