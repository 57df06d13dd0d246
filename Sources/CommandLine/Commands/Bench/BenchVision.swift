import ArgumentParser
import Formats
import Kernels
import Transformer

struct BenchVision: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "vision",
    abstract: "Pictures through tower, projector and language model, in pictures a second.",
    discussion: """
      Each picture is read as a prompt of its own. With --tower the weights are random and the \
      language model is so small that the tower's time is measured.

      Example:
        comd bench vision --model models/llava-7b --batch 8
        comd bench vision --tower models/dinov2-vit-s14 --side 224 --batch 8
      """)

  @Option(help: "A LLaVA model's folder.")
  var model: String?
  @Option(help: "A vision tower's folder, of which config.json is read.")
  var tower: String?
  @Option(help: "Edge of a picture in pixels, with --tower (default: what the tower was made for).")
  var side: Int?
  @Option(help: "Pictures of a run.")
  var batch = 8
  @OptionGroup var options: BenchOptions

  func validate() throws {
    guard (model == nil) != (tower == nil) else {
      throw ValidationError("Either --model or --tower is wanted.")
    }
    if side != nil && tower == nil { throw ValidationError("--side goes with --tower.") }
    try require("--batch", batch, in: 1...1_024)
    if let model { try requireFile("--model", model) }
    if let tower { try requireFile("--tower", tower) }
    if let side { try require("--side", side, in: 1...4_096) }
  }

  func run() throws {
    let compute = try options.computing.compute()
    let products = try options.computing.products
    let loaded =
      try tower.map { try lone(tower: $0, side: side).multiplying(products) }
      ?? Model.load(model ?? "", for: .generation(options.computing.generation, on: compute))
    guard let llava = loaded.llava else {
      throw CommandError.usage("--model: \(model ?? "") cannot see")
    }
    let edge = Int(Double(llava.imageTokenCount).squareRoot()) * llava.vision.patchSize
    let requests = (0..<batch).map { index in
      GenerationInput(
        ModelInput(pieces: [.image(0)], images: [ModelImage(gradientPicture(edge, index))]),
        tokensMax: 1)
    }
    let operations =
      llava.vision.forwardOperations(side: edge, layers: llava.visionLayersUsed)
      + llava.text.forwardOperations(length: llava.imageTokenCount, logits: 1)
    let generator = Generator(
      model: loaded, compute: compute, limits: GenerationLimits(batchMax: batch))
    try measure(
      "vision", unit: "img/s", amount: Double(batch), operations: operations * Double(batch),
      options
    ) {
      _ = try generator.run(requests)
    }
  }
}

/// A tower of this folder's shape with random weights, read as LLaVA reads it by a language model
/// of one narrow layer.
private func lone(tower folder: String, side: Int?) throws -> Model {
  guard case .vision(let vision) = try ModelConfig(folder: folder) else {
    throw CommandError.usage("--tower: \(folder) is no vision tower")
  }
  let patches = (side ?? vision.imageSize) / vision.patchSize
  guard patches > 0 else {
    throw CommandError.usage("--side: a patch has \(vision.patchSize) pixels")
  }
  let reader = DecoderConfig(
    architecture: .llama, vocabularySize: 2, hiddenSize: 32, intermediateSize: 32, layerCount: 1,
    headCount: 1, keyValueHeadCount: 1, headSize: 32, contextLength: patches * patches + 1,
    normEpsilon: 1e-5, ropeBase: 1e4, queryKeyValueBias: false, tiedEmbedding: true)
  let llava = LlavaConfig(
    text: reader, vision: vision, imageToken: 1, projector: .linear,
    imageTokenCount: patches * patches)
  return Model.random(.llava(llava), RandomInitialisation(seed: 1))
}

/// A picture whose values rise from corner to corner, another for each index.
private func gradientPicture(_ side: Int, _ index: Int) -> PixelValues {
  let count = 3 * side * side
  return PixelValues(
    channels: 3, height: side, width: side,
    values: (0..<count).map { Float(($0 + index * 31) % count) / Float(count) * 2 - 1 })
}

extension VisionConfig {
  /// Multiply-adds times two of the tower's layers for one picture, the class token left out.
  func forwardOperations(side: Int, layers: Int) -> Double {
    let rows = Double((side / patchSize) * (side / patchSize))
    let width = Double(hiddenSize)
    let layer = 4 * width * width + 2 * width * Double(intermediateSize) + 2 * rows * width
    let patches = Double(channelCount * patchSize * patchSize) * width
    return 2 * rows * (Double(layers) * layer + patches)
  }
}
