import Formats
public import Kernels

extension Model {
  /// The same model with new adapters beside its language model, on a parameter vector of its own.
  ///
  /// A is uniform in ±1/√in, as `peft` draws it (Kaiming's uniform with a = √5), B is 0: the model
  /// computes what it computed before. Each A has a stream of its own, SplitMix64 of the seed and
  /// FNV-1a of the tensor's name, like every random tensor here.
  /// - Precondition: `isTrainable`, and no adapters yet.
  public func withAdapters(_ shape: AdapterShape, seed: UInt64) -> Model {
    precondition(isTrainable, "a model that only generates has no adapters")
    precondition(adapters == nil, "the model has adapters already")
    let layout = ParameterLayout(config, adapters: shape)
    let result = Model(
      config: config, adapters: shape, parameters: Floats(zeros: layout.count),
      tokenizer: tokenizer, imageProcessor: imageProcessor
    ).multiplying(products)
    for parameter in layout.parameters {
      let values = result.parameters[parameter.range]
      if let own = tensor(parameter.name) {
        values.copy(from: own)
      } else if parameter.name.hasSuffix(".lora_A.weight") {
        var stream = SeededStream(seed: seed ^ nameHash(parameter.name))
        let bound = 1 / Double(parameter.shape[1]).squareRoot()
        for index in 0..<values.count { values[index] = Float(bound * (2 * stream.unit() - 1)) }
      }
    }
    return result
  }

  /// The model without adapters that computes the same but for rounding, on a parameter vector of
  /// its own: `W + (alpha / rank)·B·A` in place of each adapted W, computed in f32.
  /// - Precondition: `isTrainable`.
  public func merged(on compute: Compute) -> Model {
    precondition(isTrainable, "a model that only generates is not merged")
    let compute = compute.multiplying(.f32)
    let result = Model(
      config: config, parameters: Floats(zeros: ParameterLayout(config).count),
      tokenizer: tokenizer, imageProcessor: imageProcessor
    ).multiplying(products)
    for parameter in result.layout.parameters {
      tensor(parameter.name).map { result.parameters[parameter.range].copy(from: $0) }
    }
    guard let shape = adapters, let tensors = adapterTensors() else { return result }
    let prefix = layout.decoderPrefix(config)
    for (layer, adapters) in tensors.layers.enumerated() {
      for target in AdapterTarget.allCases {
        guard let adapter = adapters[target],
          let weight = result.tensor("\(prefix)model.layers.\(layer).\(target.path).weight")
        else { continue }
        let size = target.size(in: text)
        let scaled = Floats(zeros: adapter.b.count)
        scaled.copy(from: adapter.b)
        scale(scaled, by: tensors.scale, on: compute)
        let product = Product(
          m: size.outputs, n: size.inputs, k: shape.rank, accumulate: true)
        matmul(into: weight, scaled, adapter.a, product, on: compute)
      }
    }
    return result
  }
}
