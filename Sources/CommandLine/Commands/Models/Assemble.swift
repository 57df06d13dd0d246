import ArgumentParser
import Formats
import Foundation
import Transformer

struct Assemble: ParsableCommand {
  enum Projection: String, CaseIterable, ExpressibleByArgument {
    case linear
    case mlp2xGELU = "mlp2x_gelu"

    var kind: ProjectorKind {
      switch self {
      case .linear: .linear
      case .mlp2xGELU: .mlp(.gelu)
      }
    }
  }

  static let configuration = CommandConfiguration(
    abstract: "Put a language model and a vision tower together, with a new projector.",
    discussion: """
      The projector's weights are drawn from the seed; stage 1 of a run teaches them.

      Example:
        comd model assemble --language smollm2.gguf --vision models/dinov2-s \
      --image-token "<|endoftext|>" --layers 12 --out models/student
      """)

  @Option(help: "The language model: a Hugging Face folder or a GGUF file.")
  var language: String
  @Option(help: "The vision tower: a Hugging Face folder of a CLIP or DINOv2 model.")
  var vision: String
  @Option(help: "The form of the projector.")
  var projector = Projection.mlp2xGELU
  @Option(help: "Keep the first so many layers of the language model (default: all).")
  var layers: Int?
  @Option(
    help: "The side of the pictures in pixels (default: as the tower's folder says, else 224).")
  var imageSize: Int?
  @Option(help: "The tower's layer whose features are taken, from the end.")
  var featureLayer = -2
  @Option(help: "A control token of the vocabulary that shall stand for the picture.")
  var imageToken: String
  @Option(help: "Of the projector's first weights.")
  var seed: UInt64 = 1
  @Option(help: "How the weights are stored.")
  var precision = StoredAs.f32
  @Option(help: "The folder to write.")
  var out: String

  func validate() throws {
    try requireFile("--language", language)
    try requireFile("--vision", vision)
    if let layers { try require("--layers", layers, in: 1...10_000) }
    if let imageSize { try require("--image-size", imageSize, in: 1...4_096) }
  }

  func run() throws {
    var text = try Model.load(language)
    if let layers { text = text.cut(layers: min(layers, text.text.layerCount)) }
    let processor = try self.imageProcessor()
    let model = try Model.assemble(
      language: text, tower: vision, projector: projector.kind, imageToken: imageToken,
      imageProcessor: processor, imageTokenCount: try imageTokenCount(processor),
      featureLayer: featureLayer, seed: seed)
    try model.save(folder: out, precision: precision.precision)
    printFact(out)
  }

  /// What the tower's folder says, or what its family was trained with, at the size asked for.
  private func imageProcessor() throws -> ImageProcessor {
    let files = ["preprocessor_config.json", "processor_config.json"]
    let isThere = files.contains { FileManager.default.fileExists(atPath: "\(vision)/\($0)") }
    var processor =
      isThere ? try ImageProcessor(folder: vision) : ImageProcessor(resize: .none, crop: nil)
    if !isThere {
      switch try towerConfig().family {
      case .clip: break
      case .dinov2: (processor.kind, processor.normalization) = (.bit, .imageNet)
      case .siglip: (processor.kind, processor.normalization) = (.siglip, .half)
      }
    }
    if !isThere || imageSize != nil {
      let side = imageSize ?? 224
      let square = ImageProcessor.Size(height: side, width: side)
      // SigLIP sees the whole picture, pressed into a square.
      processor.resize = processor.kind == .siglip ? .exact(square) : .shortestEdge(side)
      processor.crop = processor.kind == .siglip ? nil : square
    }
    return processor
  }

  /// Embeddings of a picture as the processor cuts it; nil where its pictures have many sizes.
  private func imageTokenCount(_ processor: ImageProcessor) throws -> Int? {
    let patch = try towerConfig().patchSize
    var size = processor.crop
    if size == nil, case .exact(let exact) = processor.resize { size = exact }
    return size.map { ($0.height / patch) * ($0.width / patch) }
  }

  private func towerConfig() throws -> VisionConfig {
    switch try ModelConfig(folder: vision) {
    case .vision(let tower): return tower
    case .decoder, .llava:
      throw CommandError.usage("--vision: \(vision) is not a vision tower alone")
    }
  }
}
