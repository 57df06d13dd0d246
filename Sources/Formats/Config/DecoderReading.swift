/// The defaults of an architecture, where `transformers` has different ones.
private struct Defaults {
  var vocabulary = 32_000
  var hidden = 4096
  var intermediate = 11_008
  var layers = 32
  var heads = 32
  /// Nil: as many as heads.
  var keyValueHeads: Int?
  /// Nil: the hidden size divided by the heads.
  var headSize: Int?
  var context = 2048
  var tied = false
  var begin: Int32?
  var ends: [Int32] = []
  var pad: Int32?
  var ropeBase = 10_000.0

  /// - Source: transformers, `LlamaConfig`, `MistralConfig`, `Qwen2Config`, `Gemma3TextConfig`.
  init(_ architecture: DecoderArchitecture) {
    switch architecture {
    case .llama: (begin, ends) = (1, [2])
    case .mistral:
      (intermediate, keyValueHeads, context) = (14_336, 8, 131_072)
      (begin, ends) = (1, [2])
    case .qwen2:
      (vocabulary, intermediate, keyValueHeads, context) = (151_936, 22_016, 32, 32_768)
    case .gemma3:
      (vocabulary, hidden, intermediate, layers) = (262_208, 2304, 9216, 26)
      (heads, keyValueHeads, headSize, context) = (8, 4, 256, 131_072)
      (tied, begin, ends, pad, ropeBase) = (true, 2, [1], 0, 1_000_000)
    }
  }
}

func decoderConfig(
  _ config: ConfigObject, _ architecture: DecoderArchitecture
) throws(FormatError) -> DecoderConfig {
  let defaults = Defaults(architecture)
  try checkFeatures(config, architecture)
  let hidden = try config.integer("hidden_size", default: defaults.hidden)
  let heads = try config.integer("num_attention_heads", default: defaults.heads)
  let keyValueHeads = try config.integer(
    "num_key_value_heads", default: defaults.keyValueHeads ?? heads)
  guard heads % keyValueHeads == 0 else {
    throw config.failure(
      "num_key_value_heads", .malformed(found: "\(keyValueHeads)"),
      expected: "a divisor of num_attention_heads (\(heads))")
  }
  if config.value("head_dim") == nil && defaults.headSize == nil && hidden % heads != 0 {
    throw config.failure(
      "num_attention_heads", .malformed(found: "\(heads)"),
      expected: "a divisor of hidden_size (\(hidden))")
  }
  let headSize = try config.integer("head_dim", default: defaults.headSize ?? hidden / heads)
  guard headSize % 2 == 0 else {
    throw config.failure("head_dim", .malformed(found: "\(headSize)"), expected: "an even number")
  }
  // Only these two have such biases at all.
  let attentionBias =
    architecture == .llama || architecture == .gemma3
    ? try config.bool("attention_bias", default: false) : false
  let rope = try ropeConfig(config, base: defaults.ropeBase, headSize: headSize)
  let layers = try config.integer(
    "num_hidden_layers", default: defaults.layers, in: 1...10_000)
  func token(_ key: String, _ fallback: Int32?) throws(FormatError) -> Int32? {
    config.json[key] == .null ? nil : try config.token(key) ?? fallback
  }
  return DecoderConfig(
    architecture: architecture,
    vocabularySize: try config.integer("vocab_size", default: defaults.vocabulary),
    hiddenSize: hidden,
    intermediateSize: try config.integer("intermediate_size", default: defaults.intermediate),
    layerCount: layers, headCount: heads, keyValueHeadCount: keyValueHeads, headSize: headSize,
    contextLength: try config.integer("max_position_embeddings", default: defaults.context),
    normEpsilon: try config.number("rms_norm_eps", default: 1e-6, in: 0...1),
    ropeBase: rope.base, ropeScaling: rope.scaling,
    window: try slidingWindow(config, architecture, layers: layers),
    queryScalar: architecture == .gemma3
      ? try config.number("query_pre_attn_scalar", default: 256, in: 1e-6...1e9) : nil,
    queryKeyValueBias: architecture == .qwen2 || attentionBias, attentionOutputBias: attentionBias,
    feedForwardBias: architecture == .llama ? try config.bool("mlp_bias", default: false) : false,
    tiedEmbedding: try config.bool("tie_word_embeddings", default: defaults.tied),
    beginToken: try token("bos_token_id", defaults.begin),
    endTokens: config.json["eos_token_id"] == .null
      ? [] : try config.tokens("eos_token_id") ?? defaults.ends,
    padToken: try token("pad_token_id", defaults.pad))
}

/// Refuses what would change the results and is not computed here.
private func checkFeatures(
  _ config: ConfigObject, _ architecture: DecoderArchitecture
) throws(FormatError) {
  let key = architecture == .gemma3 ? "hidden_activation" : "hidden_act"
  let expected = architecture.traits.gate.rawValue
  if let activation = try config.string(key), activation != expected {
    throw config.failure(
      key, .unsupported(found: "\"\(activation)\""), expected: "\"\(expected)\"")
  }
  guard architecture == .gemma3 else { return }
  for key in ["final_logit_softcapping", "attn_logit_softcapping"] {
    guard let value = config.value(key) else { continue }
    throw config.failure(key, .unsupported(found: value.kind), expected: "null")
  }
  if try config.bool("use_bidirectional_attention", default: false) {
    throw config.failure(
      "use_bidirectional_attention", .unsupported(found: "true"), expected: "false")
  }
}

