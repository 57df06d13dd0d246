public import Formats
import Kernels

/// Parts that do not make a model.
public enum AssemblyError: Error, Hashable, Sendable, CustomStringConvertible {
  /// The language model has no tokenizer, so the image token cannot be found.
  case noTokenizer
  case unknownImageToken(String)
  /// The tower comes without an image processor, and none was given.
  case noImageProcessor(folder: String)
  case notATower(folder: String)

  public var description: String {
    switch self {
    case .noTokenizer: "the language model has no tokenizer; use a folder with tokenizer.json"
    case .unknownImageToken(let name):
      "\(name) is no control token of the language model; name one that it has and does not use"
    case .noImageProcessor(let folder):
      "\(folder) has no preprocessor_config.json; give an image processor"
    case .notATower(let folder): "\(folder)/config.json describes no vision tower"
    }
  }
}

extension Model {
  /// A LLaVA model from a language model, a vision tower and a new projector.
  ///
  /// The projector's weights are uniform in ±1/√inputs, the last layer's then scaled so that what
  /// it makes of a picture is as large as the word embeddings are (root mean square); its biases
  /// are 0. Larger ones would drown the words, and stage 1 would first have to shrink them.
  /// - Parameters:
  ///   - language: any text model; of a LLaVA model, its language part.
  ///   - tower: Hugging Face folder of a CLIP, SigLIP or DINOv2 model.
  ///   - imageToken: a control token of the vocabulary that stands for the picture.
  ///   - imageProcessor: nil: the one in the tower's folder.
  ///   - imageTokenCount: features of a picture as `imageProcessor` makes them; nil: those of the
  ///     size that the tower was made for.
  ///   - featureLayer: as `LlavaConfig.featureLayer`.
  /// - Throws: `AssemblyError`, `FormatError`.
  public static func assemble(
    language: Model, tower folder: String, projector: ProjectorKind = .mlp(.gelu),
    imageToken: String, imageProcessor: ImageProcessor? = nil, imageTokenCount: Int? = nil,
    featureLayer: Int = -2, seed: UInt64
  ) throws -> Model {
    guard let tokenizer = language.tokenizer else { throw AssemblyError.noTokenizer }
    guard let token = tokenizer.controlToken(imageToken),
      Int(token) < language.text.vocabularySize
    else { throw AssemblyError.unknownImageToken(imageToken) }
    let towerConfig = try ModelConfig(folder: folder)
    guard case .vision(let vision) = towerConfig else {
      throw AssemblyError.notATower(folder: folder)
    }
    guard let processor = try imageProcessor ?? loadImageProcessor(folder) else {
      throw AssemblyError.noImageProcessor(folder: folder)
    }
    let llava = LlavaConfig(
      text: language.text, vision: vision, imageToken: token, featureLayer: featureLayer,
      // All patches: a class token would be the first row, and is left out.
      featureSelection: vision.family.classRows == 0 ? .all : .patches,
      projector: projector, imageTokenCount: imageTokenCount ?? vision.patchCount)
    let config = ModelConfig.llava(llava)
    let model = Model(
      config: config, parameters: Floats(zeros: ParameterLayout(config).count),
      tokenizer: tokenizer, imageProcessor: processor)
    model.copyLanguage(of: language)
    model.copyTower(towerConfig, try readParameters(towerConfig, try TensorStore(folder: folder)))
    try model.drawProjector(seed: seed)
    return model
  }

  /// The same model with only the first layers of its language model.
  /// - Precondition: `layers` is from 1 to the number that it has; no adapters.
  public func cut(layers: Int) -> Model {
    precondition(adapters == nil, "a model with adapters is merged before it is cut")
    let config: ModelConfig
    switch self.config {
    case .decoder(let text): config = .decoder(text.cut(layers: layers))
    case .llava(var llava):
      llava.text = llava.text.cut(layers: layers)
      config = .llava(llava)
    case .vision: preconditionFailure("a vision tower alone writes no text")
    }
    let result = Model(
      config: config, parameters: Floats(zeros: ParameterLayout(config).count),
      tokenizer: tokenizer, imageProcessor: imageProcessor)
    for parameter in result.layout.parameters {
      guard let source = tensor(parameter.name) else {
        preconditionFailure("\(parameter.name) is in no model of this shape")
      }
      result.parameters[parameter.range].copy(from: source)
    }
    return result
  }

  private func copyLanguage(of other: Model) {
    let prefix = other.layout.decoderPrefix(other.config)
    let ownPrefix = layout.decoderPrefix(config)
    for parameter in other.layout.parameters where parameter.part == .language {
      let name = ownPrefix + parameter.name.dropFirst(prefix.count)
      tensor(name)?.copy(from: other.parameters[parameter.range])
    }
  }

  private func copyTower(_ towerConfig: ModelConfig, _ values: Floats) {
    for parameter in ParameterLayout(towerConfig).parameters {
      tensor("vision_tower." + parameter.name)?.copy(from: values[parameter.range])
    }
  }

  private func drawProjector(seed: UInt64) throws {
    for parameter in layout.parameters
    where parameter.part == .projector && parameter.name.hasSuffix(".weight") {
      var stream = SeededStream(seed: seed ^ nameHash(parameter.name))
      let bound = 1 / Double(parameter.shape[1]).squareRoot()
      let values = parameters[parameter.range]
      for index in 0..<values.count { values[index] = Float(bound * (2 * stream.unit() - 1)) }
    }
    let compute = try Compute()
    let size = try projectedNoise(seed: seed, on: compute).rootMeanSquare
    let scale = text.traits.scalesEmbedding ? Float(text.hiddenSize).squareRoot() : 1
    let wanted = decoderTensors().embedding.rootMeanSquare * scale
    guard let projector = projectorTensors(), size.isNormal, wanted.isNormal else { return }
    let last = (projector.second ?? projector.first).weight
    for index in 0..<last.count { last[index] *= wanted / size }
  }

  /// What the projector makes of a picture of noise: (P, hidden size).
  private func projectedNoise(seed: UInt64, on compute: Compute) throws -> Floats {
    let arena = Arena()
    guard let tower = VisionTower(self, isFixed: false, compute: compute, arena: arena),
      let projector = Projector(self, isFixed: false, compute: compute, arena: arena)
    else { preconditionFailure("a model without a tower has no projector") }
    let (channels, side) = (tower.config.channelCount, tower.config.imageSize)
    var stream = SeededStream(seed: seed ^ nameHash("noise"))
    // As large as normalised pixels are: uniform, of variance 1.
    let values = (0..<channels * side * side).map { _ in
      Float(3.0.squareRoot() * (2 * stream.unit() - 1))
    }
    let picture = PixelValues(channels: channels, height: side, width: side, values: values)
    let grid = try tower.llava.grid(of: picture)
    let count = tower.llava.lines(of: grid).features
    let state = tower.forward([picture], grids: [grid], keepsLayers: false)
    let features = arena.floats(count * tower.columns)
    tower.selectFeatures(into: features, state.output, [grid])
    let projected = Floats(zeros: count * text.hiddenSize)
    _ = projector.forward(features, into: projected)
    return projected
  }
}

extension Floats {
  fileprivate var rootMeanSquare: Float {
    var sum = 0.0
    for index in 0..<count { sum += Double(self[index]) * Double(self[index]) }
    return Float((sum / Double(max(1, count))).squareRoot())
  }
}
