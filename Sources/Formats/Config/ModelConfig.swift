/// What a `config.json` describes.
public enum ModelConfig: Hashable, Sendable {
  /// One of `DecoderArchitecture`, or the text half of `gemma3`: text only.
  case decoder(DecoderConfig)
  /// `clip_vision_model`, `siglip_vision_model`, `dinov2`, the vision half of `clip` or `siglip`.
  case vision(VisionConfig)
  /// `llava` or `llava_next`: a vision tower, a projector and a decoder.
  case llava(LlavaConfig)
}

/// The kinds of vision tower: CLIP's has a class embedding, a LayerNorm before the first layer and
/// biases everywhere but at the patches; DINOv2's scales what each sublayer adds (LayerScale);
/// SigLIP's is CLIP's without class embedding and that LayerNorm, and with a bias at the patches.
public enum VisionFamily: Hashable, Sendable {
  case clip, dinov2, siglip

  /// Rows in front of the patches: the class token, where there is one.
  public var classRows: Int { self == .siglip ? 0 : 1 }
}

public enum Activation: String, Hashable, Sendable {
  /// x · sigmoid(1.702 x).
  case quickGELU = "quick_gelu"
  /// x · Φ(x), with the error function.
  case gelu
  /// The same with the tanh approximation.
  case geluTanh = "gelu_pytorch_tanh"
}

/// The shape of a vision transformer.
public struct VisionConfig: Hashable, Sendable {
  public var family: VisionFamily
  public var hiddenSize: Int
  public var intermediateSize: Int
  public var layerCount: Int
  public var headCount: Int
  public var channelCount: Int
  /// Edge in pixels of the square for which the position table was made.
  public var imageSize: Int
  /// Edge of a patch in pixels.
  public var patchSize: Int
  public var normEpsilon: Double
  public var activation: Activation
  public var queryKeyValueBias: Bool
  /// DINOv2: what LayerScale starts from.
  public var layerScaleInitial: Double
  /// CLIP: width of the space shared with text; not used by LLaVA.
  public var projectionSize: Int

  public init(
    family: VisionFamily, hiddenSize: Int, intermediateSize: Int, layerCount: Int, headCount: Int,
    channelCount: Int = 3, imageSize: Int, patchSize: Int, normEpsilon: Double,
    activation: Activation, queryKeyValueBias: Bool = true, layerScaleInitial: Double = 1,
    projectionSize: Int = 512
  ) {
    self.family = family
    self.hiddenSize = hiddenSize
    self.intermediateSize = intermediateSize
    self.layerCount = layerCount
    self.headCount = headCount
    self.channelCount = channelCount
    self.imageSize = imageSize
    self.patchSize = patchSize
    self.normEpsilon = normEpsilon
    self.activation = activation
    self.queryKeyValueBias = queryKeyValueBias
    self.layerScaleInitial = layerScaleInitial
    self.projectionSize = projectionSize
  }
}

/// Which of a vision layer's outputs become image tokens.
public enum FeatureSelection: String, Hashable, Sendable {
  /// All but the first, which is the class token; of a tower without one, the first patch.
  case patches = "default"
  case all = "full"
}

/// What stands between the vision tower and the decoder.
public enum ProjectorKind: Hashable, Sendable {
  /// One linear layer, as in the first LLaVA. Hugging Face's `llava` always has two layers: this
  /// is written as `"mm_projector_type": "linear"` with `"projector_hidden_act": "linear"` and a
  /// second layer that does nothing.
  case linear
  /// Linear, activation, linear: LLaVA-1.5.
  case mlp(Activation)
}

/// A LLaVA model: picture in, text out.
public struct LlavaConfig: Hashable, Sendable {
  public var text: DecoderConfig
  public var vision: VisionConfig
  /// The token that stands for the picture, once or once per patch.
  public var imageToken: Int32
  /// Which hidden state of the tower is taken: 0 the embeddings, n after layer n; negative from the
  /// end, −1 the last.
  public var featureLayer: Int
  public var featureSelection: FeatureSelection
  public var projector: ProjectorKind
  public var projectorBias: Bool
  /// Image tokens of one picture; of LLaVA-NeXT, those of one tile.
  public var imageTokenCount: Int
  /// LLaVA-NeXT: a picture is seen whole, and fitted into the best of these in tiles of the tower's
  /// size; a newline embedding closes each line of their features. Nil: LLaVA.
  public var resolutions: [ImageProcessor.Size]?

  public init(
    text: DecoderConfig, vision: VisionConfig, imageToken: Int32, featureLayer: Int = -2,
    featureSelection: FeatureSelection = .patches, projector: ProjectorKind = .mlp(.gelu),
    projectorBias: Bool = true, imageTokenCount: Int, resolutions: [ImageProcessor.Size]? = nil
  ) {
    self.resolutions = resolutions
    self.text = text
    self.vision = vision
    self.imageToken = imageToken
    self.featureLayer = featureLayer
    self.featureSelection = featureSelection
    self.projector = projector
    self.projectorBias = projectorBias
    self.imageTokenCount = imageTokenCount
  }
}

extension VisionConfig {
  /// Features of a picture with so many patches.
  public func featureCount(patches: Int, _ selection: FeatureSelection) -> Int {
    patches + family.classRows - (selection == .all ? 0 : 1)
  }

  /// Patches of a picture of the size that the position table was made for.
  public var patchCount: Int { (imageSize / patchSize) * (imageSize / patchSize) }
}

extension LlavaConfig {
  /// The most image tokens that a picture of the tower's size, or of any size in tiles, can take.
  public var imageTokensMax: Int {
    guard let resolutions else { return imageTokenCount }
    let side = vision.imageSize / vision.patchSize
    let tiled = resolutions.map { size in
      let lines = size.height / vision.imageSize * side
      return lines * (size.width / vision.imageSize * side + 1)
    }
    return vision.patchCount + (tiled.max() ?? 0)
  }
}
