import ArgumentParser
import Formats
import Foundation
import Kernels
import Transformer

struct ModelInformation: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "info",
    abstract: "What a model is: parts, sizes, what it takes in memory.",
    discussion: """
      Nothing is loaded: of a folder only config.json is read, so the plan for a model can be seen \
      before it is downloaded.

      Example:
        comd model info models/llava-7b --batch 8 --context 2048
        comd model info llava-13b/ --weights q4_0 --context 1024 --memory 10GiB
        comd model info student/ --train projector-and-language --rows 2048 --json
      """)

  /// What the matrices of the language model are kept in.
  enum Weights: String, CaseIterable, ExpressibleByArgument {
    case f32, q40 = "q4_0", q41 = "q4_1", q4K = "q4_k", q50 = "q5_0", q80 = "q8_0", q6K = "q6_k"

    var encoding: TensorEncoding {
      switch self {
      case .f32: .f32
      case .q40: .q40
      case .q41: .q41
      case .q4K: .q4K
      case .q50: .q50
      case .q80: .q80
      case .q6K: .q6K
      }
    }
  }

  enum Trained: String, CaseIterable, ExpressibleByArgument {
    case projector, lora, projectorAndLanguage = "projector-and-language", all

    var parts: TrainedParts {
      switch self {
      case .projector: .projector
      case .lora: .projectorAndAdapters
      case .projectorAndLanguage: .projectorAndLanguage
      case .all: .all
      }
    }
  }

  @Argument(help: "A Hugging Face folder (config.json is enough) or a GGUF file.")
  var model: String
  @Option(help: "Requests that are answered together.")
  var batch = 1
  @Option(help: "Tokens of each, prompt and answer (default: what the model was made for).")
  var context: Int?
  @Option(help: "Plan with the language model in this encoding (default: the file's own).")
  var weights: Weights?
  @Option(help: "What a training changes (default: all; of a model that sees, not its tower).")
  var train: Trained?
  @Option(help: "Rows, tokens and pictures' features, of one pass of a training.")
  var rows = 1_024
  @Option(help: "Rank of the adapters that --train lora trains.")
  var rank = 16
  @Flag(help: "Plan a training that keeps only what enters each layer.")
  var recompute = false
  @Option(help: "Fail when generation needs more, like 8GiB.")
  var memory: Bytes?
  @OptionGroup var facts: FactOptions

  func validate() throws {
    try requireFile("model", model)
    try require("--batch", batch, in: 1...4_096)
    try require("--rows", rows, in: 1...1_000_000)
    try require("--rank", rank, in: 1...4_096)
    if let context { try require("--context", context, in: 1...10_000_000) }
  }

  func run() throws {
    var outline = try ModelOutline(model)
    if let weights { outline = outline.quantised(weights.encoding) }
    let context = min(context ?? outline.text.contextLength, outline.text.contextLength)
    let limits = outline.limits(batch: batch, context: context)
    let compute = try Compute()
    let memory = outline.generationMemory(limits, on: compute)
    let trained = train ?? (outline.seesPictures ? .projectorAndLanguage : .all)
    let facts = ModelFacts(
      outline,
      generation: ModelFacts.Generation(batch: batch, context: context, memory),
      training: ModelFacts.Training(
        trained.rawValue, rows: rows,
        outline.trainingMemory(
          trained.parts, rows: rows, recomputes: recompute,
          adapters: trained == .lora ? AdapterShape(rank: rank, alpha: 2 * Double(rank)) : nil,
          on: compute)),
      hasTokenizer: model.hasSuffix(".gguf")
        || FileManager.default.fileExists(atPath: model + "/tokenizer.json"))
    if self.facts.json {
      try printJSON(facts)
    } else {
      printFact(facts.text)
    }
    if let allowed = self.memory.map({ Int($0.count) }), memory.total > allowed {
      throw CommandError.failed("\(MemoryShortage(needed: memory, allowed: allowed))")
    }
  }
}

/// What is told of a model.
struct ModelFacts: Encodable {
  struct Part: Encodable {
    var name: String
    var tensors: Int
    var parameters: Int
  }

