public import Domain

/// How a model family writes a dialogue: which text and which control tokens stand around the
/// prompt, the questions and the answers.
///
/// `P` of eq. 2 is the system text; `<STOP>` is `stop`. What a person or a model wrote becomes
/// `.text` and is never read for control tokens; only the template itself adds `.control`.
///
/// - Source: Li et al. 2024, eq. 2 and 3, figure 3.
public struct ConversationTemplate: Hashable, Codable, Sendable {
  /// As the settings name it.
  public let name: String
  /// The control token that ends an answer: `<STOP>` of figure 3.
  public let stop: String

  /// Before everything.
  let opening: [PromptPart]
  /// Around the system text; nil where the family has none. Left out when the text is empty.
  let system: SystemFrame?
  /// Before each question.
  let question: [PromptPart]
  /// Between the picture and the first question.
  let imageJoint: String
  /// Between a question and its answer; holds the instruction's `<STOP>` where there is one.
  let questionEnd: [PromptPart]
  /// Directly before and after an answer's text; learned with it.
  let answerLead: String
  let answerTail: String
  /// Between an answer's `<STOP>` and the next question.
  let nextTurn: [PromptPart]

  struct SystemFrame: Hashable, Codable, Sendable {
    var before: [PromptPart]
    var after: [PromptPart]
  }

  /// Control tokens at which generation ends, for `Sampling.stops`.
  public var stops: [String] { [stop] }

  /// Every control token that the template writes, sorted: a model's vocabulary must have them.
  public var controls: [String] {
    let frames = (system?.before ?? []) + (system?.after ?? [])
    let parts = opening + frames + question + questionEnd + nextTurn
    var names: Set<String> = [stop]
    for case .control(let name) in parts { names.insert(name) }
    return names.sorted()
  }
}

extension ConversationTemplate {
  /// What a model reads before it answers: `[P, V, Q]` or `[P, Q, V]`, and later turns (eq. 2).
  ///
  /// - Parameters:
  ///   - system: `P`; ignored by a template without a place for it.
  ///   - image: `V`, or nil for a dialogue without a picture.
  ///   - placement: where the picture stands, before or after the first question.
  ///   - history: turns before this question, answers included.
  ///   - question: `Q_t`, the question to answer.
  /// - Returns: parts that are exactly the first parts of the same dialogue's `trainingSample`.
  public func prompt(
    system: String, image: Digest?, placement: ImagePlacement = .beforeQuestion,
    history: [Turn] = [], question: String
  ) -> Prompt {
    var builder = PartBuilder()
    appendDialogue(to: &builder, system: system, image, placement, turns: history, open: question)
    return Prompt(builder.parts.map(\.part))
  }

  /// A dialogue as the student learns it, with the loss on answers and their `<STOP>` only (eq. 3).
  ///
  /// - Parameters:
  ///   - conversation: `(V_i, C_i)` of eq. 1; at least one turn.
  ///   - system: `P`; ignored by a template without a place for it.
  public func trainingSample(_ conversation: Conversation, system: String) -> TrainingSample {
    precondition(!conversation.turns.isEmpty, "a conversation has at least one turn")
    var builder = PartBuilder()
    appendDialogue(
      to: &builder, system: system, conversation.image, conversation.placement,
      turns: conversation.turns, open: nil)
    return TrainingSample(builder.parts)
  }

  private func appendDialogue(
    to builder: inout PartBuilder, system text: String, _ image: Digest?,
    _ placement: ImagePlacement, turns: [Turn], open: String?
  ) {
    builder.append(opening)
    if let system, !text.isEmpty {
      builder.append(system.before)
      builder.append(.text(text))
      builder.append(system.after)
    }
    let questions = turns.map(\.question) + (open.map { [$0] } ?? [])
    for (index, asked) in questions.enumerated() {
      builder.append(index == 0 ? [] : nextTurn)
      builder.append(question)
      builder.append(index == 0 ? illustrated(asked, by: image, placement) : [.text(asked)])
      builder.append(questionEnd)
      if index < turns.count {
        builder.append(.text(answerLead + turns[index].answer + answerTail), trained: true)
        builder.append(.control(stop), trained: true)
      }
    }
  }

  /// `[V, Q]` or `[Q, V]`.
  private func illustrated(
    _ question: String, by image: Digest?, _ placement: ImagePlacement
  ) -> [PromptPart] {
    guard let image else { return [.text(question)] }
    switch placement {
    case .beforeQuestion: return [.image(image), .text(imageJoint + question)]
    case .afterQuestion: return [.text(question + imageJoint), .image(image)]
    }
  }
}

/// Parts in a row; neighbouring texts of one kind are joined, so that they are tokenised as one.
private struct PartBuilder {
  var parts: [TrainingPart] = []

  mutating func append(_ added: [PromptPart]) {
    for part in added { append(part) }
  }

  mutating func append(_ part: PromptPart, trained: Bool = false) {
    guard case .text(let text) = part else {
      parts.append(TrainingPart(part, trained: trained))
      return
    }
    guard !text.isEmpty else { return }
    if let last = parts.last, last.trained == trained, case .text(let before) = last.part {
      parts[parts.count - 1].part = .text(before + text)
    } else {
      parts.append(TrainingPart(part, trained: trained))
    }
  }
}
