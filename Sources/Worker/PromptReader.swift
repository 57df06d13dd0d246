import Domain
import Formats
import Transformer

/// Turns what the coordinator sends into what a model reads.
struct PromptReader {
  /// Why a prompt does not fit a model.
  enum Mismatch: Error, CustomStringConvertible {
    case noTokenizer
    case noVision
    case unknownControl(String)

    var description: String {
      switch self {
      case .noTokenizer: "the model's folder has no tokenizer"
      case .noVision: "the prompt shows a picture, the model cannot see"
      case .unknownControl(let name):
        "the conversation template writes \(name), which is no token of the model: "
          + "set models.…conversation to the template it was trained with"
      }
    }
  }

  let tokenizer: Tokenizer
  let sees: Bool

  init(_ model: Model) throws {
    guard let tokenizer = model.tokenizer else { throw Mismatch.noTokenizer }
    self.tokenizer = tokenizer
    sees = model.imageToken != nil && model.imageProcessor != nil
  }

  /// The tokens of a part, pictures as places in `images`, which grows by those that are new.
  func pieces(of part: PromptPart, first: Bool, images: inout [Digest]) throws -> [Piece] {
    switch part {
    case .text(let text):
      return tokenizer.encode(text, continuesText: !first).map { .token($0) }
    case .control(let name):
      guard let token = tokenizer.controlToken(name) else { throw Mismatch.unknownControl(name) }
      return [.token(token)]
    case .image(let digest):
      guard sees else { throw Mismatch.noVision }
      if let place = images.firstIndex(of: digest) { return [.image(place)] }
      images.append(digest)
      return [.image(images.count - 1)]
    }
  }

  /// A prompt to answer, and the pictures it shows in the order of their places.
  func read(_ prompt: Prompt) throws -> (pieces: [Piece], images: [Digest]) {
    var images: [Digest] = []
    var pieces: [Piece] = []
    for (place, part) in prompt.parts.enumerated() {
      pieces += try self.pieces(of: part, first: place == 0, images: &images)
    }
    return (pieces, images)
  }

  /// A conversation to learn, with its loss mask.
  func read(_ sample: TrainingSample) throws -> (pieces: [TrainingPiece], images: [Digest]) {
    var images: [Digest] = []
    var pieces: [TrainingPiece] = []
    for (place, part) in sample.parts.enumerated() {
      pieces += try self.pieces(of: part.part, first: place == 0, images: &images)
        .map { TrainingPiece($0, trained: part.trained) }
    }
    return (pieces, images)
  }
}
