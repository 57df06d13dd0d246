public import Formats
import Foundation
import Kernels

/// How the parameters of a new model are drawn.
///
/// Matrices and embeddings are normal with mean 0, norms and LayerScale begin at 1 (LayerScale at
/// its configured value, norms that add 1 to their weight at 0), biases at 0. Each tensor has a
/// stream of its own, made of the seed and its name, so that a change of one tensor leaves the
/// others as they are.
public struct RandomInitialisation: Hashable, Sendable {
  public var seed: UInt64
  /// Standard deviation of matrices and embeddings.
  public var deviation: Double
  /// Standard deviation of the vision tower's position table.
  public var positionDeviation: Double

  public init(seed: UInt64, deviation: Double = 0.02, positionDeviation: Double = 0.02) {
    self.seed = seed
    self.deviation = deviation
    self.positionDeviation = positionDeviation
  }
}

extension Model {
  /// A new model of this shape with random parameters.
  public static func random(
    _ config: ModelConfig, _ initial: RandomInitialisation, tokenizer: Tokenizer? = nil,
    imageProcessor: ImageProcessor? = nil
  ) -> Model {
    let layout = ParameterLayout(config)
    let model = Model(
      config: config, parameters: Floats(zeros: layout.count), tokenizer: tokenizer,
      imageProcessor: imageProcessor)
    for parameter in layout.parameters {
      model.fill(parameter, initial)
    }
    return model
  }

  private func fill(_ parameter: ParameterLayout.Parameter, _ initial: RandomInitialisation) {
    let name = parameter.name
    let values = parameters[parameter.range]
    if name.hasSuffix(".bias") { return }
    if name.hasSuffix(".lambda1") {
      values.fill(Float(llava?.vision.layerScaleInitial ?? 1))
    } else if name.hasSuffix("norm.weight") || name.hasSuffix("norm1.weight")
      || name.hasSuffix("norm2.weight")
    {
      let isDistance = parameter.part == .language && text.traits.normsAddOne
      values.fill(isDistance ? 0 : 1)
    } else {
      let isPosition = name.contains("position_embedding")
      fillNormal(
        values, deviation: isPosition ? initial.positionDeviation : initial.deviation,
        seed: initial.seed ^ nameHash(name))
    }
  }
}

/// Normal values by the transform of Box & Muller, in f64.
func fillNormal(_ values: Floats, deviation: Double, seed: UInt64) {
  var stream = SeededStream(seed: seed)
  for index in stride(from: 0, to: values.count, by: 2) {
    let radius = deviation * (-2 * log(1 - stream.unit())).squareRoot()
    let angle = 2 * Double.pi * stream.unit()
    values[index] = Float(radius * cos(angle))
    if index + 1 < values.count { values[index + 1] = Float(radius * sin(angle)) }
  }
}

/// FNV-1a of a tensor's name.
func nameHash(_ name: String) -> UInt64 {
  name.utf8.reduce(0xcbf2_9ce4_8422_2325) { ($0 ^ UInt64($1)) &* 0x100_0000_01b3 }
}
