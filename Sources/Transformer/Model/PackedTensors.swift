import Formats
import Kernels

// Weights that do not change while they are used are packed once: a product then reads them as they
// come instead of rearranging them each time. It costs their memory once more and changes no bit.

extension LinearTensors<Floats> {
  /// - Parameters:
  ///   - x: (rows, in).
  ///   - y: (rows, out), overwritten.
  func apply(_ x: Floats, into y: Floats, rows: Int, on compute: Compute) {
    linear(into: y, x, weight: weight, packed: packed, bias: bias, rows: rows, on: compute)
  }

  /// - Parameter outputs: rows of the weight.
  /// - Parameter coded: weights that the model has packed, by name.
  fileprivate mutating func pack(
    outputs: Int, _ coded: [String: PackedMatrix], on compute: Compute
  ) {
    packed = coded[name] ?? packLinear(weight, outputs: outputs, on: compute)
  }
}

extension DecoderTensors<Floats> {
  /// - Parameter coded: weights that the model has packed, by name.
  func packed(
    _ config: DecoderConfig, _ coded: [String: PackedMatrix], on compute: Compute
  ) -> Self {
    var tensors = self
    let queries = config.headCount * config.headSize
    let keys = config.keyValueHeadCount * config.headSize
    for index in layers.indices {
      tensors.layers[index].query.pack(outputs: queries, coded, on: compute)
      tensors.layers[index].key.pack(outputs: keys, coded, on: compute)
      tensors.layers[index].value.pack(outputs: keys, coded, on: compute)
      tensors.layers[index].output.pack(outputs: config.hiddenSize, coded, on: compute)
      tensors.layers[index].gate.pack(outputs: config.intermediateSize, coded, on: compute)
      tensors.layers[index].up.pack(outputs: config.intermediateSize, coded, on: compute)
      tensors.layers[index].down.pack(outputs: config.hiddenSize, coded, on: compute)
    }
    tensors.head.pack(outputs: config.vocabularySize, coded, on: compute)
    return tensors
  }
}

extension VisionTensors<Floats> {
  /// - Parameters:
  ///   - layersUsed: the first so many layers are packed.
  ///   - coded: weights that the model has packed, by name.
  func packed(
    _ config: VisionConfig, layersUsed: Int, _ coded: [String: PackedMatrix], on compute: Compute
  ) -> Self {
    var tensors = self
    let columns = config.hiddenSize
    tensors.patches.pack(outputs: columns, coded, on: compute)
    for index in layers.indices.prefix(layersUsed) {
      tensors.layers[index].query.pack(outputs: columns, coded, on: compute)
      tensors.layers[index].key.pack(outputs: columns, coded, on: compute)
      tensors.layers[index].value.pack(outputs: columns, coded, on: compute)
      tensors.layers[index].output.pack(outputs: columns, coded, on: compute)
      tensors.layers[index].first.pack(outputs: config.intermediateSize, coded, on: compute)
      tensors.layers[index].second.pack(outputs: columns, coded, on: compute)
    }
    return tensors
  }
}

extension ProjectorTensors<Floats> {
  /// - Parameter coded: weights that the model has packed, by name.
  func packed(
    outputs: Int, _ coded: [String: PackedMatrix], on compute: Compute
  ) -> Self {
    var tensors = self
    tensors.first.pack(outputs: outputs, coded, on: compute)
    tensors.second?.pack(outputs: outputs, coded, on: compute)
    return tensors
  }
}

extension ParameterLayout.Parameter {
  /// Whether products read this tensor, so that a model that only generates has it packed. An
  /// embedding of its own is only looked up, positions are only added.
  func isPacked(_ config: ModelConfig) -> Bool {
    guard shape.count >= 2, name.hasSuffix(".weight"), !name.contains("position_embedding") else {
      return false
    }
    let isTied =
      switch config {
      case .decoder(let text): text.tiedEmbedding
      case .llava(let llava): llava.text.tiedEmbedding
      case .vision: false
      }
    return isTied || !name.hasSuffix("embed_tokens.weight")
  }
}
