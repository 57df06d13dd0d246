import ArgumentParser
import Formats
import Kernels
import Transformer

struct BenchPrefill: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "prefill",
    abstract: "Reading a prompt, in tokens a second.",
    discussion: """
      Example:
        comd bench prefill --model smollm2.gguf --length 512
      """)

  @OptionGroup var model: ModelOptions
  @Option(help: "Tokens of the prompt.")
  var length = 512
  @OptionGroup var options: BenchOptions

  func validate() throws { try require("--length", length, in: 1...1_000_000) }

  func run() throws {
    let (loaded, compute) = try options.computing.generating(model)
    let generator = Generator(
      model: loaded, compute: compute, limits: GenerationLimits(batchMax: 1, prefixBytesMax: 0))
    var run = 0
    try measure(
      "prefill", unit: "tok/s", amount: Double(length),
      operations: loaded.text.forwardOperations(length: length, logits: 1), options
    ) {
      // Another prompt each time, so that nothing of the last one can be used again.
      run += 1
      let prompt = benchTokens(length, vocabulary: loaded.text.vocabularySize, seed: run)
      _ = try generator.run([GenerationInput(ModelInput(tokens: prompt), tokensMax: 1)])
    }
  }
}

struct BenchDecode: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "decode",
    abstract: "Answering requests in one batch, in generated tokens a second.",
    discussion: """
      Prompts are included in the time; beside it stands the rate without them.

      Example:
        comd bench decode --model smollm2.gguf --requests 32 --prompt 128 --generate 48
      """)

  @OptionGroup var model: ModelOptions
  @Option(help: "Requests of the batch.")
  var requests = 32
  @Option(help: "Tokens of each prompt.")
  var prompt = 128
  @Option(help: "Tokens that are generated for each.")
  var generate = 48
  @OptionGroup var options: BenchOptions

  func validate() throws {
    try require("--requests", requests, in: 1...4_096)
    try require("--prompt", prompt, in: 1...1_000_000)
    try require("--generate", generate, in: 2...1_000_000)
  }

  func run() throws {
    let (loaded, compute) = try options.computing.generating(model)
    let generator = Generator(
      model: loaded, compute: compute,
      limits: GenerationLimits(batchMax: requests, keyValueBytesMax: 1 << 40, prefixBytesMax: 0))
    let text = loaded.text
    var seed = 0
    func seconds(generating count: Int) throws -> Double {
      // Other prompts each time, so that nothing of the last ones can be used again.
      let inputs = (0..<requests).map { _ in
        seed += 1
        let tokens = benchTokens(prompt, vocabulary: text.vocabularySize, seed: seed)
        return GenerationInput(ModelInput(tokens: tokens), tokensMax: count)
      }
      return try ContinuousClock().measure { _ = try generator.run(inputs) } / .seconds(1)
    }
    _ = try seconds(generating: 1)
    let progress = Progress("bench decode", unit: "runs", total: options.runs)
    var (whole, apart): ([Double], [Double]) = ([], [])
    for run in 0..<options.runs {
      // Prompts and the first tokens cost the same in both; the rest is generation alone.
      let first = try seconds(generating: 1)
      let all = try seconds(generating: generate)
      whole.append(Double(requests * generate) / all)
      apart.append(Double(requests * (generate - 1)) / (all - first))
      progress.update(run + 1)
    }
    let operations =
      text.forwardOperations(length: prompt + generate, logits: generate) / Double(generate)
    try tell(
      "decode", unit: "tok/s", values: whole, generating: apart, operations: operations, options)
  }
}
