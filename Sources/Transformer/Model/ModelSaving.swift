public import Formats
import Foundation
import Kernels

extension Model {
  /// Writes a Hugging Face folder that `transformers` opens: configuration, weights, generation
  /// settings, and tokenizer and image processor when the model has them.
  ///
  /// The same model gives the same bytes. Each file is complete or not there.
  /// - Throws: `FormatError` when a file cannot be written.
  /// - Precondition: `isTrainable`, and no adapters: `merged` gives such a model.
  public func save(folder: String, precision: StoredPrecision = .f32) throws(FormatError) {
    precondition(isTrainable, "a model in codes is not saved")
    precondition(adapters == nil, "a model with adapters is merged before it is saved")
    do {
      try FileManager.default.createDirectory(
        atPath: folder, withIntermediateDirectories: true)
    } catch {
      throw unwritable(folder, error)
    }
    try saveWeights(to: folder + "/model.safetensors", precision: precision)
    try tokenizer?.save(folder: folder)
    try imageProcessor?.save(folder: folder)
    try write(generationConfig, to: folder + "/generation_config.json")
    try config.save(folder: folder)
  }

  private func saveWeights(to path: String, precision: StoredPrecision) throws(FormatError) {
    var sources = Dictionary(
      uniqueKeysWithValues: layout.parameters.map { ($0.name, parameters[$0.range]) })
    var shapes = layout.parameters.map { TensorShape(name: $0.name, shape: $0.shape) }
    for (shape, values) in secondLayerOfLinearProjector() {
      shapes.append(shape)
      sources[shape.name] = values
    }
    try writeSafetensors(shapes, precision: precision, to: path) { name, range, target in
      guard let source = sources[name] else { preconditionFailure("asked for an unknown \(name)") }
      for (place, index) in range.enumerated() { target[place] = source[index] }
    }
  }

  /// Hugging Face's LLaVA always has two layers with an activation between: a linear projector is
  /// written with the activation `linear` and a second layer that changes nothing.
  private func secondLayerOfLinearProjector() -> [(TensorShape, Floats)] {
    guard let llava, llava.projector == .linear else { return [] }
    let columns = llava.text.hiddenSize
    let identity = Floats(zeros: columns * columns)
    for column in 0..<columns { identity[column * columns + column] = 1 }
    let name = "multi_modal_projector.linear_2"
    var layer = [(TensorShape(name: "\(name).weight", shape: [columns, columns]), identity)]
    if llava.projectorBias {
      layer.append((TensorShape(name: "\(name).bias", shape: [columns]), Floats(zeros: columns)))
    }
    return layer
  }

  private var generationConfig: String {
    let ends = text.endTokens.map { "\($0)" }.joined(separator: ", ")
    let members: [String?] = [
      text.beginToken.map { "\"bos_token_id\": \($0)" },
      text.endTokens.isEmpty ? nil : "\"eos_token_id\": [\(ends)]",
      text.padToken.map { "\"pad_token_id\": \($0)" },
    ]
    return "{\n" + members.compactMap { $0.map { "  \($0)" } }.joined(separator: ",\n") + "\n}\n"
  }

  private func write(_ text: String, to path: String) throws(FormatError) {
    do {
      try Data(text.utf8).write(to: URL(fileURLWithPath: path), options: .atomic)
    } catch {
      throw unwritable(path, error)
    }
  }
}

private func unwritable(_ path: String, _ error: any Error) -> FormatError {
  FormatError(
    file: path, subject: "file", problem: .unreadable(error.localizedDescription),
    expected: "a place that can be written", remedy: "check path, permissions and free space")
}
