import Formats
import Foundation

/// A file's bytes.
func bytes(of file: String) throws -> [UInt8] {
  [UInt8](try Data(contentsOf: URL(fileURLWithPath: file)))
}

/// Writes f32 tensors, row-major, as a safetensors file.
func writeTensors(
  _ tensors: [(name: String, shape: [Int], values: [Float])], to path: String
) throws {
  let values = Dictionary(uniqueKeysWithValues: tensors.map { ($0.name, $0.values) })
  try writeSafetensors(
    tensors.map { TensorShape(name: $0.name, shape: $0.shape) }, precision: .f32, to: path
  ) { name, range, destination in
    guard let source = values[name] else { preconditionFailure("no tensor \(name)") }
    for (place, index) in range.enumerated() { destination[place] = source[index] }
  }
}
