import ArgumentParser

struct BenchAllReduce: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "allreduce",
    abstract: "Summing a vector over workers (not available in this version).",
    discussion: """
      Example:
        comd bench allreduce --bytes 20MiB --workers 2 --plain
      """)

  @Option(help: "The size of the vector.")
  var bytes = Bytes(20 << 20)
  @Option(help: "Worker processes.")
  var workers = 2
  @Flag(help: "Without encryption.")
  var plain = false
  @OptionGroup var options: BenchOptions

  func run() throws { throw CommandError.notAvailable("bench allreduce") }
}

struct BenchDispatch: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "dispatch",
    abstract: "Handing out empty jobs durably (not available in this version).",
    discussion: """
      Example:
        comd bench dispatch --jobs 20000 --workers 8
      """)

  @Option(help: "Jobs to hand out.")
  var jobs = 20_000
  @Option(help: "Workers.")
  var workers = 8
  @OptionGroup var options: BenchOptions

  func run() throws { throw CommandError.notAvailable("bench dispatch") }
}
