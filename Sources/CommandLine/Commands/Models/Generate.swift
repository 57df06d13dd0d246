import ArgumentParser
import Distillation
import Domain
import Formats
import Kernels
import Transformer

struct Generate: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Let a model answer a prompt.",
    discussion: """
      Example:
        comd generate --model models/llava-7b --image cat.jpg --prompt "What does the cat do?"
        comd generate --model smollm2.gguf --prompt "Once upon a time" --raw --max-tokens 64
      """)

  @OptionGroup var model: ModelOptions
  @Option(help: "A picture, JPEG or PNG.")
  var image: String?
  @Option(help: "What is asked.")
  var prompt: String
  @Option(help: "The most tokens that it says.")
  var maxTokens = 256
  @Option(help: "0 takes the likeliest token always.")
  var temperature = 0.0
  @Option(help: "The share of probability that is drawn from.")
  var topP = 1.0
  @Option(help: "Of the draws.")
  var seed: UInt64 = 1
  @Option(help: "The form of the dialogue (default: what fits the vocabulary).")
  var conversation: String?
  @Flag(help: "Go on from the prompt as it is, without the form of a dialogue.")
  var raw = false
  @OptionGroup var computing: ComputeOptions
  @OptionGroup var facts: FactOptions

  func validate() throws {
    try require("--max-tokens", maxTokens, in: 1...1_000_000)
    try require("--temperature", temperature, in: 0...100)
    if !(topP > 0 && topP <= 1) {
      throw ValidationError("--top-p takes a number above 0, up to 1.")
    }
    if let image { try requireFile("--image", image) }
  }

  func run() throws {
    let precision = computing.generation
    let compute = try Compute(threads: computing.threads)
    let limits = try ModelOutline(model.model, precision).fitting(
      GenerationLimits(batchMax: 1), into: availableMemoryBytes(), on: compute)
    let loaded = try Model.load(model.model, for: .generation(precision, on: compute))
    let tokenizer = try requireTokenizer(of: loaded, at: model.model)
    let template =
      try conversation.map { try CommandLineTool.conversation(named: $0) }
      ?? defaultConversation(tokenizer)
    let shown = try image.map { try picture($0, for: loaded) }
    let parts =
      raw
      ? (shown.map { [.image($0.digest)] } ?? []) + [.text(prompt)]
      : template.prompt(system: "", image: shown?.digest, question: prompt).parts
    var input = ModelInput(pieces: [], images: shown.map { [$0.image] } ?? [])
    if raw { input.pieces = tokenizer.prefixTokens.map { .token($0) } }
    for (place, part) in parts.enumerated() {
      input.pieces += try pieces(of: part, isFirst: place == 0, tokenizer)
    }
    let stops = raw ? [] : template.stops.compactMap { tokenizer.controlToken($0) }
    let request = GenerationInput(
      input, sampling: SamplingParameters(temperature: temperature, topP: topP, seed: seed),
      tokensMax: maxTokens, stops: loaded.endTokens + stops)
    let generator = Generator(
      model: loaded, compute: compute, limits: limits)
    guard let answer = try generator.run([request]).first else { return }
    let text = tokenizer.decode(answer.tokens)
    if facts.json {
      try printJSON(
        Answer(
          text: text, promptTokens: answer.promptTokens, tokens: answer.tokens,
          stop: "\(answer.stop)"))
    } else {
      printFact(text)
    }
  }

  private struct Answer: Encodable {
    var text: String
    var promptTokens: Int
    var tokens: [Int32]
    var stop: String
  }
}
