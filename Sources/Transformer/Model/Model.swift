public import Formats
public import Kernels

/// A model in memory: what it is, and one vector with all its parameters in f32.
///
/// Copies share the vector, so that a trainer's steps show in every copy; `copy()` gives one of its
/// own. Rotary embeddings always turn halves, as in Hugging Face's files.
public struct Model: Sendable {
  public let config: ModelConfig
  /// What stands beside the weights of the language model; nil for a plain model.
  public let adapters: AdapterShape?
  public let layout: ParameterLayout
  /// All parameters, in the order of `layout`, but those in `coded`.
  public let parameters: Floats
  /// Matrices that are kept as products read them, by name: packed, or in a file's codes of few
  /// bits. A model with such generates; it is not trained, cut or saved.
  let coded: [String: PackedMatrix]
  /// The embedding, where a model that only generates leaves it in its file.
  let embeddingRows: TensorRows?
  public let tokenizer: Tokenizer?
  public let imageProcessor: ImageProcessor?
  /// Of the products with its weights, also when it is trained.
  public private(set) var products = ProductPrecision.f32
  /// What attention sees of its keys and values, and what they are kept as in generation.
  let keyValues: ProductPrecision

  /// - Precondition: the config is of a model that writes text (`decoder` or `llava`), and
  ///   `parameters` has the layout's count.
  public init(
    config: ModelConfig, adapters: AdapterShape? = nil, parameters: Floats,
    tokenizer: Tokenizer? = nil, imageProcessor: ImageProcessor? = nil
  ) {
    if case .vision = config { preconditionFailure("a vision tower alone writes no text") }
    self.config = config
    self.adapters = adapters
    layout = ParameterLayout(config, adapters: adapters)
    precondition(parameters.count == layout.count, "\(layout.count) parameters expected")
    self.parameters = parameters
    coded = [:]
    embeddingRows = nil
    keyValues = .f32
    self.tokenizer = tokenizer
    self.imageProcessor = imageProcessor
  }

  /// - Precondition: `parameters` are those of `layout`, which leaves out `coded` and an embedding
  ///   that has rows of its own.
  init(
    config: ModelConfig, layout: ParameterLayout, parameters: Floats,
    coded: [String: PackedMatrix], embeddingRows: TensorRows?, purpose: ModelPurpose,
    tokenizer: Tokenizer?,
    imageProcessor: ImageProcessor? = nil
  ) {
    (self.config, self.layout, self.parameters) = (config, layout, parameters)
    (products, keyValues) = (purpose.products, purpose.keyValues)
    adapters = nil
    (self.coded, self.embeddingRows) = (coded, embeddingRows)
    (self.tokenizer, self.imageProcessor) = (tokenizer, imageProcessor)
  }

  /// Whether all parameters are at hand as numbers to read and to change.
  public var isTrainable: Bool { coded.isEmpty }

  public var text: DecoderConfig {
    switch config {
    case .decoder(let text): text
    case .llava(let llava): llava.text
    case .vision: preconditionFailure("a vision tower alone writes no text")
    }
  }

  /// What makes the model see; nil for one that only reads.
  public var llava: LlavaConfig? {
    switch config {
    case .llava(let llava): llava
    case .decoder, .vision: nil
    }
  }

  public var imageToken: Int32? { llava?.imageToken }
  public var endTokens: [Int32] { text.endTokens }
  public var contextLength: Int { text.contextLength }

  /// The same parameters, with other products.
  /// - Precondition: `isTrainable`; what only generates is loaded for one kind of product.
  public func multiplying(_ products: ProductPrecision) -> Model {
    precondition(isTrainable, "a model that only generates keeps its products")
    var model = self
    model.products = products
    return model
  }

  /// The same model on a parameter vector of its own.
  /// - Precondition: `isTrainable`.
  public func copy() -> Model {
    precondition(isTrainable, "a model that only generates is not copied")
    let own = Floats(zeros: parameters.count)
    own.copy(from: parameters)
    return Model(
      config: config, adapters: adapters, parameters: own, tokenizer: tokenizer,
      imageProcessor: imageProcessor
    ).multiplying(products)
  }

  /// The values of one tensor; nil when the model has none of that name.
  public func tensor(_ name: String) -> Floats? { layout[name].map { parameters[$0.range] } }
}

extension Model {
  func decoderTensors() -> DecoderTensors<Floats> {
    DecoderTensors(layout.decoderPrefix(config), text, layout.taker(of: parameters))
  }

  func adapterTensors() -> DecoderAdapters<Floats>? {
    adapters.map {
      DecoderAdapters(layout.decoderPrefix(config), text, $0, layout.taker(of: parameters))
    }
  }

  func visionTensors() -> VisionTensors<Floats>? {
    llava.map { VisionTensors("vision_tower.", $0.vision, layout.taker(of: parameters)) }
  }

  func projectorTensors() -> ProjectorTensors<Floats>? {
    llava.map { ProjectorTensors($0, layout.taker(of: parameters)) }
  }
}

extension ParameterLayout {
  func decoderPrefix(_ config: ModelConfig) -> String {
    switch config {
    case .llava: "language_model."
    case .decoder, .vision: ""
    }
  }
}
