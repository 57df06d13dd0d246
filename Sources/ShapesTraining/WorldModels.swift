public import Formats
public import Shapes
public import Transformer

/// Positions of every model of the world: a conversation of eight turns fits.
let contextLength = 512

/// High enough that most pairs of a head hardly turn over a conversation: content is found by what
/// it is, wherever it stands.
private let ropeBase = 1_000_000.0

/// Standard deviation of weights before the first training.
let initialDeviation = 0.04

/// The sizes of a language model.
public struct LanguageSize: Hashable, Sendable {
  public var hidden: Int
  public var layers: Int
  public var heads: Int
  public var feedForward: Int

  public init(hidden: Int, layers: Int, heads: Int, feedForward: Int) {
    self.hidden = hidden
    self.layers = layers
    self.heads = heads
    self.feedForward = feedForward
  }
}

/// How drawings become pixel values: as they are, to about ±2.
public let worldImageProcessor = ImageProcessor(
  kind: .bit, resize: .exact(ImageProcessor.Size(height: Drawing.side, width: Drawing.side)),
  crop: nil,
  normalization: ImageProcessor.Normalization(
    mean: [0.5, 0.5, 0.5], deviation: [0.25, 0.25, 0.25]))

/// The one vision tower: DINOv2's form, a patch for each cell of the picture, so that a picture is
/// nine tokens.
public func towerConfig(patch: Int = Drawing.cellSide) -> VisionConfig {
  VisionConfig(
    family: .dinov2, hiddenSize: 128, intermediateSize: 512, layerCount: 4, headCount: 4,
    imageSize: Drawing.side, patchSize: patch, normEpsilon: 1e-6, activation: .gelu)
}

func languageConfig(_ size: LanguageSize, _ tokenizer: Tokenizer) -> DecoderConfig {
  DecoderConfig(
    architecture: .llama, vocabularySize: tokenizer.vocabularyCount, hiddenSize: size.hidden,
    intermediateSize: size.feedForward, layerCount: size.layers, headCount: size.heads,
    keyValueHeadCount: size.heads, headSize: size.hidden / size.heads,
    contextLength: contextLength, normEpsilon: 1e-5, ropeBase: ropeBase, queryKeyValueBias: false,
    tiedEmbedding: true, beginToken: tokenizer.beginToken,
    endTokens: tokenizer.endToken.map { [$0] } ?? [], padToken: tokenizer.padToken)
}

/// A LLaVA model of the world before its first training.
public func worldModel(
  _ size: LanguageSize, vision: VisionConfig, projector: ProjectorKind, tokenizer: Tokenizer,
  seed: UInt64
) -> Model {
  let side = vision.imageSize / vision.patchSize
  let config = LlavaConfig(
    text: languageConfig(size, tokenizer), vision: vision,
    imageToken: tokenizer.controlToken(imageTokenName) ?? 0, featureLayer: -1,
    projector: projector, imageTokenCount: side * side)
  let model = Model.random(
    .llava(config),
    RandomInitialisation(seed: seed, deviation: initialDeviation, positionDeviation: 0.5),
    tokenizer: tokenizer, imageProcessor: worldImageProcessor)
  beginByMatching(model, matching: 0.05, carrying: 0.08)
  return model
}
