extension ModelConfig {
  /// Writes `config.json` so that `transformers` opens the folder.
  public func save(folder: String) throws(FormatError) {
    try writeFile(folder + "/config.json", encoded())
  }

  /// The bytes of `config.json`.
  public func encoded() -> [UInt8] {
    let object: JSONValue
    switch self {
    case .decoder(let decoder):
      object = .members(
        [architectures(className(decoder.architecture))] + decoderMembers(decoder))
    case .vision(let vision):
      object = .members([architectures(className(vision.family))] + visionMembers(vision))
    case .llava(let llava):
      let kind = llava.resolutions == nil ? "Llava" : "LlavaNext"
      object = .members(
        [architectures("\(kind)ForConditionalGeneration")] + llavaMembers(llava))
    }
    return object.encoded(indented: true)
  }
}

private func architectures(_ name: String) -> (String, JSONValue) {
  ("architectures", .array([.string(name)]))
}

private func integer(_ value: Int) -> JSONValue { .integer(Int64(value)) }
private func token(_ value: Int32?) -> JSONValue { value.map { .integer(Int64($0)) } ?? .null }

private func className(_ architecture: DecoderArchitecture) -> String {
  switch architecture {
  case .llama: "LlamaForCausalLM"
  case .mistral: "MistralForCausalLM"
  case .qwen2: "Qwen2ForCausalLM"
  case .gemma3: "Gemma3ForCausalLM"
  }
}

private func className(_ family: VisionFamily) -> String {
  switch family {
  case .clip: "CLIPVisionModel"
  case .dinov2: "Dinov2Model"
  case .siglip: "SiglipVisionModel"
  }
}

private func decoderMembers(_ decoder: DecoderConfig) -> [(String, JSONValue)] {
  let members: [(String, JSONValue)] = [
    ("model_type", .string(decoder.architecture.rawValue)),
    ("vocab_size", integer(decoder.vocabularySize)),
    ("hidden_size", integer(decoder.hiddenSize)),
    ("intermediate_size", integer(decoder.intermediateSize)),
    ("num_hidden_layers", integer(decoder.layerCount)),
    ("num_attention_heads", integer(decoder.headCount)),
    ("num_key_value_heads", integer(decoder.keyValueHeadCount)),
    ("max_position_embeddings", integer(decoder.contextLength)),
    ("rms_norm_eps", .number(decoder.normEpsilon)),
    ("rope_theta", .number(decoder.ropeBase)),
    ("rope_scaling", ropeScaling(decoder)),
    ("tie_word_embeddings", .bool(decoder.tiedEmbedding)),
    ("bos_token_id", token(decoder.beginToken)),
    (
      "eos_token_id",
      decoder.endTokens.count > 1
        ? .array(decoder.endTokens.map { .integer(Int64($0)) }) : token(decoder.endTokens.first)
    ),
    ("pad_token_id", token(decoder.padToken)),
  ]
  return members + ownMembers(decoder)
}

/// The keys that not every architecture has.
private func ownMembers(_ decoder: DecoderConfig) -> [(String, JSONValue)] {
  let gate = JSONValue.string(decoder.traits.gate.rawValue)
  let window = decoder.window.map { integer($0.size) } ?? .null
  let headSize = ("head_dim", integer(decoder.headSize))
  let bias = ("attention_bias", JSONValue.bool(decoder.queryKeyValueBias))
  let sliding = Set(decoder.window?.layers ?? [])
  let layerTypes = JSONValue.array(
    (0..<decoder.layerCount).map {
      .string(sliding.contains($0) ? "sliding_attention" : "full_attention")
    })
  switch decoder.architecture {
  case .llama:
    return [
      ("hidden_act", gate), headSize, bias, ("mlp_bias", .bool(decoder.feedForwardBias)),
    ]
  case .mistral: return [("hidden_act", gate), headSize, ("sliding_window", window)]
  case .qwen2:
    let use = ("use_sliding_window", JSONValue.bool(decoder.window != nil))
    var members = [("hidden_act", gate), use]
    // Not a key of its own, but followed where it stands.
    if decoder.headSize * decoder.headCount != decoder.hiddenSize { members.append(headSize) }
    guard decoder.window != nil else { return members }
    return members + [("sliding_window", window), ("layer_types", layerTypes)]
  case .gemma3:
    return [
      ("hidden_activation", gate), headSize, bias,
      ("query_pre_attn_scalar", queryScalar(decoder)),
      // The key has to be a number, also where no layer has a window.
      ("sliding_window", decoder.window == nil ? integer(decoder.contextLength) : window),
      ("rope_local_base_freq", .number(decoder.window?.ropeBase ?? decoder.ropeBase)),
      ("layer_types", layerTypes),
    ]
  }
}

