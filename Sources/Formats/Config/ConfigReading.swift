extension ModelConfig {
  /// Reads `config.json`, and the end tokens of `generation_config.json` where there is one.
  ///
  /// Absent keys have the defaults of `transformers`.
  /// - Throws: `FormatError` naming the key when the model is of an architecture, or asks for a
  ///   feature, that is not supported.
  public init(folder: String) throws(FormatError) {
    self = try modelConfig(ConfigObject(path: folder + "/config.json"))
    let generation = folder + "/generation_config.json"
    guard fileExists(generation) else { return }
    let ends = try ConfigObject(path: generation).tokens("eos_token_id") ?? []
    switch self {
    case .decoder(var decoder):
      decoder.endTokens = union(decoder.endTokens, ends)
      self = .decoder(decoder)
    case .llava(var llava):
      llava.text.endTokens = union(llava.text.endTokens, ends)
      self = .llava(llava)
    case .vision: break
    }
  }

  /// Reads the bytes of a `config.json`; `name` stands for the file in errors.
  public init(json bytes: [UInt8], name: String) throws(FormatError) {
    self = try modelConfig(ConfigObject(file: name, json: parseJSON(bytes, file: name)))
  }
}

private func union(_ tokens: [Int32], _ more: [Int32]) -> [Int32] {
  tokens + more.filter { !tokens.contains($0) }
}

private func modelConfig(_ config: ConfigObject) throws(FormatError) -> ModelConfig {
  let supported =
    "\(DecoderArchitecture.names), gemma3, llava, llava_next, \(towers), clip or siglip"
  let type = try config.string("model_type")
  if let architecture = type.flatMap(DecoderArchitecture.init) {
    return .decoder(try decoderConfig(config, architecture))
  }
  switch type {
  case "clip_vision_model", "dinov2", "siglip_vision_model":
    return .vision(try visionConfig(config))
  case "clip":
    return .vision(try clipConfig(config.objectOrEmpty("vision_config")))
  case "gemma3":
    return .decoder(try decoderConfig(config.objectOrEmpty("text_config"), .gemma3))
  case "siglip":
    return .vision(try siglipConfig(config.objectOrEmpty("vision_config")))
  case "llava": return .llava(try llavaConfig(config))
  case "llava_next":
    var llava = try llavaConfig(config)
    let patches = llava.vision.patchCount
    guard llava.vision.featureCount(patches: patches, llava.featureSelection) == patches else {
      throw config.failure(
        "vision_feature_select_strategy",
        .unsupported(found: "\"\(llava.featureSelection.rawValue)\""),
        expected: "what selects the patches: default, or full for a tower without class token")
    }
    llava.resolutions = try imageResolutions(config, tile: llava.vision.imageSize)
    return .llava(llava)
  case nil: throw config.failure("model_type", .missing, expected: supported)
  case .some(let other):
    throw config.failure("model_type", .unsupported(found: "\"\(other)\""), expected: supported)
  }
}

private let towers = "clip_vision_model, siglip_vision_model, dinov2"

private func visionConfig(_ config: ConfigObject) throws(FormatError) -> VisionConfig {
  switch try config.string("model_type") {
  case "dinov2": return try dinov2Config(config)
  case "siglip_vision_model": return try siglipConfig(config)
  case nil, "clip_vision_model": return try clipConfig(config)
  case .some(let other):
    throw config.failure(
      "model_type", .unsupported(found: "\"\(other)\""), expected: towers)
  }
}

/// - Source: transformers, `CLIPVisionConfig`.
private func clipConfig(_ config: ConfigObject) throws(FormatError) -> VisionConfig {
  try checkedVision(
    config,
    VisionConfig(
      family: .clip,
      hiddenSize: try config.integer("hidden_size", default: 768),
      intermediateSize: try config.integer("intermediate_size", default: 3072),
      layerCount: try config.integer("num_hidden_layers", default: 12, in: 1...10_000),
      headCount: try config.integer("num_attention_heads", default: 12),
      channelCount: try config.integer("num_channels", default: 3, in: 3...3),
      imageSize: try config.integer("image_size", default: 224, in: 1...65_536),
      patchSize: try config.integer("patch_size", default: 32, in: 1...65_536),
      normEpsilon: try config.number("layer_norm_eps", default: 1e-5, in: 0...1),
      activation: try config.word("hidden_act", default: .quickGELU, activations),
      projectionSize: try config.integer("projection_dim", default: 512)))
}

/// The pooling head behind the tower is no part of what a language model reads.
/// - Source: transformers, `SiglipVisionConfig`.
private func siglipConfig(_ config: ConfigObject) throws(FormatError) -> VisionConfig {
  try checkedVision(
    config,
    VisionConfig(
      family: .siglip,
      hiddenSize: try config.integer("hidden_size", default: 768),
      intermediateSize: try config.integer("intermediate_size", default: 3072),
      layerCount: try config.integer("num_hidden_layers", default: 12, in: 1...10_000),
      headCount: try config.integer("num_attention_heads", default: 12),
      channelCount: try config.integer("num_channels", default: 3, in: 3...3),
      imageSize: try config.integer("image_size", default: 224, in: 1...65_536),
      patchSize: try config.integer("patch_size", default: 16, in: 1...65_536),
      normEpsilon: try config.number("layer_norm_eps", default: 1e-6, in: 0...1),
      activation: try config.word("hidden_act", default: .geluTanh, activations)))
}

