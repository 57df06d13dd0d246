import TestSupport
import Testing

@testable import Formats

@Suite("A config.json")
struct ConfigTests {
  func read(_ name: String) throws -> ModelConfig {
    let path = "configs/\(name).json"
    return try ModelConfig(json: fixtureBytes(path), name: path)
  }

  func parse(_ text: String) throws -> ModelConfig {
    try ModelConfig(json: Array(text.utf8), name: "config.json")
  }

  let llamaDefault = DecoderConfig(
    architecture: .llama, vocabularySize: 32_000, hiddenSize: 4096, intermediateSize: 11_008,
    layerCount: 32, headCount: 32, keyValueHeadCount: 32, headSize: 128, contextLength: 2048,
    normEpsilon: 1e-6, ropeBase: 10_000, queryKeyValueBias: false, tiedEmbedding: false,
    beginToken: 1, endTokens: [2])
  let qwen2Default = DecoderConfig(
    architecture: .qwen2, vocabularySize: 151_936, hiddenSize: 4096, intermediateSize: 22_016,
    layerCount: 32, headCount: 32, keyValueHeadCount: 32, headSize: 128, contextLength: 32_768,
    normEpsilon: 1e-6, ropeBase: 10_000, queryKeyValueBias: true, tiedEmbedding: false)
  let mistralDefault = DecoderConfig(
    architecture: .mistral, vocabularySize: 32_000, hiddenSize: 4096, intermediateSize: 14_336,
    layerCount: 32, headCount: 32, keyValueHeadCount: 8, headSize: 128, contextLength: 131_072,
    normEpsilon: 1e-6, ropeBase: 10_000, window: SlidingWindow(size: 4096, layers: Array(0..<32)),
    queryKeyValueBias: false, tiedEmbedding: false, beginToken: 1, endTokens: [2])
  let gemma3Default = DecoderConfig(
    architecture: .gemma3, vocabularySize: 262_208, hiddenSize: 2304, intermediateSize: 9216,
    layerCount: 26, headCount: 8, keyValueHeadCount: 4, headSize: 256, contextLength: 131_072,
    normEpsilon: 1e-6, ropeBase: 1_000_000,
    window: SlidingWindow(
      size: 4096, layers: (0..<26).filter { $0 % 6 != 5 }, ropeBase: 10_000), queryScalar: 256,
    queryKeyValueBias: false, tiedEmbedding: true, beginToken: 2, endTokens: [1], padToken: 0)
  let clipDefault = VisionConfig(
    family: .clip, hiddenSize: 768, intermediateSize: 3072, layerCount: 12, headCount: 12,
    imageSize: 224, patchSize: 32, normEpsilon: 1e-5, activation: .quickGELU)
  let dinov2Default = VisionConfig(
    family: .dinov2, hiddenSize: 768, intermediateSize: 3072, layerCount: 12, headCount: 12,
    imageSize: 224, patchSize: 14, normEpsilon: 1e-6, activation: .gelu)
  let siglipDefault = VisionConfig(
    family: .siglip, hiddenSize: 768, intermediateSize: 3072, layerCount: 12, headCount: 12,
    imageSize: 224, patchSize: 16, normEpsilon: 1e-6, activation: .geluTanh)
  let clipLarge = VisionConfig(
    family: .clip, hiddenSize: 1024, intermediateSize: 4096, layerCount: 24, headCount: 16,
    imageSize: 336, patchSize: 14, normEpsilon: 1e-5, activation: .quickGELU, projectionSize: 768)