  struct Generation: Encodable {
    var batch: Int
    var context: Int
    var weightBytes: Int
    var keyValueBytes: Int
    var activationBytes: Int
    var featureBytes: Int
    var totalBytes: Int

    init(batch: Int, context: Int, _ memory: GenerationMemory) {
      (self.batch, self.context) = (batch, context)
      weightBytes = memory.weights
      keyValueBytes = memory.keyValues
      activationBytes = memory.activations
      featureBytes = memory.features
      totalBytes = memory.total
    }
  }

  struct Training: Encodable {
    struct Share: Encodable {
      var shards: Int
      var bytesPerWorker: Int
    }

    var trained: String
    var rows: Int
    var stateBytes: Int
    var packedBytes: Int
    var activationBytes: Int
    var workers: [Share]

    init(_ trained: String, rows: Int, _ memory: TrainingMemory) {
      (self.trained, self.rows) = (trained, rows)
      stateBytes = memory.state
      packedBytes = memory.packed
      activationBytes = memory.activations
      workers = [1, 2, 4, 8].map {
        Share(shards: $0, bytesPerWorker: memory.perWorker(shards: $0))
      }
    }
  }

  var architecture: String
  var parts: [Part]
  var parameters: Int
  var layers: Int
  var hiddenSize: Int
  var heads: Int
  var keyValueHeads: Int
  var vocabulary: Int
  var context: Int
  var imageTokens: Int
  var keyValueBytesPerToken: Int
  var hasTokenizer: Bool
  var generation: Generation
  var training: Training

  init(
    _ outline: ModelOutline, generation: Generation, training: Training, hasTokenizer: Bool
  ) {
    let text = outline.text
    architecture = outline.architecture
    parts = outline.partSizes.map {
      Part(name: "\($0.part)", tensors: $0.tensors, parameters: $0.parameters)
    }
    parameters = outline.parameterCount
    layers = text.layerCount
    hiddenSize = text.hiddenSize
    heads = text.headCount
    keyValueHeads = text.keyValueHeadCount
    vocabulary = text.vocabularySize
    context = text.contextLength
    imageTokens = outline.imageTokens
    keyValueBytesPerToken =
      outline.keyValueBytes(
        sequences: 1, positions: 64, limits: GenerationLimits(pageRows: 64)) / 64
    (self.generation, self.training) = (generation, training)
    self.hasTokenizer = hasTokenizer
  }

  var text: String {
    let sizes = textTable(
      ["part", "tensors", "parameters"],
      parts.map { [$0.name, "\($0.tensors)", "\($0.parameters)"] }
        + [["all", "\(parts.reduce(0) { $0 + $1.tensors })", "\(parameters)"]])
    let plan = textTable(
      ["to generate", "MiB"],
      [
        ["weights", mebibytes(generation.weightBytes)],
        ["keys and values", mebibytes(generation.keyValueBytes)],
        ["a pass", mebibytes(generation.activationBytes)],
        ["features of pictures", mebibytes(generation.featureBytes)],
        ["all", mebibytes(generation.totalBytes)],
      ])
    let shares = textTable(
      ["shards", "MiB a worker"],
      training.workers.map { ["\($0.shards)", mebibytes($0.bytesPerWorker)] })
    return """
      \(architecture)
      \(layers) layers, \(hiddenSize) wide, \(heads) heads (\(keyValueHeads) for keys and values)
      vocabulary \(vocabulary), context \(context), \(imageTokens) embeddings a picture
      \(keyValueBytesPerToken) bytes of keys and values for each token
      tokenizer: \(hasTokenizer ? "there" : "none")

      \(sizes)

      \(generation.batch) requests of \(generation.context) tokens:

      \(plan)

      Training \(training.trained): weights, gradients and moments \
      \(mebibytes(training.stateBytes)) MiB over the shards, frozen matrices once more \
      \(mebibytes(training.packedBytes)) MiB and a pass of \(training.rows) rows \
      \(mebibytes(training.activationBytes)) MiB in each worker:

      \(shares)
      """
  }

  private func mebibytes(_ bytes: Int) -> String { short(Double(bytes) / 0x1p20) }
}
