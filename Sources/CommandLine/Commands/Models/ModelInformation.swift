import ArgumentParser
import Formats
import Transformer

struct ModelInformation: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "info",
    abstract: "What a model is: parts, sizes, what it takes in memory.",
    discussion: """
      Example:
        comd model info models/llava-7b
      """)

  @Argument(help: "A Hugging Face folder or a GGUF file.")
  var model: String
  @OptionGroup var facts: FactOptions

  func validate() throws { try requireFile("model", model) }

  func run() throws {
    let facts = ModelFacts(try Model.load(model))
    if self.facts.json {
      try printJSON(facts)
    } else {
      printFact(facts.text)
    }
  }
}

/// What is told of a model.
struct ModelFacts: Encodable {
  struct Part: Encodable {
    var name: String
    var tensors: Int
    var parameters: Int
  }

  var architecture: String
  var parts: [Part]
  var parameters: Int
  var layers: Int
  var hiddenSize: Int
  var heads: Int
  var keyValueHeads: Int
  var vocabulary: Int
  var context: Int
  var imageTokens: Int
  var memoryBytes: Int
  var keyValueBytesPerToken: Int
  var hasTokenizer: Bool

  init(_ model: Model) {
    let (text, info) = (model.text, model.info)
    architecture =
      model.llava.map { llava in
        let kind = llava.resolutions == nil ? "llava" : "llava_next"
        return "\(kind) (\(llava.vision.family), \(text.architecture.rawValue))"
      } ?? text.architecture.rawValue
    parts = info.parts.map {
      Part(name: "\($0.part)", tensors: $0.tensors, parameters: $0.parameters)
    }
    parameters = info.parameters
    layers = text.layerCount
    hiddenSize = text.hiddenSize
    heads = text.headCount
    keyValueHeads = text.keyValueHeadCount
    vocabulary = text.vocabularySize
    context = model.contextLength
    imageTokens = info.imageTokens
    memoryBytes = info.parameterBytes
    keyValueBytesPerToken = info.keyValueBytesPerToken
    hasTokenizer = model.tokenizer != nil
  }

  var text: String {
    let sizes = textTable(
      ["part", "tensors", "parameters"],
      parts.map { [$0.name, "\($0.tensors)", "\($0.parameters)"] }
        + [["all", "\(parts.reduce(0) { $0 + $1.tensors })", "\(parameters)"]])
    return """
      \(architecture)
      \(layers) layers, \(hiddenSize) wide, \(heads) heads (\(keyValueHeads) for keys and values)
      vocabulary \(vocabulary), context \(context), \(imageTokens) embeddings a picture
      memory: parameters \(short(Double(memoryBytes) / 0x1p20)) MiB, \
      \(keyValueBytesPerToken) bytes for each token of context
      tokenizer: \(hasTokenizer ? "there" : "none")

      \(sizes)
      """
  }
}
