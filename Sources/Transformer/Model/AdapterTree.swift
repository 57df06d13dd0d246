import Formats

/// A linear layer of a decoder block that can have an adapter, by its name in Hugging Face's files.
public enum AdapterTarget: String, Hashable, Sendable, CaseIterable {
  case query = "q_proj"
  case key = "k_proj"
  case value = "v_proj"
  case output = "o_proj"
  case gate = "gate_proj"
  case up = "up_proj"
  case down = "down_proj"

  /// Its place in a block.
  var path: String {
    switch self {
    case .query, .key, .value, .output: "self_attn.\(rawValue)"
    case .gate, .up, .down: "mlp.\(rawValue)"
    }
  }

  func size(in config: DecoderConfig) -> (outputs: Int, inputs: Int) {
    let (columns, hidden) = (config.hiddenSize, config.intermediateSize)
    let queries = config.headCount * config.headSize
    let keys = config.keyValueHeadCount * config.headSize
    return switch self {
    case .query: (queries, columns)
    case .key, .value: (keys, columns)
    case .output: (columns, queries)
    case .gate, .up: (hidden, columns)
    case .down: (columns, hidden)
    }
  }
}

/// What low-rank adapters are like: beside each target's weight W (out, in) stand A (rank, in) and
/// B (out, rank), and the layer gives `x·Wᵀ + (alpha / rank)·(x·Aᵀ)·Bᵀ`.
///
/// - Source: Hu et al. 2021, "LoRA: Low-Rank Adaptation of Large Language Models".
public struct AdapterShape: Hashable, Sendable {
  public var rank: Int
  public var alpha: Double
  /// In every block of the decoder.
  public var targets: Set<AdapterTarget>

  /// - Precondition: `rank` is above 0.
  public init(
    rank: Int, alpha: Double, targets: Set<AdapterTarget> = Set(AdapterTarget.allCases)
  ) {
    precondition(rank > 0, "a rank above 0 expected, \(rank) given")
    (self.rank, self.alpha, self.targets) = (rank, alpha, targets)
  }

  var scale: Float { Float(alpha / Double(rank)) }
}

/// An adapter. a: (rank, in); b: (out, rank).
struct AdapterTensors<Tensor> {
  let a, b: Tensor
}

/// All adapters of a decoder, named as `peft` names them; see `TakeTensor`.
struct DecoderAdapters<Tensor> {
  let scale: Float
  /// Of each block, those that it has.
  let layers: [[AdapterTarget: AdapterTensors<Tensor>]]

  /// - Parameter prefix: what stands before `model.` in the file, like `language_model.`.
  init(
    _ prefix: String, _ config: DecoderConfig, _ shape: AdapterShape, _ take: TakeTensor<Tensor>
  ) {
    scale = shape.scale
    layers = (0..<config.layerCount).map { layer in
      var adapters: [AdapterTarget: AdapterTensors<Tensor>] = [:]
      for target in AdapterTarget.allCases where shape.targets.contains(target) {
        let name = "\(prefix)model.layers.\(layer).\(target.path)"
        let size = target.size(in: config)
        adapters[target] = AdapterTensors(
          a: take("\(name).lora_A.weight", [shape.rank, size.inputs]),
          b: take("\(name).lora_B.weight", [size.outputs, shape.rank]))
      }
      return adapters
    }
  }
}
