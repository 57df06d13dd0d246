import ArgumentParser
import Formats
import Kernels
import Transformer

struct BenchVision: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "vision",
    abstract: "Pictures through tower, projector and language model, in pictures a second.",
    discussion: """
      Each picture is read as a prompt of its own.

      Example:
        comd bench vision --model models/llava-7b --batch 8
      """)

  @OptionGroup var model: ModelOptions
  @Option(help: "Pictures of a run.")
  var batch = 8
  @OptionGroup var options: BenchOptions

  func validate() throws { try require("--batch", batch, in: 1...1_024) }

  func run() throws {
    let loaded = try Model.load(model.model)
    guard let llava = loaded.llava else {
      throw CommandError.usage("--model: \(model.model) cannot see")
    }
    let compute = try options.computing.compute()
    let side = Int(Double(llava.imageTokenCount).squareRoot()) * llava.vision.patchSize
    let requests = (0..<batch).map { index in
      GenerationInput(
        ModelInput(pieces: [.image(0)], images: [ModelImage(gradientPicture(side, index))]),
        tokensMax: 1)
    }
    let operations =
      llava.vision.forwardOperations(side: side)
      + llava.text.forwardOperations(length: llava.imageTokenCount, logits: 1)
    try measure(
      "vision", unit: "img/s", amount: Double(batch), operations: operations * Double(batch),
      options
    ) {
      let generator = Generator(model: loaded, compute: compute, batchMax: batch)
      _ = try generator.run(requests)
    }
  }
}

/// A picture whose values rise from corner to corner, another for each index.
private func gradientPicture(_ side: Int, _ index: Int) -> PixelValues {
  let count = 3 * side * side
  return PixelValues(
    channels: 3, height: side, width: side,
    values: (0..<count).map { Float(($0 + index * 31) % count) / Float(count) * 2 - 1 })
}

extension VisionConfig {
  /// Multiply-adds times two of the tower's layers for one picture, the class token left out.
  func forwardOperations(side: Int) -> Double {
    let rows = Double((side / patchSize) * (side / patchSize))
    let width = Double(hiddenSize)
    let layer = 4 * width * width + 2 * width * Double(intermediateSize) + 2 * rows * width
    let patches = Double(channelCount * patchSize * patchSize) * width
    return 2 * rows * (Double(layerCount) * layer + patches)
  }
}
