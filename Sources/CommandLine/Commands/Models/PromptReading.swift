import Distillation
import Domain
import Formats
import Foundation
import Hashing
import Transformer

/// The dialogue form that fits a model's vocabulary, for who does not name one.
func defaultConversation(_ tokenizer: Tokenizer) -> ConversationTemplate {
  tokenizer.controlToken("<|im_end|>") == nil ? .vicunaV1 : .chatML
}

/// The dialogue form of a name.
func conversation(named name: String) throws -> ConversationTemplate {
  guard let template = ConversationTemplate.named(name) else {
    let names = ConversationTemplate.names.joined(separator: ", ")
    throw CommandError.usage("--conversation takes one of: \(names); '\(name)' given")
  }
  return template
}

/// A picture from a file as a model reads it, known by its digest.
func picture(_ file: String, for model: Model) throws -> (digest: Digest, image: ModelImage) {
  guard let processor = model.imageProcessor, model.imageToken != nil else {
    throw CommandError.usage("--image: this model cannot see")
  }
  let bytes = [UInt8](try Data(contentsOf: URL(fileURLWithPath: file)))
  let digest = Digest(hashing: bytes)
  let pixels = try processor.pixelValues(bytes, name: file)
  return (digest, ModelImage(pixels, key: digest.hex))
}

/// The tokenizer of a model that must have one.
func requireTokenizer(of model: Model, at path: String) throws -> Tokenizer {
  guard let tokenizer = model.tokenizer else {
    throw CommandError.failed("\(path): there is no tokenizer.json; put it beside the weights")
  }
  return tokenizer
}

/// A part of a prompt as tokens and the place of its one picture.
func pieces(of part: PromptPart, isFirst: Bool, _ tokenizer: Tokenizer) throws -> [Piece] {
  switch part {
  case .text(let text):
    return tokenizer.encode(text, continuesText: !isFirst).map { .token($0) }
  case .control(let name):
    guard let token = tokenizer.controlToken(name) else {
      throw CommandError.usage(
        "--conversation: the model's vocabulary has no \(name); take another conversation form")
    }
    return [.token(token)]
  case .image: return [.image(0)]
  }
}
