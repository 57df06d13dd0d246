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