  @Test("has the defaults of transformers, written out or left out")
  func defaults() throws {
    #expect(try read("llama-default") == .decoder(llamaDefault))
    #expect(try parse(#"{"model_type": "llama"}"#) == .decoder(llamaDefault))
    #expect(try read("qwen2-default") == .decoder(qwen2Default))
    #expect(try parse(#"{"model_type": "qwen2"}"#) == .decoder(qwen2Default))
    #expect(try read("mistral-default") == .decoder(mistralDefault))
    #expect(try parse(#"{"model_type": "mistral"}"#) == .decoder(mistralDefault))
    #expect(try read("gemma3-default") == .decoder(gemma3Default))
    #expect(try parse(#"{"model_type": "gemma3_text"}"#) == .decoder(gemma3Default))
    #expect(try read("clip-vision-default") == .vision(clipDefault))
    #expect(try parse(#"{"model_type": "clip"}"#) == .vision(clipDefault))
    #expect(try read("dinov2-default") == .vision(dinov2Default))
    #expect(try parse(#"{"model_type": "dinov2"}"#) == .vision(dinov2Default))
    #expect(try read("siglip-vision-default") == .vision(siglipDefault))
    #expect(try parse(#"{"model_type": "siglip"}"#) == .vision(siglipDefault))
    let llava = LlavaConfig(
      text: llamaDefault, vision: clipLarge, imageToken: 32_000, imageTokenCount: 576)
    // 32,000 is not a token of the default decoder: transformers' own default cannot run.
    #expect(throws: FormatError.self) { try read("llava-default") }
    var wider = llava
    wider.text.vocabularySize = 32_001
    #expect(
      try parse(#"{"model_type": "llava", "text_config": {"vocab_size": 32001}}"#) == .llava(wider))
  }

  @Test("of Llama is read with all its keys")
  func llama() throws {
    #expect(
      try read("llama")
        == .decoder(
          DecoderConfig(
            architecture: .llama, vocabularySize: 300, hiddenSize: 24, intermediateSize: 40,
            layerCount: 3, headCount: 4, keyValueHeadCount: 2, headSize: 8, contextLength: 99,
            normEpsilon: 1e-5, ropeBase: 500_000,
            ropeScaling: .llama3(factor: 8, lowFactor: 1, highFactor: 4, originalContext: 64),
            queryKeyValueBias: true, attentionOutputBias: true, feedForwardBias: true,
            tiedEmbedding: true, beginToken: 1, endTokens: [2, 5], padToken: 0)))
    var vicuna = llamaDefault
    vicuna.contextLength = 4096
    vicuna.normEpsilon = 1e-5
    vicuna.padToken = 0
    #expect(try read("vicuna-7b") == .decoder(vicuna))
  }

  @Test("tells which layers have a window, and the angles of either kind")
  func windows() throws {
    var qwen = qwen2Default
    qwen.layerCount = 4
    qwen.window = SlidingWindow(size: 4096, layers: [2, 3])
    (qwen.ropeBase, qwen.ropeScaling) = (500, .linear(factor: 2.5))
    #expect(try read("qwen2-window") == .decoder(qwen))

    var gemma = gemma3Default
    gemma.layerCount = 3
    gemma.window = SlidingWindow(size: 512, layers: [1], ropeBase: 20_000)
    (gemma.ropeBase, gemma.ropeScaling) = (2_000_000, .linear(factor: 8))
    gemma.queryScalar = 168
    #expect(try read("gemma3") == .decoder(gemma))

    var older = gemma3Default
    (older.hiddenSize, older.intermediateSize, older.layerCount) = (2560, 10_240, 34)
    older.window = SlidingWindow(
      size: 1024, layers: (0..<34).filter { $0 % 6 != 5 }, ropeBase: 10_000)
    older.ropeScaling = .linear(factor: 8)
    #expect(try read("gemma3-4b-text") == .decoder(older))

    var open = mistralDefault
    open.window = nil
    #expect(try parse(#"{"model_type": "mistral", "sliding_window": null}"#) == .decoder(open))
    #expect(older.cut(layers: 6).window?.layers == [0, 1, 2, 3, 4])
    #expect(gemma.cut(layers: 1).window == nil)
  }

  @Test("whose angles are divided one by one reads back the same")
  func divisors() throws {
    var config = llamaDefault
    config.headSize = 6
    config.ropeScaling = .divisors([1, 2.5, 8])
    let encoded = ModelConfig.decoder(config).encoded()
    #expect(try ModelConfig(json: encoded, name: "again") == .decoder(config))
  }

  @Test("of Qwen2 with heads of another size than its share reads back the same")
  func headSize() throws {
    let text = """
      {"model_type": "qwen2", "hidden_size": 40, "num_attention_heads": 5,
       "num_key_value_heads": 5, "head_dim": 6}
      """
    let config = try parse(text)
    #expect(try ModelConfig(json: config.encoded(), name: "again") == config)
    guard case .decoder(let decoder) = config else {
      Issue.record("not read as a decoder")
      return
    }
    #expect(decoder.headSize == 6)
  }

