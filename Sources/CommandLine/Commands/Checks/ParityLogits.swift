import ArgumentParser
import Formats
import Kernels
import Transformer

struct ParityLogits: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "logits",
    abstract: "The logits of every position: tensor logits (T, vocabulary) in f32.",
    discussion: """
      The picture's place among the tokens is the config's image token, once or once a patch.

      Example:
        comd parity logits --model models/smollm2 --tokens 1,2,3 --out logits.safetensors
      """)

  @OptionGroup var model: ModelOptions
  @Option(help: "Token ids.")
  var tokens: NumberList
  @Option(help: "A picture, JPEG or PNG.")
  var image: String?
  @Option(help: "The file to write.")
  var out: String
  @OptionGroup var computing: ComputeOptions
  @OptionGroup var facts: FactOptions

  func validate() throws { if let image { try requireFile("--image", image) } }

  func run() throws {
    let (loaded, compute) = try computing.generating(model)
    let sample = try loaded.trainingInput(
      tokens: tokens.numbers, images: try image.map { [try picture($0, for: loaded).image] } ?? [])
    let logits = try loaded.logits(of: sample, on: compute)
    let columns = loaded.text.vocabularySize
    let shape = [logits.count / columns, columns]
    try writeTensors([("logits", shape, logits.array)], to: out)
    if facts.json {
      try printJSON(Written(out: out, shape: shape))
    } else {
      printFact(out)
    }
  }

  private struct Written: Encodable {
    var out: String
    var shape: [Int]
  }
}
