import ArgumentParser
import Formats
import Transformer

struct ParityTokens: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "tokens",
    abstract: "The token ids of a text, control tokens parsed.",
    discussion: """
      Example:
        comd parity tokens --model models/smollm2 --text "Hello, world"
      """)

  @OptionGroup var model: ModelOptions
  @Option(help: "The text.")
  var text: String
  @OptionGroup var facts: FactOptions

  func run() throws {
    let tokenizer =
      model.model.hasSuffix(".gguf")
      ? try GGUFFile(path: model.model).tokenizer() : try Tokenizer(folder: model.model)
    let tokens = tokenizer.encodeWithControl(text)
    if facts.json {
      try printJSON(["tokens": tokens])
    } else {
      printFact(tokens.map(String.init).joined(separator: ","))
    }
  }
}

struct ParityImage: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "image",
    abstract:
      "A picture as the model's tower reads it: pixel_values (3, H, W), or (tiles, 3, H, W).",
    discussion: """
      Example:
        comd parity image --model models/llava-7b --image cat.jpg --out pixels.safetensors
      """)

  @OptionGroup var model: ModelOptions
  @Option(help: "A picture, JPEG or PNG.")
  var image: String
  @Option(help: "The file to write.")
  var out: String

  func validate() throws { try requireFile("--image", image) }

  func run() throws {
    let pixels = try ImageProcessor(folder: model.model).pixelValues(
      try bytes(of: image), name: image)
    let shape = [pixels.channels, pixels.height, pixels.width]
    let isTiled = pixels.pictureSize != nil
    try writeTensors(
      [("pixel_values", isTiled ? [pixels.tileCount] + shape : shape, pixels.values)], to: out)
    printFact(out)
  }
}
