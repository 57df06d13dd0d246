import Formats
import Kernels

/// The tensors of a model by their places, for any kind of handle: ranges of the flat vector when
/// the layout is made, windows on weights or on gradients when it is used.
///
/// One walk (`init`) names every tensor, so that names, shapes and order stand in one place only.
/// `take` is called once per tensor, in layout order, with the name that Hugging Face's files use.
typealias TakeTensor<Tensor> = (_ name: String, _ shape: [Int]) -> Tensor

/// A linear layer. weight: (out, in); bias: (out).
struct LinearTensors<Tensor> {
  /// Of the weight, as Hugging Face's files have it.
  let name: String
  let weight: Tensor
  let bias: Tensor?
  /// The weight once more, as products read it quickest, while it does not change.
  var packed: PackedMatrix?

  /// Without a bias.
  init(name: String, weight: Tensor) {
    self.name = name
    self.weight = weight
    bias = nil
  }

  init(_ name: String, out: Int, in inputs: Int, bias: Bool, _ take: TakeTensor<Tensor>) {
    self.name = "\(name).weight"
    weight = take(self.name, [out, inputs])
    self.bias = bias ? take("\(name).bias", [out]) : nil
  }
}

/// A LayerNorm. Both: (columns).
struct NormTensors<Tensor> {
  let weight: Tensor
  let bias: Tensor

  init(_ name: String, columns: Int, _ take: TakeTensor<Tensor>) {
    weight = take("\(name).weight", [columns])
    bias = take("\(name).bias", [columns])
  }
}

/// One block of a decoder.
struct DecoderLayerTensors<Tensor> {
  let inputNorm: Tensor
  var query, key, value, output: LinearTensors<Tensor>
  /// (headSize); nil for architectures without.
  let queryNorm, keyNorm: Tensor?
  /// Of what attention gives, before it is added; nil for architectures without.
  let attentionOutputNorm: Tensor?
  let middleNorm: Tensor
  var gate, up, down: LinearTensors<Tensor>
  /// As `attentionOutputNorm`, of what the feed-forward gives.
  let feedForwardOutputNorm: Tensor?

  init(_ name: String, _ config: DecoderConfig, _ take: TakeTensor<Tensor>) {
    let (columns, hidden) = (config.hiddenSize, config.intermediateSize)
    let queries = config.headCount * config.headSize
    let keys = config.keyValueHeadCount * config.headSize
    let attention = "\(name).self_attn"
    inputNorm = take("\(name).input_layernorm.weight", [columns])
    query = LinearTensors(
      "\(attention).q_proj", out: queries, in: columns, bias: config.queryKeyValueBias, take)
    key = LinearTensors(
      "\(attention).k_proj", out: keys, in: columns, bias: config.queryKeyValueBias, take)
    value = LinearTensors(
      "\(attention).v_proj", out: keys, in: columns, bias: config.queryKeyValueBias, take)
    output = LinearTensors(
      "\(attention).o_proj", out: columns, in: queries, bias: config.attentionOutputBias, take)
    let traits = config.traits
    func norm(_ part: String, _ columns: Int, if exists: Bool) -> Tensor? {
      exists ? take("\(name).\(part).weight", [columns]) : nil
    }
    queryNorm = norm("self_attn.q_norm", config.headSize, if: traits.normsQueriesAndKeys)
    keyNorm = norm("self_attn.k_norm", config.headSize, if: traits.normsQueriesAndKeys)
    attentionOutputNorm = norm("post_attention_layernorm", columns, if: traits.normsOutputs)
    // With norms behind both halves, Hugging Face's name of this one goes to the first of them.
    let middle = traits.normsOutputs ? "pre_feedforward_layernorm" : "post_attention_layernorm"
    middleNorm = take("\(name).\(middle).weight", [columns])
    let bias = config.feedForwardBias
    gate = LinearTensors("\(name).mlp.gate_proj", out: hidden, in: columns, bias: bias, take)
    up = LinearTensors("\(name).mlp.up_proj", out: hidden, in: columns, bias: bias, take)
    down = LinearTensors("\(name).mlp.down_proj", out: columns, in: hidden, bias: bias, take)
    feedForwardOutputNorm = norm("post_feedforward_layernorm", columns, if: traits.normsOutputs)
  }
}

/// A decoder.
struct DecoderTensors<Tensor> {
  /// (vocabulary, columns)
  let embedding: Tensor
  /// As Hugging Face's files have it.
  let embeddingName: String
  var layers: [DecoderLayerTensors<Tensor>]
  let norm: Tensor
  /// (vocabulary, columns), without bias; the embedding itself when tied.
  var head: LinearTensors<Tensor>

  /// - Parameter prefix: what stands before `model.` in the file, like `language_model.`.
  init(_ prefix: String, _ config: DecoderConfig, _ take: TakeTensor<Tensor>) {
    let table = [config.vocabularySize, config.hiddenSize]
    embeddingName = "\(prefix)model.embed_tokens.weight"
    let headName = config.tiedEmbedding ? embeddingName : "\(prefix)lm_head.weight"
    embedding = take(embeddingName, table)
    layers = (0..<config.layerCount).map {
      DecoderLayerTensors("\(prefix)model.layers.\($0)", config, take)
    }
    norm = take("\(prefix)model.norm.weight", [config.hiddenSize])
    head = LinearTensors(
      name: headName, weight: config.tiedEmbedding ? embedding : take(headName, table))
  }
}

