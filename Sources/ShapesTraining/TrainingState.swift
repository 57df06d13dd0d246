import Formats
import Foundation
import Kernels

/// Where a training stands, as a file.
struct TrainingState {
  var step: Int
  var parameters: Floats
  var firstMoments: Floats
  var secondMoments: Floats

  /// Written aside and renamed, so that a state is whole or not there.
  func write(_ path: String) throws(FormatError) {
    let vectors = [
      "parameters": parameters, "first_moments": firstMoments, "second_moments": secondMoments,
      "step": Floats([Float(step)]),
    ]
    let shapes = vectors.map { TensorShape(name: $0.key, shape: [$0.value.count]) }
    try writeSafetensors(shapes.sorted { $0.name < $1.name }, precision: .f32, to: path) {
      name, range, values in
      guard let vector = vectors[name] else { return }
      for (position, index) in range.enumerated() { values[position] = vector[index] }
    }
  }

  /// The state at `path`, or nil when there is none.
  ///
  /// - Throws: `FormatError` when the file is damaged or of vectors of another length.
  static func read(_ path: String, count: Int) throws(FormatError) -> TrainingState? {
    guard FileManager.default.fileExists(atPath: path) else { return nil }
    let store = try TensorStore(safetensors: path)
    func vector(_ name: String) throws(FormatError) -> Floats {
      let shape = try store.shape(of: name)
      guard shape == [count] else {
        throw FormatError(
          file: path, subject: "tensor \(name)", problem: .wrongShape(found: shape),
          expected: "[\(count)]", remedy: "remove the file to begin this training again")
      }
      return Floats(try store.floats(name))
    }
    let step = try store.floats("step").first ?? 0
    return TrainingState(
      step: Int(step), parameters: try vector("parameters"),
      firstMoments: try vector("first_moments"), secondMoments: try vector("second_moments"))
  }
}
