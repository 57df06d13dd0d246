import ArgumentParser
import Formats
import Kernels
import Transformer

struct BenchTrain: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "train",
    abstract: "Forward and backward of a model with random weights, in tokens a second.",
    discussion: """
      Example:
        comd bench train --shape smollm2-135m --batch 2 --length 512
      """)

  @Option(help: "The shape of the model.")
  var shape = BenchShape.smolLM2
  @Option(help: "Sequences of a step.")
  var batch = 2
  @Option(help: "Tokens of a sequence.")
  var length = 512
  @Flag(help: "Keep only what enters each layer, and run it forward again.")
  var recompute = false
  @OptionGroup var options: BenchOptions

  func validate() throws {
    try require("--batch", batch, in: 1...1_024)
    try require("--length", length, in: 2...shape.config.contextLength)
  }

  func run() throws {
    let compute = try options.computing.compute()
    let model = Model.random(.decoder(shape.config), RandomInitialisation(seed: 1))
      .multiplying(try options.computing.products)
    let trainer = Trainer(
      model: model, trained: .all, compute: compute, recomputes: recompute)
    let gradient = Floats(zeros: trainer.trainedRange.count)
    let samples = (0..<batch).map { sequence in
      TrainingInput(
        prefix: benchTokens(length, vocabulary: shape.config.vocabularySize, seed: sequence)
          .map { TrainingPiece(.token($0), trained: true) })
    }
    let tokens = Double(batch * length)
    // As is usual: two for each parameter forward, four backward; attention is not counted.
    let operations = 6 * Double(model.layout.count) * tokens
    try measure("train", unit: "tok/s", amount: tokens, operations: operations, options) {
      _ = try trainer.gradient(of: samples, into: gradient)
    }
  }
}