  @Test(
    "that asks for what is not computed is refused with the key",
    arguments: [
      ("final_logit_softcapping", "30.0"), ("attn_logit_softcapping", "50"),
      ("use_bidirectional_attention", "true"), ("hidden_activation", #""silu""#),
      ("layer_types", #"["chunked_attention"]"#),
    ])
  func unsupportedGemma(key: String, value: String) throws {
    let text = #"{"model_type": "gemma3_text", "num_hidden_layers": 1, "\#(key)": \#(value)}"#
    let error = #expect(throws: FormatError.self) { try parse(text) }
    #expect(error?.subject == "key \(key)")
  }

  @Test(
    "whose angles are stretched in a way that is not computed is refused",
    arguments: [
      (
        #"{"rope_type": "llama3", "low_freq_factor": 4, "high_freq_factor": 4}"#, "high_freq_factor"
      ),
      (#"{"rope_type": "longrope", "long_factor": [1, 2], "short_factor": [1, 1]}"#, "rope_type"),
      (#"{"rope_type": "longrope", "long_factor": [1, 0], "short_factor": [1, 0]}"#, "long_factor"),
      (#"{"rope_type": "yarn"}"#, "rope_type"),
    ])
  func unsupportedAngles(rope: String, key: String) throws {
    let text = #"{"model_type": "llama", "head_dim": 4, "rope_parameters": \#(rope)}"#
    let error = #expect(throws: FormatError.self) { try parse(text) }
    #expect(error?.subject == "key rope_parameters.\(key)")
  }

  @Test("of SigLIP is read from its vision half")
  func siglip() throws {
    #expect(
      try read("siglip")
        == .vision(
          VisionConfig(
            family: .siglip, hiddenSize: 48, intermediateSize: 96, layerCount: 2, headCount: 6,
            imageSize: 28, patchSize: 14, normEpsilon: 1e-6, activation: .gelu)))
  }

  @Test("of the CLIP family is read from its vision half")
  func clip() throws {
    #expect(
      try read("clip")
        == .vision(
          VisionConfig(
            family: .clip, hiddenSize: 48, intermediateSize: 96, layerCount: 2, headCount: 6,
            imageSize: 28, patchSize: 14, normEpsilon: 1e-5, activation: .gelu)))
  }

  @Test("of LLaVA is read with both halves")
  func llava() throws {
    var vicuna = llamaDefault
    vicuna.contextLength = 4096
    vicuna.normEpsilon = 1e-5
    vicuna.vocabularySize = 32_064
    #expect(
      try read("llava-1.5-7b")
        == .llava(
          LlavaConfig(
            text: vicuna, vision: clipLarge, imageToken: 32_000, imageTokenCount: 576)))
    guard case .llava(let small) = try read("llava-dinov2-qwen2") else {
      Issue.record("not read as LLaVA")
      return
    }
    #expect(small.vision.family == .dinov2 && small.text.architecture == .qwen2)
    #expect(small.featureLayer == -1 && small.featureSelection == .all)
    #expect(!small.projectorBias && small.text.tiedEmbedding && small.imageTokenCount == 5)
    #expect(small.imageToken == 76 && small.projector == .mlp(.gelu))
  }

  @Test("of LLaVA-NeXT is read with its resolutions, and tells the most that a picture takes")
  func llavaNext() throws {
    guard case .llava(let next) = try read("llava-next") else {
      Issue.record("not read as LLaVA")
      return
    }
    #expect(next.vision.family == .siglip && next.text.architecture == .mistral)
    let sizes = [(28, 56), (56, 28), (84, 28)].map {
      ImageProcessor.Size(height: $0.0, width: $0.1)
    }
    #expect(next.resolutions == sizes && next.imageTokenCount == 4)
    // The whole picture's 4 patches, and of three tiles 6 lines of 2 patches and a newline.
    #expect(next.imageTokensMax == 4 + 6 * 3)
    let text = #"{"model_type": "llava_next", "text_config": {"vocab_size": 32001}"#
    guard case .llava(let usual) = try parse(text + "}") else {
      Issue.record("not read as LLaVA")
      return
    }
    #expect(usual.resolutions == ImageProcessor.usualResolutions && usual.imageTokenCount == 576)
    #expect(usual.imageTokensMax == 576 + 48 * 49)
    let error = #expect(throws: FormatError.self) {
      try parse(text + #", "vision_feature_select_strategy": "full"}"#)
    }
    #expect(error?.subject == "key vision_feature_select_strategy")
  }

  @Test(
    "that is written reads back the same",
    arguments: [
      "llama-default", "llama", "qwen2-default", "qwen2-window", "mistral-default",
      "gemma3-default", "gemma3", "gemma3-4b-text", "siglip-vision-default", "siglip",
      "clip-vision-default", "clip", "dinov2-default",
      "llava-1.5-7b", "llava-dinov2-qwen2", "llava-next", "vicuna-7b",
    ])
  func roundTrip(_ name: String) throws {
    let config = try read(name)
    #expect(try ModelConfig(json: config.encoded(), name: "again") == config)
  }

  @Test("with a linear projector reads back the same")
  func linearProjector() throws {
    guard case .llava(var llava) = try read("llava-1.5-7b") else {
      Issue.record("not read as LLaVA")
      return
    }
    llava.projector = .linear
    llava.featureLayer = -1
    let config = ModelConfig.llava(llava)
    #expect(try ModelConfig(json: config.encoded(), name: "again") == config)
  }

  @Test("in a folder takes the end tokens of generation_config.json as well")
  func generationConfig() throws {
    try withTemporaryFolder { folder in
      _ = try write(fixtureBytes("configs/vicuna-7b.json"), folder, "config.json")
      _ = try write(Array(#"{"eos_token_id": [2, 7]}"#.utf8), folder, "generation_config.json")
      guard case .decoder(let decoder) = try ModelConfig(folder: folder) else {
        Issue.record("not read as a decoder")
        return
      }
      #expect(decoder.endTokens == [2, 7])
    }
  }

  @Test(
    "that cannot be run is refused with the key's name",
    arguments: [
      (#"{}"#, "model_type"), (#"{"model_type": "mamba"}"#, "model_type"),
      (#"{"model_type": "llama", "hidden_size": 0}"#, "hidden_size"),
      (#"{"model_type": "llama", "hidden_size": "a"}"#, "hidden_size"),
      (#"{"model_type": "llama", "hidden_size": 1e30}"#, "hidden_size"),
      (#"{"model_type": "llama", "hidden_size": -1}"#, "hidden_size"),
      (#"{"model_type": "llama", "hidden_size": 1.5}"#, "hidden_size"),
      (#"{"model_type": "llama", "num_attention_heads": 7}"#, "num_attention_heads"),
      (#"{"model_type": "llama", "num_key_value_heads": 5}"#, "num_key_value_heads"),
      (#"{"model_type": "llama", "head_dim": 3}"#, "head_dim"),
      (#"{"model_type": "llama", "hidden_act": "gelu"}"#, "hidden_act"),
      (#"{"model_type": "llama", "rms_norm_eps": "x"}"#, "rms_norm_eps"),
      (#"{"model_type": "llama", "eos_token_id": [1, "a"]}"#, "eos_token_id"),
      (#"{"model_type": "llama", "rope_scaling": {"type": "yarn"}}"#, "rope_scaling.rope_type"),
      (#"{"model_type": "dinov2", "use_swiglu_ffn": true}"#, "use_swiglu_ffn"),
      (#"{"model_type": "dinov2", "num_attention_heads": 7}"#, "num_attention_heads"),
      (#"{"model_type": "dinov2", "patch_size": 500}"#, "patch_size"),
      (#"{"model_type": "clip_vision_model", "hidden_act": "relu"}"#, "hidden_act"),
      (#"{"model_type": "clip", "vision_config": 1}"#, "vision_config"),
      (#"{"model_type": "llava"}"#, "image_token_id"),
      (
        #"{"model_type": "llava", "image_token_index": 5, "vision_feature_layer": [-1, -2]}"#,
        "vision_feature_layer"
      ),
      (
        #"{"model_type": "llava", "image_token_index": 5, "vision_feature_layer": 26}"#,
        "vision_feature_layer"
      ),
      (#"{"model_type": "llava", "text_config": {"model_type": "opt"}}"#, "text_config.model_type"),
      (
        #"{"model_type": "llava", "vision_config": {"model_type": "x"}}"#,
        "vision_config.model_type"
      ),
    ])
  func refused(_ text: String, _ key: String) {
    #expect(formatError { _ = try parse(text) }?.subject == "key \(key)")
  }
}
