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

  private typealias Case = (name: String, model: Model, picture: PixelValues?)

  private func readers() throws -> [Case] {
    let folders = try ["llama3", "mistral", "qwen2-window", "gemma3"].map { name -> Case in
      (name, try Golden(name).model, nil)
    }
    return try folders
      + ["llama3.gguf", "gemma3.gguf"].map { name in
        (name, try Model.load("\(fixtures)/gguf/\(name)"), nil)
      }
  }

  /// Towers around decoders that stand together in no golden file, with a real picture.
  private func seers() throws -> [Case] {
    let wide = try Data(contentsOf: URL(fileURLWithPath: fixture("Formats/images/wide.png")))
    return try [
      ("clip", "qwen2"), ("dinov2", "mistral"), ("siglip", "gemma3"), ("next", "llama3"),
    ].map { tower, text -> Case in
      var llava = try #require(try Golden("llava-\(tower)").model.llava)
      llava.text = try Golden(text).model.text
      llava.featureLayer = -1
      if tower == "siglip" {
        // Without a class token, the default selection leaves the first patch out.
        llava.featureSelection = .patches
        llava.imageTokenCount -= 1
      }
      let edge = tower == "dinov2" ? 24 : llava.vision.imageSize
      let square = ImageProcessor.Size(height: edge, width: edge)
      let processor = ImageProcessor(
        kind: tower == "next" ? .llavaNext : .clip, resize: .shortestEdge(edge), crop: square,
        resolutions: llava.resolutions)
      let model = Model.random(
        .llava(llava), RandomInitialisation(seed: 6, deviation: 0.4), imageProcessor: processor)
      return ("\(tower) on \(text)", model, try processor.pixelValues([UInt8](wide)))
    }
  }

  @Test("gives the same logits within 1e-4, whatever the decoder or tower", .needs(.python))
  func everyKind() throws {
    let text = (0..<30).map { Int32(6 + ($0 * 11) % 40) }
    try withTemporaryFolder { root in
      var arguments: [String] = []
      for (name, model, picture) in try readers() + seers() {
        let folder = root + "/" + name
        try model.save(folder: folder)
        let tokens = (model.imageToken.map { [$0] } ?? []) + text
        let images = picture.map { [ModelImage($0)] } ?? []
        let logits = try model.logits(
          of: model.trainingInput(tokens: tokens, images: images), on: Compute())
        let columns = model.text.vocabularySize
        try write(
          "logits", [logits.count / columns, columns], logits.array, folder + "/logits.safetensors")
        arguments += arguments.isEmpty ? [] : ["+"]
        arguments += [
          folder, folder + "/logits.safetensors", tokens.map { "\($0)" }.joined(separator: ","),
        ]
        if let picture {
          let path = folder + "/pixels.safetensors"
          let tiles = picture.pictureSize == nil ? [1] : [1, picture.tileCount]
          let size = picture.pictureSize.map { [Float($0.height), Float($0.width)] }
          try write(
            [("pixel_values", tiles + [3, picture.height, picture.width], picture.values)]
              + (size.map { [("image_sizes", [1, 2], $0)] } ?? []), path)
          arguments.append(path)
        }
      }
      let report = try run(["\(fixtures)/check_saved.py"] + arguments)
      #expect(report.status == 0, "\(report.text)")
    }
  }

  private func write(
    _ name: String, _ shape: [Int], _ source: [Float], _ path: String
  ) throws {
    try write([(name, shape, source)], path)
  }

  private func write(
    _ tensors: [(name: String, shape: [Int], source: [Float])], _ path: String
  ) throws {
    try writeSafetensors(
      tensors.map { TensorShape(name: $0.name, shape: $0.shape) }, precision: .f32, to: path
    ) { name, range, target in
      guard let source = tensors.first(where: { $0.name == name })?.source else { return }
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
