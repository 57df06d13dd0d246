import Formats
import Foundation
import Kernels
import TestSupport
import Transformer

/// Where the golden files and the script that made them lie.
let fixtures = fixture("Transformer")

/// A small random model with what `transformers` computed for it; see `make_golden.py`.
struct Golden {
  let name: String
  let model: Model
  let store: TensorStore
  let trained: TrainedParts

  /// - Parameter trained: what the 20 steps of its curve changed.
  init(_ name: String, _ trained: TrainedParts = .all) throws {
    self.name = name
    self.trained = trained
    model = try Model.load("\(fixtures)/\(name)")
    store = try TensorStore(safetensors: "\(fixtures)/\(name)/golden.safetensors")
  }

  static let cases: [(name: String, trained: TrainedParts)] = [
    ("llama", .all), ("qwen2", .all), ("llava-clip", .projectorAndLanguage),
    ("llava-dinov2", .all), ("llava-linear", .projectorAndLanguage),
    ("llama-bias", .all), ("llava-full", .projectorAndLanguage), ("llama3", .all),
    ("mistral", .all), ("qwen2-window", .all), ("gemma3", .all), ("llava-siglip", .all),
    ("llava-next", .projectorAndLanguage),
  ]

  /// The model as generation loads it.
  func served(_ precision: GenerationPrecision) throws -> Model {
    try Model.load("\(fixtures)/\(name)", for: .generation(precision, on: Compute()))
  }

  var tokens: [Int32] { get throws { try store.floats("input_ids").map { Int32($0) } } }
  var mask: [Bool] { get throws { try store.floats("mask").map { $0 != 0 } } }

  var images: [ModelImage] {
    get throws {
      guard store.contains("pixel_values") else { return [] }
      let shape = try store.shape(of: "pixel_values")
      let values = try store.floats("pixel_values")
      let count = values.count / shape[0]
      return try (0..<shape[0]).map { index in
        let own = values[index * count..<(index + 1) * count]
        let pixels =
          shape.count == 5
          ? try tiles(Array(own), of: index, edge: shape[4])
          : PixelValues(
            channels: shape[1], height: shape[2], width: shape[3], values: Array(own))
        return ModelImage(pixels, key: "picture \(index)")
      }
    }
  }

  /// The tiles that a picture has, without those that only fill the batch.
  private func tiles(_ values: [Float], of index: Int, edge: Int) throws -> PixelValues {
    let sizes = try store.floats("image_sizes")
    let size = ImageProcessor.Size(
      height: Int(sizes[2 * index]), width: Int(sizes[2 * index + 1]))
    let best = size.best(of: model.llava?.resolutions ?? [size])
    let count = 1 + (best.height / edge) * (best.width / edge)
    return PixelValues(
      channels: 3, height: edge, width: edge, values: Array(values.prefix(count * 3 * edge * edge)),
      tileCount: count, pictureSize: size)
  }

  /// The sample with the image token once per patch, as in the golden file.
  var sample: TrainingInput {
    get throws { try model.trainingInput(tokens: tokens, mask: mask, images: images) }
  }
}

/// A numeric sequence that looks random and is the same everywhere.
func values(_ count: Int, seed: Int = 1) -> [Float] {
  (0..<count).map { Float(sin(Double($0 * 7919 + seed * 104_729))) }
}