/// The layers with a window: all of Mistral, those behind `max_window_layers` of Qwen2 when it is
/// asked for, all but every sixth of Gemma-3; `layer_types` says it layer by layer.
private func slidingWindow(
  _ config: ConfigObject, _ architecture: DecoderArchitecture, layers: Int
) throws(FormatError) -> SlidingWindow? {
  let every = 0..<layers
  let chosen: [Int]
  switch architecture {
  case .llama: return nil
  case .mistral: chosen = Array(every)
  case .qwen2:
    guard try config.bool("use_sliding_window", default: false) else { return nil }
    let first = try config.integer("max_window_layers", default: 28, in: 0...1 << 30)
    chosen = try layerTypes(config, layers) ?? every.filter { $0 >= first }
  case .gemma3:
    let pattern = try config.integer("sliding_window_pattern", default: 6)
    chosen = try layerTypes(config, layers) ?? every.filter { ($0 + 1) % pattern != 0 }
  }
  if chosen.isEmpty || config.json["sliding_window"] == .null && architecture != .gemma3 {
    return nil
  }
  return SlidingWindow(
    size: try config.integer("sliding_window", default: 4096), layers: chosen,
    ropeBase: architecture == .gemma3 ? try localRopeBase(config) : nil)
}

/// The layers that `layer_types` calls sliding; nil when there is no such key.
private func layerTypes(_ config: ConfigObject, _ layers: Int) throws(FormatError) -> [Int]? {
  guard let value = config.value("layer_types") else { return nil }
  let kinds: [JSONValue: Bool] = [
    .string("sliding_attention"): true, .string("full_attention"): false,
  ]
  guard case .array(let names) = value, names.count >= layers,
    names.allSatisfy({ kinds[$0] != nil })
  else {
    throw config.failure(
      "layer_types", .unsupported(found: value.kind),
      expected: "sliding_attention or full_attention for each of \(layers) layers")
  }
  return (0..<layers).filter { kinds[names[$0]] ?? false }
}

/// Base of the angles in Gemma-3's layers with a window.
private func localRopeBase(_ config: ConfigObject) throws(FormatError) -> Double {
  let outer = try config.number("rope_local_base_freq", default: 10_000, in: ropeBases)
  guard let rope = try config.object("rope_parameters")?.object("sliding_attention") else {
    return outer
  }
  if let type = try rope.string("rope_type"), type != "default" {
    throw rope.failure("rope_type", .unsupported(found: "\"\(type)\""), expected: "default")
  }
  return try rope.number("rope_theta", default: outer, in: ropeBases)
}

private let ropeBases = 1.0...1e12

/// `rope_parameters` of transformers 5, in it `full_attention` where layers differ, or
/// `rope_theta` and `rope_scaling` of earlier versions.
private func ropeConfig(
  _ config: ConfigObject, base fallback: Double, headSize: Int
) throws(FormatError) -> (base: Double, scaling: RopeScaling) {
  let outer = try config.number("rope_theta", default: fallback, in: ropeBases)
  let key = config.value("rope_parameters") == nil ? "rope_scaling" : "rope_parameters"
  guard var rope = try config.object(key) else { return (outer, .none) }
  if let full = try rope.object("full_attention") { rope = full }
  return (
    try rope.number("rope_theta", default: outer, in: ropeBases),
    try ropeScaling(rope, headSize: headSize)
  )
}

private func ropeScaling(
  _ rope: ConfigObject, headSize: Int
) throws(FormatError) -> RopeScaling {
  let factors = 1e-3...1e6
  switch try rope.string(rope.value("rope_type") == nil ? "type" : "rope_type") ?? "default" {
  case "default": return .none
  case "linear": return .linear(factor: try rope.number("factor", default: 1, in: factors))
  case "llama3":
    let low = try rope.number("low_freq_factor", default: 1, in: factors)
    let high = try rope.number("high_freq_factor", default: 4, in: factors)
    guard low < high else {
      throw rope.failure(
        "high_freq_factor", .malformed(found: "\(high)"), expected: "more than \(low)")
    }
    return .llama3(
      factor: try rope.number("factor", default: 8, in: factors), lowFactor: low,
      highFactor: high,
      originalContext: try rope.integer("original_max_position_embeddings", default: 8192))
  case "longrope":
    let long = try divisors(rope, "long_factor", count: headSize / 2)
    guard try divisors(rope, "short_factor", count: headSize / 2) == long,
      try rope.number("attention_factor", default: 0, in: 0...factors.upperBound) == 1
    else {
      throw rope.failure(
        "rope_type", .unsupported(found: "longrope whose factors change with the length"),
        expected: "long_factor as short_factor, and an attention_factor of 1")
    }
    return .divisors(long)
  case let other:
    throw rope.failure(
      "rope_type", .unsupported(found: "\"\(other)\""), expected: "default, linear or llama3")
  }
}

private func divisors(
  _ rope: ConfigObject, _ key: String, count: Int
) throws(FormatError) -> [Double] {
  guard case .array(let values) = rope.value(key) else {
    throw rope.failure(key, .missing, expected: "\(count) numbers")
  }
  let numbers = values.compactMap(\.real).filter { $0.isFinite && $0 > 0 }
  guard numbers.count == count, values.count == count else {
    throw rope.failure(
      key, .malformed(found: "an array of \(values.count)"), expected: "\(count) numbers above 0")
  }
  return numbers
}