/// - Source: transformers, `Dinov2Config`.
private func dinov2Config(_ config: ConfigObject) throws(FormatError) -> VisionConfig {
  if try config.bool("use_swiglu_ffn", default: false) {
    throw config.failure(
      "use_swiglu_ffn", .unsupported(found: "true"), expected: "a feed-forward of two layers")
  }
  let hidden = try config.integer("hidden_size", default: 768)
  return try checkedVision(
    config,
    VisionConfig(
      family: .dinov2, hiddenSize: hidden,
      intermediateSize: hidden * (try config.integer("mlp_ratio", default: 4, in: 1...64)),
      layerCount: try config.integer("num_hidden_layers", default: 12, in: 1...10_000),
      headCount: try config.integer("num_attention_heads", default: 12),
      channelCount: try config.integer("num_channels", default: 3, in: 3...3),
      imageSize: try config.integer("image_size", default: 224, in: 1...65_536),
      patchSize: try config.integer("patch_size", default: 14, in: 1...65_536),
      normEpsilon: try config.number("layer_norm_eps", default: 1e-6, in: 0...1),
      activation: try config.word("hidden_act", default: .gelu, activations),
      queryKeyValueBias: try config.bool("qkv_bias", default: true),
      layerScaleInitial: try config.number("layerscale_value", default: 1, in: -1e6...1e6)))
}

private let activations = "quick_gelu, gelu or gelu_pytorch_tanh"

private func checkedVision(
  _ config: ConfigObject, _ vision: VisionConfig
) throws(FormatError) -> VisionConfig {
  guard vision.hiddenSize % vision.headCount == 0 else {
    throw config.failure(
      "num_attention_heads", .malformed(found: "\(vision.headCount)"),
      expected: "a divisor of hidden_size (\(vision.hiddenSize))")
  }
  guard vision.patchSize <= vision.imageSize else {
    throw config.failure(
      "patch_size", .malformed(found: "\(vision.patchSize)"),
      expected: "at most image_size (\(vision.imageSize))")
  }
  return vision
}

/// - Source: transformers, `LlavaConfig` and `LlavaNextConfig`; LLaVA's own code for
///   `mm_projector_type`.
private func llavaConfig(_ config: ConfigObject) throws(FormatError) -> LlavaConfig {
  let textObject = try config.objectOrEmpty("text_config")
  guard
    let architecture = DecoderArchitecture(
      rawValue: try textObject.string("model_type") ?? DecoderArchitecture.llama.rawValue)
  else {
    throw textObject.failure(
      "model_type", .unsupported(found: textObject.value("model_type")?.kind ?? "nothing"),
      expected: DecoderArchitecture.names)
  }
  var text = try decoderConfig(textObject, architecture)
  if try config.bool("tie_word_embeddings", default: false) { text.tiedEmbedding = true }
  var vision = llavaDefaultVision
  if let object = try config.object("vision_config") { vision = try visionConfig(object) }
  let layers = vision.layerCount
  let selection: FeatureSelection = try config.word(
    "vision_feature_select_strategy", default: .patches, "default or full")
  let imageKey = config.value("image_token_index") == nil ? "image_token_id" : "image_token_index"
  return LlavaConfig(
    text: text, vision: vision,
    imageToken: Int32(
      try config.integer(imageKey, default: 32_000, in: 0...text.vocabularySize - 1)),
    featureLayer: try featureLayer(config, layers: layers),
    featureSelection: selection,
    projector: try projectorKind(config),
    projectorBias: try config.bool("multimodal_projector_bias", default: true),
    imageTokenCount: try config.integer(
      "image_seq_length",
      default: vision.featureCount(patches: vision.patchCount, selection)))
}

/// One layer, also as a list of one.
private func featureLayer(_ config: ConfigObject, layers: Int) throws(FormatError) -> Int {
  let key = "vision_feature_layer"
  let allowed = -layers - 1...layers
  guard case .array(let list) = config.value(key) else {
    return try config.integer(key, default: -2, in: allowed)
  }
  guard list.count == 1, let layer = list[0].wholeNumber, allowed.contains(layer) else {
    throw config.failure(
      key, .unsupported(found: "an array of \(list.count)"),
      expected: "one layer from \(allowed.lowerBound) to \(allowed.upperBound)")
  }
  return layer
}

private func projectorKind(_ config: ConfigObject) throws(FormatError) -> ProjectorKind {
  switch try config.string("mm_projector_type") {
  case "linear": return .linear
  case nil, "mlp2x_gelu":
    return .mlp(try config.word("projector_hidden_act", default: .gelu, activations))
  case .some(let other):
    throw config.failure(
      "mm_projector_type", .unsupported(found: "\"\(other)\""), expected: "linear or mlp2x_gelu")
  }
}

/// CLIP ViT-L/14 at 336 pixels, which `llava` means when it names no tower.
private let llavaDefaultVision = VisionConfig(
  family: .clip, hiddenSize: 1024, intermediateSize: 4096, layerCount: 24, headCount: 16,
  imageSize: 336, patchSize: 14, normEpsilon: 1e-5, activation: .quickGELU, projectionSize: 768)
