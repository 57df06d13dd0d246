import ArgumentParser
import Formats
import Transformer

/// Shapes that need no files: the weights are random.
enum BenchShape: String, CaseIterable, ExpressibleByArgument {
  case smolLM2 = "smollm2-135m"
  case qwen2 = "qwen2-0.5b"

  var config: DecoderConfig {
    switch self {
    case .smolLM2:
      DecoderConfig(
        architecture: .llama, vocabularySize: 49_152, hiddenSize: 576,
        intermediateSize: 1_536,
        layerCount: 30, headCount: 9, keyValueHeadCount: 3, headSize: 64, contextLength: 8_192,
        normEpsilon: 1e-5, ropeBase: 1e5, queryKeyValueBias: false, tiedEmbedding: true)
    case .qwen2:
      DecoderConfig(
        architecture: .qwen2, vocabularySize: 151_936, hiddenSize: 896,
        intermediateSize: 4_864,
        layerCount: 24, headCount: 14, keyValueHeadCount: 2, headSize: 64, contextLength: 32_768,
        normEpsilon: 1e-6, ropeBase: 1e6, queryKeyValueBias: true, tiedEmbedding: true)
    }
  }
}

extension DecoderConfig {
  /// Multiply-adds times two of a forward pass over a sequence: all matrices for each token, and
  /// attention over what stands before it.
  ///
  /// - Parameter logits: for how many tokens the vocabulary is scored.
  func forwardOperations(length: Int, logits: Int) -> Double {
    let (queries, keys) = (headCount * headSize, keyValueHeadCount * headSize)
    let matrices =
      layerCount
      * (hiddenSize * (2 * queries + 2 * keys) + 3 * hiddenSize * intermediateSize)
    let attention = Double(layerCount * queries) * Double(length) * Double(length + 1) / 2 * 2
    return 2
      * (Double(matrices) * Double(length) + attention
        + Double(hiddenSize) * Double(vocabularySize) * Double(logits))
  }
}

/// The same ids in every run and on every machine, spread over the vocabulary.
func benchTokens(_ count: Int, vocabulary: Int, seed: Int) -> [Int32] {
  (0..<count).map { Int32((($0 + seed * 7_919) &* 40_503 + 12_345) % vocabulary) }
}
