/// A linear layer of a decoder block, as files of models and settings name it.
public enum AdaptedLayer: String, Hashable, Codable, Sendable, CaseIterable {
  case query = "q_proj"
  case key = "k_proj"
  case value = "v_proj"
  case output = "o_proj"
  case gate = "gate_proj"
  case up = "up_proj"
  case down = "down_proj"
}

/// What a training changes in place of the language model's weights.
///
/// Beside the weight W (out, in) of each target stand A (rank, in) and B (out, rank), and the layer
/// gives `x·Wᵀ + (alpha / rank)·(x·Aᵀ)·Bᵀ`. At the end W becomes `W + (alpha / rank)·B·A`.
/// - Source: Hu et al. 2021, "LoRA: Low-Rank Adaptation of Large Language Models".
public struct LowRankAdapters: Hashable, Codable, Sendable {
  public var rank: Int
  public var alpha: Double
  public var targets: Set<AdaptedLayer>

  public init(
    rank: Int = 16, alpha: Double = 32, targets: Set<AdaptedLayer> = Set(AdaptedLayer.allCases)
  ) {
    (self.rank, self.alpha, self.targets) = (rank, alpha, targets)
  }

  /// In the order of a block.
  public var orderedTargets: [AdaptedLayer] {
    AdaptedLayer.allCases.filter { targets.contains($0) }
  }
}