/// One block of a vision tower.
struct VisionLayerTensors<Tensor> {
  let attentionNorm: NormTensors<Tensor>
  var query, key, value, output: LinearTensors<Tensor>
  /// DINOv2's LayerScale, (columns); nil for the others.
  let attentionScale: Tensor?
  let feedForwardNorm: NormTensors<Tensor>
  var first, second: LinearTensors<Tensor>
  /// As `attentionScale`.
  let feedForwardScale: Tensor?

  init(_ name: String, _ config: VisionConfig, _ take: TakeTensor<Tensor>) {
    let (columns, hidden) = (config.hiddenSize, config.intermediateSize)
    let bias = config.queryKeyValueBias
    func square(_ part: String, bias: Bool) -> LinearTensors<Tensor> {
      LinearTensors("\(name).\(part)", out: columns, in: columns, bias: bias, take)
    }
    switch config.family {
    case .clip, .siglip:
      attentionNorm = NormTensors("\(name).layer_norm1", columns: columns, take)
      query = square("self_attn.q_proj", bias: bias)
      key = square("self_attn.k_proj", bias: bias)
      value = square("self_attn.v_proj", bias: bias)
      output = square("self_attn.out_proj", bias: true)
      attentionScale = nil
      feedForwardNorm = NormTensors("\(name).layer_norm2", columns: columns, take)
    case .dinov2:
      attentionNorm = NormTensors("\(name).norm1", columns: columns, take)
      query = square("attention.attention.query", bias: bias)
      key = square("attention.attention.key", bias: bias)
      value = square("attention.attention.value", bias: bias)
      output = square("attention.output.dense", bias: true)
      attentionScale = take("\(name).layer_scale1.lambda1", [columns])
      feedForwardNorm = NormTensors("\(name).norm2", columns: columns, take)
    }
    first = LinearTensors("\(name).mlp.fc1", out: hidden, in: columns, bias: true, take)
    second = LinearTensors("\(name).mlp.fc2", out: columns, in: hidden, bias: true, take)
    switch config.family {
    case .clip, .siglip: feedForwardScale = nil
    case .dinov2: feedForwardScale = take("\(name).layer_scale2.lambda1", [columns])
    }
  }
}

/// A vision tower.
struct VisionTensors<Tensor> {
  /// (columns); nil for SigLIP.
  let classEmbedding: Tensor?
  /// weight: (columns, channels · patch · patch)
  var patches: LinearTensors<Tensor>
  /// (classRows + side², columns), the class token first.
  let positions: Tensor
  /// CLIP's norm before the first layer.
  let inputNorm: NormTensors<Tensor>?
  var layers: [VisionLayerTensors<Tensor>]
  /// Behind the layers; no feature that a language model reads passes it.
  let outputNorm: NormTensors<Tensor>

  /// - Parameter prefix: what stands before the tower's own names, like `vision_tower.`.
  init(_ prefix: String, _ config: VisionConfig, _ take: TakeTensor<Tensor>) {
    let columns = config.hiddenSize
    let side = config.imageSize / config.patchSize
    let positionCount = config.family.classRows + side * side
    let pixels = [columns, config.channelCount, config.patchSize, config.patchSize]
    switch config.family {
    case .clip, .siglip:
      let isClip = config.family == .clip
      classEmbedding = isClip ? take("\(prefix)embeddings.class_embedding", [columns]) : nil
      patches = LinearTensors(
        "\(prefix)embeddings.patch_embedding", shape: pixels, bias: !isClip, take)
      positions = take("\(prefix)embeddings.position_embedding.weight", [positionCount, columns])
      inputNorm = isClip ? NormTensors("\(prefix)pre_layrnorm", columns: columns, take) : nil
      layers = (0..<config.layerCount).map {
        VisionLayerTensors("\(prefix)encoder.layers.\($0)", config, take)
      }
      outputNorm = NormTensors("\(prefix)post_layernorm", columns: columns, take)
    case .dinov2:
      classEmbedding = take("\(prefix)embeddings.cls_token", [1, 1, columns])
      patches = LinearTensors(
        "\(prefix)embeddings.patch_embeddings.projection", shape: pixels, bias: true, take)
      positions = take("\(prefix)embeddings.position_embeddings", [1, positionCount, columns])
      inputNorm = nil
      layers = (0..<config.layerCount).map {
        VisionLayerTensors("\(prefix)encoder.layer.\($0)", config, take)
      }
      outputNorm = NormTensors("\(prefix)layernorm", columns: columns, take)
    }
  }
}

extension LinearTensors {
  /// A convolution whose stride is its size: weight (out, channels, patch, patch).
  init(_ name: String, shape: [Int], bias: Bool, _ take: TakeTensor<Tensor>) {
    self.name = "\(name).weight"
    weight = take(self.name, shape)
    self.bias = bias ? take("\(name).bias", [shape[0]]) : nil
  }
}

/// What turns picture features into embeddings: one linear layer, or two with GELU between.
struct ProjectorTensors<Tensor> {
  var first: LinearTensors<Tensor>
  var second: LinearTensors<Tensor>?
  /// LLaVA-NeXT's embedding behind each line of features, (columns); nil for LLaVA.
  let newline: Tensor?

  init(_ config: LlavaConfig, _ take: TakeTensor<Tensor>) {
    let (inputs, outputs) = (config.vision.hiddenSize, config.text.hiddenSize)
    let bias = config.projectorBias
    let name = "multi_modal_projector"
    first = LinearTensors("\(name).linear_1", out: outputs, in: inputs, bias: bias, take)
    switch config.projector {
    case .linear: second = nil
    case .mlp:
      second = LinearTensors("\(name).linear_2", out: outputs, in: outputs, bias: bias, take)
    }
    newline = config.resolutions == nil ? nil : take("image_newline", [outputs])
  }
}