/// A whole number where it is one, as `transformers` insists on.
private func queryScalar(_ decoder: DecoderConfig) -> JSONValue {
  let scalar = decoder.queryScalar ?? Double(decoder.headSize)
  return Int64(exactly: scalar).map { .integer($0) } ?? .number(scalar)
}

private func ropeScaling(_ decoder: DecoderConfig) -> JSONValue {
  switch decoder.ropeScaling {
  case .none: .null
  case .linear(let factor):
    .members([("rope_type", .string("linear")), ("factor", .number(factor))])
  case .llama3(let factor, let low, let high, let original):
    .members([
      ("rope_type", .string("llama3")), ("factor", .number(factor)),
      ("low_freq_factor", .number(low)), ("high_freq_factor", .number(high)),
      ("original_max_position_embeddings", integer(original)),
    ])
  case .divisors(let divisors):
    .members([
      ("rope_type", .string("longrope")), ("factor", .number(1)),
      ("attention_factor", .number(1)),
      ("long_factor", .array(divisors.map { .number($0) })),
      ("short_factor", .array(divisors.map { .number($0) })),
      ("original_max_position_embeddings", integer(decoder.contextLength)),
    ])
  }
}

private func visionMembers(_ vision: VisionConfig) -> [(String, JSONValue)] {
  let common: [(String, JSONValue)] = [
    ("hidden_size", integer(vision.hiddenSize)),
    ("num_hidden_layers", integer(vision.layerCount)),
    ("num_attention_heads", integer(vision.headCount)),
    ("num_channels", integer(vision.channelCount)),
    ("image_size", integer(vision.imageSize)),
    ("patch_size", integer(vision.patchSize)),
    ("layer_norm_eps", .number(vision.normEpsilon)),
    ("hidden_act", .string(vision.activation.rawValue)),
  ]
  switch vision.family {
  case .clip:
    return [("model_type", .string("clip_vision_model"))] + common + [
      ("intermediate_size", integer(vision.intermediateSize)),
      ("projection_dim", integer(vision.projectionSize)),
    ]
  case .siglip:
    return [("model_type", .string("siglip_vision_model"))] + common + [
      ("intermediate_size", integer(vision.intermediateSize)),
      ("vision_use_head", .bool(false)),
    ]
  case .dinov2:
    return [("model_type", .string("dinov2"))] + common + [
      ("mlp_ratio", integer(vision.intermediateSize / vision.hiddenSize)),
      ("qkv_bias", .bool(vision.queryKeyValueBias)),
      ("layerscale_value", .number(vision.layerScaleInitial)),
      ("use_swiglu_ffn", .bool(false)),
      // Only a tower in training has the tensor; without the key transformers makes one up.
      ("use_mask_token", .bool(false)),
    ]
  }
}

private func llavaMembers(_ llava: LlavaConfig) -> [(String, JSONValue)] {
  var members: [(String, JSONValue)] = [
    ("model_type", .string(llava.resolutions == nil ? "llava" : "llava_next")),
    ("image_token_index", .integer(Int64(llava.imageToken))),
    ("image_seq_length", integer(llava.imageTokenCount)),
    ("vision_feature_layer", integer(llava.featureLayer)),
    ("vision_feature_select_strategy", .string(llava.featureSelection.rawValue)),
    ("multimodal_projector_bias", .bool(llava.projectorBias)),
    ("tie_word_embeddings", .bool(llava.text.tiedEmbedding)),
  ]
  switch llava.projector {
  case .linear:
    // `transformers` has two layers always: these keys go with a second layer that does nothing.
    members.append(("mm_projector_type", .string("linear")))
    members.append(("projector_hidden_act", .string("linear")))
  case .mlp(let activation):
    members.append(("projector_hidden_act", .string(activation.rawValue)))
  }
  if let resolutions = llava.resolutions {
    members.append(("image_grid_pinpoints", imageResolutions(resolutions)))
  }
  members.append(("text_config", .members(decoderMembers(llava.text))))
  members.append(("vision_config", .members(visionMembers(llava.vision))))
  return members
}
