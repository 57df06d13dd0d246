import ArgumentParser
import Distillation
import Domain
import Formats
import Kernels
import Transformer

struct BenchJudge: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "judge",
    abstract: "Judgements in both orders end to end, in judgements a second.",
    discussion: """
      Each instruction is judged twice, its two answers in either order, with the default prompts. \
      All are about one picture. The two share picture and question; --no-caches computes \
      everything for each.

      Example:
        comd bench judge --model llava/ --image cat.jpg --instructions 64
        comd bench judge --model llava/ --image cat.jpg --instructions 64 --no-caches
      """)

  @OptionGroup var model: ModelOptions
  @Option(help: "A picture, JPEG or PNG; none is shown without.")
  var image: String?
  @Option(help: "Instructions, each judged twice.")
  var instructions = 64
  @Option(help: "Words of each answer that is judged.")
  var words = 40
  @Option(help: "Tokens that the judge says.")
  var generate = 8
  @Option(help: "Judgements at one time.")
  var batch = 32
  @Flag(help: "Keep no features of pictures and no beginnings of prompts.")
  var noCaches = false
  @OptionGroup var options: BenchOptions

  func validate() throws {
    try require("--instructions", instructions, in: 1...100_000)
    try require("--words", words, in: 1...10_000)
    try require("--generate", generate, in: 1...100_000)
    try require("--batch", batch, in: 1...4_096)
    if let image { try requireFile("--image", image) }
  }

  func run() throws {
    let (loaded, compute) = try options.computing.generating(model)
    let requests = try requests(loaded)
    let limits = GenerationLimits(batchMax: batch)
    var counts = GenerationCounts()
    try measure(
      "judge", unit: "judgement/s", amount: Double(requests.count), operations: 0, options
    ) {
      // A generator of its own for each run, so that each begins with empty caches.
      let generator = Generator(
        model: loaded, compute: compute, limits: noCaches ? limits.withoutCaches : limits)
      _ = try generator.run(requests)
      counts = generator.counts
    }
    log(
      "comd: computed \(counts.computedRows) of \(counts.promptRows) rows of prompts, "
        + "the tower saw \(counts.pictures) pictures")
  }

  private func requests(_ loaded: Model) throws -> [GenerationInput] {
    let tokenizer = try requireTokenizer(of: loaded, at: model.model)
    let shown = try image.map { try picture($0, for: loaded) }
    let (prompts, template) = (try PromptSet(), defaultConversation(tokenizer))
    var random = SeededRandom(seed: 1, "bench judge")
    return try (0..<instructions).flatMap { _ in
      let question = "Is it true that " + text(12, &random) + "?"
      let answers = (text(words, &random), text(words, &random))
      return try PresentationOrder.allCases.map { order in
        let prompt = prompts.judgement(
          of: question, image: shown?.digest, teacher: answers.0, student: answers.1,
          order: order, in: template)
        var input = ModelInput(pieces: [], images: shown.map { [$0.image] } ?? [])
        for (place, part) in prompt.parts.enumerated() {
          input.pieces += try pieces(of: part, isFirst: place == 0, tokenizer)
        }
        return GenerationInput(input, tokensMax: generate)
      }
    }
  }

  /// So many common words in a drawn order.
  private func text(_ count: Int, _ random: inout SeededRandom) -> String {
    let words = [
      "the", "red", "cat", "sits", "near", "a", "small", "house", "and", "two", "people", "look",
      "at", "it", "from", "left", "while", "one", "blue", "car", "stands", "behind", "them",
    ]
    return (0..<count).map { _ in words[random.below(words.count)] }.joined(separator: " ")
  }
}
