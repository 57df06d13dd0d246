import ArgumentParser
import Formats
import Foundation
import Kernels
import Transformer

struct ParityPrecision: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "precision",
    abstract: "What a model loses when it generates in int8: its next tokens beside those in f32.",
    discussion: """
      At each place of a text the two distributions over the next token are compared: their \
      Kullback-Leibler divergence in nats, whether the likeliest token is the same, and how well \
      each foresees the text (perplexity). Take a text like those that the model will see.

      Example:
        comd parity precision --model teacher.gguf --text "$(cat sample.txt)"
      """)

  @OptionGroup var model: ModelOptions
  @Option(help: "The text, of at least two tokens.")
  var text: String
  @Option(help: "What f32 is compared with: bf16 or int8.")
  var precision = ComputeOptions.Precision.int8
  @Option(help: "Threads that compute.")
  var threads = ProcessInfo.processInfo.activeProcessorCount
  @OptionGroup var facts: FactOptions

  func validate() throws {
    try require("--threads", threads, in: 1...256)
    if precision == .f32 { throw ValidationError("--precision: f32 is compared with f32") }
  }

  func run() throws {
    let compute = try Compute(threads: threads)
    let exact = try Model.load(model.model, for: .generation(.f32, on: compute))
    let other = try Model.load(model.model, for: .generation(precision.generation, on: compute))
    guard let tokenizer = exact.tokenizer else {
      throw CommandError.usage("--model: \(model.model) has no tokenizer")
    }
    let tokens = tokenizer.encodeWithControl(text)
    guard tokens.count > 1 else {
      throw CommandError.usage("--text: \(tokens.count) tokens; two at least are needed")
    }
    let loss = try PrecisionLoss(of: tokens, exact: exact, other: other, on: compute)
    if facts.json { return try printJSON(loss) }
    printFact(
      """
      \(precision.rawValue) beside f32 at \(loss.positions) places
      divergence of the next token: mean \(nats(loss.divergenceMean)), most \
      \(nats(loss.divergenceMax)) nats
      the same likeliest token: \(String(format: "%.1f", 100 * loss.sameChoice)) %
      perplexity of the text: \(String(format: "%.3f", loss.perplexity)) in f32, \
      \(String(format: "%.3f", loss.perplexityThere)) in \(precision.rawValue)
      """)
  }

  private func nats(_ value: Double) -> String { String(format: "%.5f", value) }
}
