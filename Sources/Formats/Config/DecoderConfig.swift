/// The families of decoders, by the `model_type` of their config.json.
public enum DecoderArchitecture: String, Hashable, Sendable, CaseIterable {
  case llama, mistral, qwen2
  case gemma3 = "gemma3_text"

  /// For errors: all of them.
  static let names = allCases.map(\.rawValue).joined(separator: ", ")
}

/// What an architecture does whatever its configuration says; Llama does none of it.
public struct DecoderTraits: Hashable, Sendable {
  /// RMS norms multiply with 1 + weight.
  public var normsAddOne = false
  /// Each head's query and key pass a norm before they are turned.
  public var normsQueriesAndKeys = false
  /// What attention and feed-forward give passes a norm before it is added to the rest.
  public var normsOutputs = false
  /// Embeddings of tokens are multiplied by √hiddenSize.
  public var scalesEmbedding = false
  public var gate = GateActivation.silu
}

extension DecoderArchitecture {
  public var traits: DecoderTraits {
    switch self {
    case .llama, .mistral, .qwen2: DecoderTraits()
    case .gemma3:
      DecoderTraits(
        normsAddOne: true, normsQueriesAndKeys: true, normsOutputs: true, scalesEmbedding: true,
        gate: .geluTanh)
    }
  }
}

/// What the gate of a feed-forward layer passes before it multiplies.
public enum GateActivation: String, Hashable, Sendable {
  /// SwiGLU.
  case silu
  /// GeGLU, with the tanh approximation.
  case geluTanh = "gelu_pytorch_tanh"
}

/// Which two elements of a head rotary embedding turns together.
public enum RopeStyle: Hashable, Sendable {
  /// i with i + headSize / 2, as in Hugging Face's weights.
  case halfSplit
  /// 2i with 2i + 1, as in the GGUF weights of Llama.
  case interleaved
}

/// Layers in which a row sees only the last positions up to its own.
public struct SlidingWindow: Hashable, Sendable {
  /// Positions that a row sees, its own the last of them.
  public var size: Int
  /// Indices of the layers, ascending; in all others a row sees everything before it.
  public var layers: [Int]
  /// Base of the angles in these layers, which are not scaled then; nil: angles as in the others.
  public var ropeBase: Double?

  public init(size: Int, layers: [Int], ropeBase: Double? = nil) {
    self.size = size
    self.layers = layers
    self.ropeBase = ropeBase
  }
}

/// The shape of a decoder.
public struct DecoderConfig: Hashable, Sendable {
  public var architecture: DecoderArchitecture
  public var vocabularySize: Int
  public var hiddenSize: Int
  public var intermediateSize: Int
  public var layerCount: Int
  public var headCount: Int
  public var keyValueHeadCount: Int
  public var headSize: Int
  /// Positions that the model was made for.
  public var contextLength: Int
  public var normEpsilon: Double
  public var ropeBase: Double
  public var ropeStyle: RopeStyle
  public var ropeScaling: RopeScaling
  /// Nil: every layer sees everything before it.
  public var window: SlidingWindow?
  /// Scores are divided by the root of this; nil: of `headSize`.
  public var queryScalar: Double?
  public var queryKeyValueBias: Bool
  public var attentionOutputBias: Bool
  public var feedForwardBias: Bool
  /// The output matrix is the embedding; there is no `lm_head.weight`.
  public var tiedEmbedding: Bool
  public var beginToken: Int32?
  /// Any of these ends an answer.
  public var endTokens: [Int32]
  public var padToken: Int32?

  public init(
    architecture: DecoderArchitecture, vocabularySize: Int, hiddenSize: Int,
    intermediateSize: Int, layerCount: Int, headCount: Int, keyValueHeadCount: Int, headSize: Int,
    contextLength: Int, normEpsilon: Double, ropeBase: Double, ropeStyle: RopeStyle = .halfSplit,
    ropeScaling: RopeScaling = .none, window: SlidingWindow? = nil, queryScalar: Double? = nil,
    queryKeyValueBias: Bool, attentionOutputBias: Bool = false, feedForwardBias: Bool = false,
    tiedEmbedding: Bool, beginToken: Int32? = nil, endTokens: [Int32] = [], padToken: Int32? = nil
  ) {
    self.architecture = architecture
    self.vocabularySize = vocabularySize
    self.hiddenSize = hiddenSize
    self.intermediateSize = intermediateSize
    self.layerCount = layerCount
    self.headCount = headCount
    self.keyValueHeadCount = keyValueHeadCount
    self.headSize = headSize
    self.contextLength = contextLength
    self.normEpsilon = normEpsilon
    self.ropeBase = ropeBase
    self.ropeStyle = ropeStyle
    self.ropeScaling = ropeScaling
    self.window = window
    self.queryScalar = queryScalar
    self.queryKeyValueBias = queryKeyValueBias
    self.attentionOutputBias = attentionOutputBias
    self.feedForwardBias = feedForwardBias
    self.tiedEmbedding = tiedEmbedding
    self.beginToken = beginToken
    self.endTokens = endTokens
    self.padToken = padToken
  }

  public var traits: DecoderTraits { architecture.traits }

  /// The same decoder with only its first layers.
  /// - Precondition: `layers` is from 1 to the number that it has.
  public func cut(layers: Int) -> DecoderConfig {
    precondition((1...layerCount).contains(layers), "\(layers) of \(layerCount) layers")
    var config = self
    config.layerCount = layers
    config.window?.layers.removeAll { $0 >= layers }
    if config.window?.layers.isEmpty ?? false { config.window = nil }
    return config
  }
}
