import ArgumentParser

struct Parity: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Write the numbers of a model, to compare them with another implementation's.",
    discussion: """
      Example:
        comd parity logits --model models/smollm2 --tokens 1,2,3 --out logits.safetensors
      """,
    subcommands: [
      ParityLogits.self, ParityGradients.self, ParityTokens.self, ParityImage.self,
      ParityTraining.self, ParityPrecision.self,
    ])
}
