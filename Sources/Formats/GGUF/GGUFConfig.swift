extension GGUFFile {
  /// The decoder's shape from the metadata.
  ///
  /// `ropeStyle` tells how the rows of `tensors` lie: interleaved for Llama. For
  /// `huggingFaceTensors()` it is always half-split.
  /// Mistral's files name themselves llama and hold no window, which llama.cpp does not compute.
  /// - Throws: `FormatError` for architectures other than llama, qwen2 and gemma3.
  public func decoderConfig() throws(FormatError) -> DecoderConfig {
    let name = try string("general.architecture")
    let architectures: [String: DecoderArchitecture] = [
      "llama": .llama, "qwen2": .qwen2, "gemma3": .gemma3,
    ]
    guard let architecture = architectures[name] else {
      throw failure(
        "general.architecture", .unsupported(found: "\"\(name)\""),
        expected: "llama, qwen2 or gemma3")
    }
    let sizes = 1...1 << 30
    let hidden = try integer("\(name).embedding_length", in: sizes)
    let heads = try integer("\(name).attention.head_count", in: sizes)
    let keyValueHeads = try integer("\(name).attention.head_count_kv", default: heads, in: sizes)
    guard heads % keyValueHeads == 0 else {
      throw failure(
        "\(name).attention.head_count_kv", .malformed(found: "\(keyValueHeads)"),
        expected: "a divisor of \(heads) heads")
    }
    let headSize = try integer("\(name).attention.key_length", default: hidden / heads, in: sizes)
    guard headSize % 2 == 0, headSize > 0,
      try integer("\(name).rope.dimension_count", default: headSize, in: sizes) == headSize
    else {
      throw failure(
        "\(name).rope.dimension_count", .unsupported(found: "heads of \(headSize)"),
        expected: "rotary embeddings over whole heads of an even size")
    }
    let vocabulary = try tensors.shape(of: "token_embd.weight").first ?? 0
    guard sizes.contains(vocabulary) else {
      throw failure(
        "token_embd.weight", .malformed(found: "\(vocabulary) rows"), expected: "a row per token")
    }
    let layers = try integer("\(name).block_count", in: 1...10_000)
    let isGemma = architecture == .gemma3
    // The 27B model, which its layers give away, divides by the width of a head of equal share.
    let scalar = isGemma && layers == 62 ? Double(hidden) / Double(heads) : Double(headSize)
    return DecoderConfig(
      architecture: architecture, vocabularySize: vocabulary, hiddenSize: hidden,
      intermediateSize: try integer("\(name).feed_forward_length", in: sizes),
      layerCount: layers, headCount: heads, keyValueHeadCount: keyValueHeads, headSize: headSize,
      contextLength: try integer("\(name).context_length", in: sizes),
      normEpsilon: try float("\(name).attention.layer_norm_rms_epsilon", default: nil),
      ropeBase: try float("\(name).rope.freq_base", default: isGemma ? 1_000_000 : 10_000),
      ropeStyle: architecture == .llama ? .interleaved : .halfSplit,
      ropeScaling: try ropeScaling(name, headSize: headSize),
      window: isGemma ? try gemmaWindow(name, layers: layers) : nil,
      queryScalar: isGemma ? scalar : nil,
      queryKeyValueBias: tensors.contains("blk.0.attn_q.bias"),
      attentionOutputBias: tensors.contains("blk.0.attn_output.bias"),
      feedForwardBias: tensors.contains("blk.0.ffn_down.bias"),
      tiedEmbedding: !tensors.contains("output.weight"),
      beginToken: try token("tokenizer.ggml.bos_token_id"),
      endTokens: try token("tokenizer.ggml.eos_token_id").map { [$0] } ?? [],
      padToken: try token("tokenizer.ggml.padding_token_id"))
  }

  /// All layers but every sixth, unless the file says otherwise.
  /// - Source: llama.cpp, `llama_model::load_hparams`.
  private func gemmaWindow(_ name: String, layers: Int) throws(FormatError) -> SlidingWindow? {
    let key = "\(name).attention.sliding_window_pattern"
    let sliding: [Int]
    if case .bools(let kinds) = metadata[key], kinds.count >= layers {
      sliding = (0..<layers).filter { kinds[$0] }
    } else {
      let pattern = try integer(key, default: 6, in: 1...10_000)
      sliding = (0..<layers).filter { ($0 + 1) % pattern != 0 }
    }
    if sliding.isEmpty { return nil }
    return SlidingWindow(
      size: try integer("\(name).attention.sliding_window", in: 1...1 << 30), layers: sliding,
      ropeBase: try float("\(name).rope.freq_base_swa", default: 10_000))
  }

  /// The tensor with which files of Llama 3.1 stretch the angles.
  static let ropeDivisors = "rope_freqs.weight"

  private func ropeScaling(
    _ name: String, headSize: Int
  ) throws(FormatError) -> RopeScaling {
    let key = "\(name).rope.scaling.type"
    if tensors.contains(Self.ropeDivisors) {
      let shape = try tensors.shape(of: Self.ropeDivisors)
      let divisors = shape == [headSize / 2] ? try tensors.floats(Self.ropeDivisors) : []
      guard !divisors.isEmpty, divisors.allSatisfy({ $0.isFinite && $0 > 0 }) else {
        throw FormatError(
          file: path, subject: "tensor \(Self.ropeDivisors)",
          problem: .malformed(found: "shape \(shape)"),
          expected: "\(headSize / 2) numbers above 0", remedy: "convert the model again")
      }
      return .divisors(divisors.map(Double.init))
    }
    guard metadata[key] != nil else { return .none }
    switch try string(key) {
    case "none": return .none
    case "linear": return .linear(factor: try float("\(name).rope.scaling.factor", default: 1))
    case let other:
      throw failure(key, .unsupported(found: "\"\(other)\""), expected: "none or linear")
    }
  }

  func failure(
    _ key: String, _ problem: FormatError.Problem, expected: String
  ) -> FormatError {
    FormatError(
      file: path, subject: "key \(key)", problem: problem, expected: expected,
      remedy: "use a model of a supported architecture, converted by llama.cpp")
  }

  func string(_ key: String) throws(FormatError) -> String {
    switch metadata[key] {
    case .string(let value): return value
    case .some(let other): throw failure(key, .malformed(found: other.kind), expected: "a string")
    case nil: throw failure(key, .missing, expected: "a string")
    }
  }

  func integer(
    _ key: String, default fallback: Int? = nil, in allowed: ClosedRange<Int>
  ) throws(FormatError) -> Int {
    let expected = "a whole number from \(allowed.lowerBound) to \(allowed.upperBound)"
    switch metadata[key] {
    case .integer(let value) where allowed.contains(Int(value)): return Int(value)
    case .some(let other): throw failure(key, .malformed(found: other.kind), expected: expected)
    case nil:
      guard let fallback else { throw failure(key, .missing, expected: expected) }
      return fallback
    }
  }

  /// A float that was written as f32, as the decimal number that was meant: 1e-05 and not
  /// 9.999999747378752e-06.
  func float(_ key: String, default fallback: Double?) throws(FormatError) -> Double {
    switch metadata[key] {
    case .float(let value) where value.isFinite && value >= 0:
      return Double("\(Float(value))") ?? value
    case .some(let other):
      throw failure(key, .malformed(found: other.kind), expected: "a finite float, not negative")
    case nil:
      guard let fallback else { throw failure(key, .missing, expected: "a float") }
      return fallback
    }
  }

  func token(_ key: String) throws(FormatError) -> Int32? {
    guard metadata[key] != nil else { return nil }
    return Int32(try integer(key, in: 0...Int(Int32.max)))
  }

  func bool(_ key: String, default fallback: Bool) throws(FormatError) -> Bool {
    switch metadata[key] {
    case .bool(let value): return value
    case .some(let other):
      throw failure(key, .malformed(found: other.kind), expected: "true or false")
    case nil: return fallback
    }
  }
}
