/// What a model is asked to go on from, and how.
public struct GenerationInput: Sendable {
  public var input: ModelInput
  public var sampling: SamplingParameters
  /// The answer has at most so many tokens; at least 1.
  public var tokensMax: Int
  /// Any of these ends the answer and is not part of it.
  public var stops: [Int32]

  /// - Precondition: `tokensMax > 0`.
  public init(
    _ input: ModelInput, sampling: SamplingParameters = SamplingParameters(), tokensMax: Int,
    stops: [Int32] = []
  ) {
    precondition(tokensMax > 0, "an answer has at least one token, not \(tokensMax)")
    self.input = input
    self.sampling = sampling
    self.tokensMax = tokensMax
    self.stops = stops
  }
}

/// Why an answer ended.
public enum GenerationStop: Hashable, Sendable {
  case stopToken
  case tokensMax
  /// The next token would stand behind the last position.
  case contextFull
}

/// What a model answered.
public struct GeneratedAnswer: Hashable, Sendable {
  /// Without the stop token.
  public var tokens: [Int32]
  public var stop: GenerationStop
  /// Positions of the prompt, its pictures' features counted.
  public var promptTokens: Int
}

/// A request was not answered by its deadline. What it said so far is no answer: where a clock cut
/// it depends on more than the request.
public struct DeadlinePassed: Error, Hashable, Sendable, CustomStringConvertible {
  /// Tokens that the answer had by then.
  public var tokens: Int

  public var description: String {
    "the deadline passed after \(tokens) tokens of the answer; give the request more time"
  }
}

/// What a generator did since it was made.
public struct GenerationCounts: Hashable, Sendable {
  /// Rows of the prompts that have begun.
  public var promptRows = 0
  /// Those of them that were computed, not shared.
  public var computedRows = 0
  /// Pictures that went through the vision tower.
  public var pictures = 0

  public init(promptRows: Int = 0, computedRows: Int = 0, pictures: Int = 0) {
    self.promptRows = promptRows
    self.computedRows = computedRows
    self.pictures = pictures
  }
}

/// What a generator may take at one time.
public struct GenerationLimits: Hashable, Sendable {
  /// Requests that run together.
  public var batchMax: Int
  /// Rows of one pass, of answers and prompts together: the longer, the better products are used,
  /// and the longer an answer waits for its next token while prompts are read.
  public var stepRowsMax: Int
  /// Memory for keys and values, in pages.
  public var keyValueBytesMax: Int
  /// The part of it that may hold beginnings of prompts after their requests ended, at most as many
  /// pages as `batchMax` of the longest sequences have; 0: each prompt is computed from its first
  /// row on.
  public var prefixBytesMax: Int
  /// Memory for features of pictures, kept by key; 0: computed for each request.
  public var featureBytesMax: Int
  /// Positions of a sequence; nil: as many as the model has.
  public var contextMax: Int?
  /// Positions of a page; a multiple of 16, where keys are kept in bf16 of 32.
  public var pageRows: Int

  /// - Parameter prefixBytesMax: nil is half of `keyValueBytesMax`.
  public init(
    batchMax: Int = 32, stepRowsMax: Int = 512, keyValueBytesMax: Int = 1 << 30,
    prefixBytesMax: Int? = nil, featureBytesMax: Int = 1 << 28, contextMax: Int? = nil,
    pageRows: Int = 64
  ) {
    precondition(batchMax > 0, "a batch has at least one request, not \(batchMax)")
    precondition(stepRowsMax > 0, "a pass has at least one row, not \(stepRowsMax)")
    self.batchMax = batchMax
    self.stepRowsMax = stepRowsMax
    self.keyValueBytesMax = keyValueBytesMax
    self.prefixBytesMax = prefixBytesMax ?? keyValueBytesMax / 2
    self.featureBytesMax = featureBytesMax
    self.contextMax = contextMax
    self.pageRows = pageRows
  }

  /// The same without what is kept from one request for another.
  public var withoutCaches: GenerationLimits {
    var limits = self
    (limits.prefixBytesMax, limits.featureBytesMax) = (0, 0)
    return limits
  }
}
