import ArgumentParser
import Datasets
import Distillation
import Domain
import Foundation
import Kernels
import Transformer

struct ParityGradients: ParsableCommand {
  enum Trained: String, CaseIterable, ExpressibleByArgument {
    case projector
    case projectorAndLanguage = "projector-and-language"
    case all

    var parts: TrainedParts {
      switch self {
      case .projector: .projector
      case .projectorAndLanguage: .projectorAndLanguage
      case .all: .all
      }
    }
  }

  static let configuration = CommandConfiguration(
    commandName: "gradients",
    abstract: "The loss and the gradient of every trained tensor under its Hugging Face name.",
    discussion: """
      The loss is the mean over the tokens whose mask is 1. Conversations are in LLaVA's JSON \
      form; several of them are one batch.

      Example:
        comd parity gradients --model models/tiny --tokens 1,2,3 --mask 0,1,1 --out g.safetensors
        comd parity gradients --model models/tiny-llava --conversations c.json --image cat.png \
      --train projector --out g.safetensors --json
      """)

  @OptionGroup var model: ModelOptions
  @Option(help: "Conversations in LLaVA's JSON form.")
  var conversations: String?
  @Option(help: "Token ids, in place of conversations.")
  var tokens: NumberList?
  @Option(help: "For each token 1 when it is to be learned, else 0.")
  var mask: NumberList?
  @Option(help: "A picture, JPEG or PNG.")
  var image: String?
  @Option(help: "The form of the dialogue (default: what fits the vocabulary).")
  var conversation: String?
  @Option(help: "Which parts get a gradient.")
  var train = Trained.all
  @Option(help: "The file to write.")
  var out: String
  @OptionGroup var computing: ComputeOptions
  @OptionGroup var facts: FactOptions

  func validate() throws {
    if (conversations == nil) == (tokens == nil) {
      throw ValidationError("Give either --conversations or --tokens with --mask.")
    }
    if let tokens, mask?.numbers.count != tokens.numbers.count {
      throw ValidationError(
        "--mask takes one 0 or 1 for each of the \(tokens.numbers.count) tokens.")
    }
    if let mask, !mask.numbers.allSatisfy({ $0 == 0 || $0 == 1 }) {
      throw ValidationError("--mask takes 0 and 1 only.")
    }
    if let image { try requireFile("--image", image) }
    if let conversations { try requireFile("--conversations", conversations) }
  }

  func run() throws {
    let loaded = try Model.load(model.model).multiplying(try computing.products)
    let shown = try image.map { try picture($0, for: loaded) }
    let samples = try self.samples(for: loaded, shown)
    let found = try loaded.gradients(
      of: samples, trained: train.parts, on: try computing.compute())
    guard found.tokens > 0 else {
      throw CommandError.usage("no token is to be learned: mask all 0")
    }
    try writeTensors(
      [("loss", [], [Float(found.loss)])]
        + found.gradients.map { ($0.name, $0.shape, $0.values.array) }, to: out)
    if facts.json {
      try printJSON(
        Facts(
          loss: found.loss, tokens: samples.map { $0.prefix.map { id(of: $0.piece, in: loaded) } },
          mask: samples.map { $0.prefix.map { $0.trained ? 1 : 0 } }))
    } else {
      printFact("loss \(found.loss)")
    }
  }

  private struct Facts: Encodable {
    var loss: Double
    var tokens: [[Int32]]
    var mask: [[Int]]
  }

  /// The image token stands for the picture, once.
  private func id(of piece: Piece, in model: Model) -> Int32 {
    switch piece {
    case .token(let token): token
    case .image: model.imageToken ?? -1
    }
  }

  private func samples(
    for model: Model, _ shown: (digest: Digest, image: ModelImage)?
  ) throws -> [TrainingInput] {
    let images = shown.map { [$0.image] } ?? []
    if let tokens, let mask {
      let mask = mask.numbers.map { $0 == 1 }
      return [try model.trainingInput(tokens: tokens.numbers, mask: mask, images: images)]
    }
    guard let conversations else { return [] }
    let tokenizer = try requireTokenizer(of: model, at: self.model.model)
    let template =
      try conversation.map { try CommandLineTool.conversation(named: $0) }
      ?? defaultConversation(tokenizer)
    return try readConversations(conversations, image: shown?.digest).map { conversation in
      let sample = template.trainingSample(conversation, system: "")
      let read = try sample.parts.enumerated().flatMap { place, part in
        try pieces(of: part.part, isFirst: place == 0, tokenizer)
          .map { TrainingPiece($0, trained: part.trained) }
      }
      return TrainingInput(images: conversation.image == nil ? [] : images, prefix: read)
    }
  }
}

/// Conversations in LLaVA's JSON form, answers kept. Those with a picture show `image`.
///
/// - Throws: `CommandError` for a file that has another form, with the record.
func readConversations(_ file: String, image: Digest?) throws -> [Conversation] {
  try ConversationFile(file).map { record in
    switch record {
    case .success(let record):
      Conversation(
        image: record.image == nil ? nil : image, placement: record.placement, turns: record.turns)
    case .failure(let problem): throw CommandError.failed("\(problem)")
    }
  }
}
