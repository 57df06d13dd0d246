/// A piece of what a model reads. Plain text never turns into control tokens, whatever it says.
public enum PromptPart: Hashable, Codable, Sendable {
  /// Text as a person wrote it: tokenised with control tokens switched off.
  case text(String)
  /// One control token by its name in the vocabulary, like `<|im_end|>` or `</s>`.
  case control(String)
  /// The picture, by its digest.
  case image(Digest)
}

/// All that a model reads before it answers.
public struct Prompt: Hashable, Sendable {
  public var parts: [PromptPart]
  public init(_ parts: [PromptPart]) { self.parts = parts }

  /// What the prompt shows, in its order.
  public var pictures: [Digest] {
    parts.compactMap { part in if case .image(let digest) = part { digest } else { nil } }
  }

  /// The first picture of the prompt, by which jobs are placed together.
  public var image: Digest? {
    for case .image(let digest) in parts { return digest }
    return nil
  }
}

/// How tokens are drawn. Temperature 0 is greedy.
public struct Sampling: Hashable, Sendable {
  public var temperature: Double
  /// Nucleus: the smallest set of tokens whose probability reaches this; 1 keeps all.
  public var topP: Double
  public var tokensMax: Int
  public var seed: UInt64
  /// Control tokens that end the answer, beside the model's own end of sequence.
  public var stops: [String]

  public init(
    temperature: Double, topP: Double = 1, tokensMax: Int, seed: UInt64, stops: [String] = []
  ) {
    self.temperature = temperature
    self.topP = topP
    self.tokensMax = tokensMax
    self.seed = seed
    self.stops = stops
  }
}

/// What numbers a model's products are of. The raw value is the word in `cluster.yaml`.
public enum Precision: String, Hashable, Codable, Sendable, CaseIterable {
  case f32
  /// Rounded to bf16, summed in f32; weights take half the memory.
  case bf16
  /// Whole numbers of 8 bits; for generation alone.
  case int8

  /// What the canonical bytes say; f32 says nothing, as before there were others.
  var code: UInt8? {
    switch self {
    case .f32: nil
    case .bf16: 1
    case .int8: 2
    }
  }

  /// - Parameter code: nil is f32.
  public init?(code: UInt8?) {
    guard let known = Self.allCases.first(where: { $0.code == code }) else { return nil }
    self = known
  }
}

/// A model as it answers: what jobs must share to be computed together.
public struct ServedModel: Hashable, Sendable {
  public var digest: Digest
  public var precision: Precision
  public init(_ digest: Digest, _ precision: Precision = .f32) {
    self.digest = digest
    self.precision = precision
  }
}

/// Everything a result depends on. Two equal requests have one result, on any worker.
public struct GenerationRequest: Hashable, Sendable {
  public var model: Digest
  public var prompt: Prompt
  public var sampling: Sampling
  public var precision: Precision

  public init(
    model: Digest, prompt: Prompt, sampling: Sampling, precision: Precision = .f32
  ) {
    self.model = model
    self.prompt = prompt
    self.sampling = sampling
    self.precision = precision
  }

  public var served: ServedModel { ServedModel(model, precision) }

  /// The one byte string of this request; its SHA-256 is the request's content address.
  ///
  /// Fields in order, each with its length before it, so that no two requests share a string.
  public var canonicalBytes: [UInt8] {
    var bytes: [UInt8] = Array("comd-request-1".utf8)
    bytes += model.bytes
    bytes.append(count: prompt.parts.count)
    for part in prompt.parts {
      switch part {
      case .text(let text): bytes.append(field: 0, Array(text.utf8))
      case .control(let name): bytes.append(field: 1, Array(name.utf8))
      case .image(let digest): bytes.append(field: 2, digest.bytes)
      }
    }
    bytes.append(word: sampling.temperature.bitPattern)
    bytes.append(word: sampling.topP.bitPattern)
    bytes.append(count: sampling.tokensMax)
    bytes.append(word: sampling.seed)
    bytes.append(count: sampling.stops.count)
    for stop in sampling.stops { bytes.append(field: 1, Array(stop.utf8)) }
    if let code = precision.code { bytes.append(code) }
    return bytes
  }
}

extension [UInt8] {
  fileprivate mutating func append(word: UInt64) {
    for shift in stride(from: 56, through: 0, by: -8) {
      append(UInt8(truncatingIfNeeded: word >> UInt64(shift)))
    }
  }
  fileprivate mutating func append(count: Int) { append(word: UInt64(count)) }
  fileprivate mutating func append(field kind: UInt8, _ payload: [UInt8]) {
    append(kind)
    append(count: payload.count)
    self += payload
  }
}

/// Why an answer ended.
public enum StopReason: Hashable, Sendable { case stopToken, tokensMax, contextFull }

/// What a model answered.
public struct GenerationResult: Hashable, Sendable {
  public var text: String
  public var tokens: [Int32]
  public var stop: StopReason
  public var promptTokens: Int

  public init(text: String, tokens: [Int32], stop: StopReason, promptTokens: Int) {
    self.text = text
    self.tokens = tokens
    self.stop = stop
    self.promptTokens = promptTokens
  }
}
