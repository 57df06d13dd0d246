import ArgumentParser

struct Bench: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Measure how fast this machine does one thing; the median of several runs.",
    discussion: """
      Example:
        comd bench train --shape smollm2-135m --batch 2 --length 512 --threads 2 --json
      """,
    subcommands: [
      BenchTrain.self, BenchPrefill.self, BenchDecode.self, BenchVision.self, BenchImage.self,
      BenchJudge.self, BenchAllReduce.self, BenchDispatch.self, BenchDecisions.self,
      BenchRestart.self,
    ])
}
