public import Distillation
public import Domain
public import Formats
public import Shapes
public import Transformer

/// Turns lessons into what the trainer reads, by the same template functions as a run.
public struct LessonEncoder: Sendable {
  public let tokenizer: Tokenizer
  public let template: ConversationTemplate
  public let sight: Sight

  public init(tokenizer: Tokenizer, template: ConversationTemplate = .plain, sight: Sight) {
    self.tokenizer = tokenizer
    self.template = template
    self.sight = sight
  }

  /// Every item a dialogue of its own behind the one picture.
  public func branched(_ lesson: Lesson) -> TrainingInput {
    let dialogues = lesson.items.map { item in
      pieces(lesson, turns: [item], placement: .beforeQuestion)
    }
    let prefix = dialogues.first?.prefix(1) ?? []
    return TrainingInput(
      images: [image(lesson.scene)], prefix: Array(prefix),
      branches: dialogues.map { Array($0.dropFirst()) })
  }

  /// All items as turns of one dialogue.
  public func dialogue(_ lesson: Lesson, placement: ImagePlacement) -> TrainingInput {
    TrainingInput(
      images: [image(lesson.scene)],
      prefix: pieces(lesson, turns: lesson.items, placement: placement))
  }

  private func image(_ scene: Scene) -> ModelImage {
    ModelImage(scene.pixelValues(sight, tokenizer))
  }

  private func pieces(
    _ lesson: Lesson, turns: [LessonItem], placement: ImagePlacement
  ) -> [TrainingPiece] {
    let conversation = Conversation(
      image: placeholder, placement: placement,
      turns: turns.map { Turn(question: $0.question, answer: $0.answer) })
    return template.trainingSample(conversation, system: "").parts.flatMap { part in
      pieces(of: part.part).map { TrainingPiece($0, trained: part.trained) }
    }
  }

  /// What the model reads before it answers.
  public func prompt(_ prompt: Prompt, scene: Scene) -> ModelInput {
    ModelInput(pieces: prompt.parts.flatMap(pieces), images: [image(scene)])
  }

  private func pieces(of part: PromptPart) -> [Piece] {
    switch part {
    case .text(let text): tokenizer.encode(text).map { .token($0) }
    case .control(let name): tokenizer.controlToken(name).map { [.token($0)] } ?? []
    case .image: [.image(0)]
    }
  }
}

/// Stands for a lesson's picture, which has no file.
let placeholder = Digest(words: (0, 0, 0, 0))
