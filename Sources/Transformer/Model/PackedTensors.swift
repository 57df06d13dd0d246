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
  fileprivate mutating func pack(outputs: Int, _ packing: Packing) {
    packed =
      packing.coded[name]
      ?? packLinear(weight, outputs: outputs, in: packing.memory, on: packing.compute)
  }
}

/// Where and how the weights of a model are packed.
private struct Packing {
  /// Weights that the model has packed, by name.
  let coded: [String: PackedMatrix]
  let memory = Arena()
  let compute: Compute
}

extension DecoderTensors<Floats> {
  /// - Parameter coded: weights that the model has packed, by name.
  func packed(
    _ config: DecoderConfig, _ coded: [String: PackedMatrix], on compute: Compute
  ) -> Self {
    var tensors = self
    let packing = Packing(coded: coded, compute: compute)
    let queries = config.headCount * config.headSize
    let keys = config.keyValueHeadCount * config.headSize
    for index in layers.indices {
      tensors.layers[index].query.pack(outputs: queries, packing)
      tensors.layers[index].key.pack(outputs: keys, packing)
      tensors.layers[index].value.pack(outputs: keys, packing)
      tensors.layers[index].output.pack(outputs: config.hiddenSize, packing)
      tensors.layers[index].gate.pack(outputs: config.intermediateSize, packing)
      tensors.layers[index].up.pack(outputs: config.intermediateSize, packing)
      tensors.layers[index].down.pack(outputs: config.hiddenSize, packing)
    }
    tensors.head.pack(outputs: config.vocabularySize, packing)
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
    let packing = Packing(coded: coded, compute: compute)
    let columns = config.hiddenSize
    tensors.patches.pack(outputs: columns, packing)
    for index in layers.indices.prefix(layersUsed) {
      tensors.layers[index].query.pack(outputs: columns, packing)
      tensors.layers[index].key.pack(outputs: columns, packing)
      tensors.layers[index].value.pack(outputs: columns, packing)
      tensors.layers[index].output.pack(outputs: columns, packing)
      tensors.layers[index].first.pack(outputs: config.intermediateSize, packing)
      tensors.layers[index].second.pack(outputs: columns, packing)
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
    let packing = Packing(coded: coded, compute: compute)
    tensors.first.pack(outputs: outputs, packing)
    tensors.second?.pack(outputs: outputs, packing)
    return tensors
  }
}

extension ParameterLayout.Parameter {
  /// Whether products read this tensor, so that a model that only generates has it packed.
  /// Positions are only added.
  func isPacked(_ config: ModelConfig) -> Bool {
    shape.count >= 2 && name.hasSuffix(".weight") && !name.contains("position_embedding")
      && !isLookedUp(config)
  }

  /// Whether this is an embedding that is not the head, too: a model that only generates reads
  /// single rows of it, and leaves it in its file.
  func isLookedUp(_ config: ModelConfig) -> Bool {
    let isTied =
      switch config {
      case .decoder(let text): text.tiedEmbedding
      case .llava(let llava): llava.text.tiedEmbedding
      case .vision: false
      }
    return !isTied && name.hasSuffix("embed_tokens.weight")
  }
}
