import Formats
import Foundation
import Kernels
import TestSupport
import Testing

@testable import Transformer

@Suite("A saved folder, opened by transformers itself", .serialized)
struct ReferenceTests {
  static let projectors: [ProjectorKind] = [.linear, .mlp(.gelu)]

  @Test(
    "gives the same logits within 1e-4",
    .needs(.python),
    arguments: ["llava-clip", "llava-dinov2"], ReferenceTests.projectors)
  func logits(name: String, projector: ProjectorKind) throws {
    var config = try #require(try Golden(name).model.llava)
    config.projector = projector
    config.featureLayer = -2
    let model = Model.random(.llava(config), RandomInitialisation(seed: 3, deviation: 0.4))
    for parameter in model.layout.parameters where parameter.name.hasSuffix(".bias") {
      let drawn = values(parameter.range.count, seed: parameter.range.lowerBound)
      for (place, index) in parameter.range.enumerated() {
        model.parameters[index] = 0.1 * drawn[place]
      }
    }
    let edge = Int(Double(config.imageTokenCount).squareRoot()) * config.vision.patchSize
    let pixels = values(3 * edge * edge)
    let tokens: [Int32] = [9, config.imageToken, 17, 23, 8]
    let image = ModelImage(
      PixelValues(channels: 3, height: edge, width: edge, values: pixels))
    let logits = try model.logits(
      of: model.trainingInput(tokens: tokens, images: [image]), on: Compute())
    try withTemporaryFolder { folder in
      try model.save(folder: folder)
      let rows = logits.count / config.text.vocabularySize
      try write(
        "logits", [rows, config.text.vocabularySize], logits.array, folder + "/logits.safetensors")
      try write("pixel_values", [1, 3, edge, edge], pixels, folder + "/pixels.safetensors")
      let report = try run([
        "\(fixtures)/check_saved.py", folder, folder + "/logits.safetensors",
        tokens.map { "\($0)" }.joined(separator: ","), folder + "/pixels.safetensors",
      ])
      #expect(report.status == 0, "\(report.text)")
    }
  }

  @Test("gives the same logits within 1e-4, whatever the decoder", .needs(.python))
  func decoders() throws {
    let names = ["llama3", "llama3.gguf", "mistral", "qwen2-window", "gemma3", "gemma3.gguf"]
    let tokens = (0..<30).map { Int32(6 + ($0 * 11) % 40) }
    try withTemporaryFolder { root in
      var arguments: [String] = []
      for name in names {
        let model =
          name.hasSuffix(".gguf")
          ? try Model.load("\(fixtures)/gguf/\(name)") : try Golden(name).model
        let folder = root + "/" + name
        try model.save(folder: folder)
        let logits = try model.logits(of: model.trainingInput(tokens: tokens), on: Compute())
        try write(
          "logits", [tokens.count, model.text.vocabularySize], logits.array,
          folder + "/logits.safetensors")
        arguments += arguments.isEmpty ? [] : ["+"]
        arguments += [
          folder, folder + "/logits.safetensors", tokens.map { "\($0)" }.joined(separator: ","),
        ]
      }
      let report = try run(["\(fixtures)/check_saved.py"] + arguments)
      #expect(report.status == 0, "\(report.text)")
    }
  }

  private func write(
    _ name: String, _ shape: [Int], _ source: [Float], _ path: String
  ) throws {
    try writeSafetensors(
      [TensorShape(name: name, shape: shape)], precision: .f32, to: path
    ) { _, range, target in
      for (place, index) in range.enumerated() { target[place] = source[index] }
    }
  }

  private func run(_ arguments: [String]) throws -> (status: Int32, text: String) {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: try Provision.python.path())
    process.arguments = arguments
    let pipe = Pipe()
    process.standardOutput = pipe
    process.standardError = pipe
    try process.run()
    let text = String(decoding: pipe.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    process.waitUntilExit()
    return (process.terminationStatus, text)
  }
}
