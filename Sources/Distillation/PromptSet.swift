public import Domain

/// Everything that is said to the models beside the questions themselves.
///
/// The paper gives no wording; these texts are the project's own and can be replaced one by one.
public struct PromptSet: Hashable, Codable, Sendable {
  /// `P` of eq. 2. May be empty.
  public var system: String
  public var judge: PromptTemplate
  public var augmentor: PromptTemplate
  /// Wordings that ask for a caption; never empty.
  public var captions: [String]
  /// What the augmentor reads about a task type; a type without an entry is called by its name.
  public var tasks: [TaskType: String]

  /// The default texts, those given replaced.
  ///
  /// - Throws: `PromptError` for a text that lacks what its role needs.
  public init(replacing texts: [PromptRole: String] = [:]) throws(PromptError) {
    func text(_ role: PromptRole) -> String { texts[role] ?? defaultPrompt(role) }
    system = trimmed(text(.system))
    judge = try PromptTemplate(text(.judge), role: .judge)
    augmentor = try PromptTemplate(text(.augmentor), role: .augmentor)
    captions = lines(of: text(.captions)).map(\.text)
    guard !captions.isEmpty else { throw .empty(.captions) }
    tasks = [:]
    for line in lines(of: text(.tasks)) {
      let fields = line.text.split(separator: ":", maxSplits: 1).map(trimmed)
      guard fields.count == 2, !fields.contains("") else {
        throw .taskLine(line.number, line.text)
      }
      tasks[TaskType(fields[0])] = fields[1]
    }
  }
}

extension PromptSet {
  /// Asks a model to answer: `T(V_k, X_k)` and `S(V_k, X_k)` of eq. 5.
  public func answer(
    _ question: String, image: Digest?, in template: ConversationTemplate
  ) -> Prompt {
    template.prompt(system: system, image: image, question: question)
  }

  /// Asks the assessor for both scores, in one order of the answers (eq. 5).
  ///
  /// System text, picture and question stand first, as they do when the question is answered, and
  /// the answers last, so that the prompts about one instruction share as long a beginning as they
  /// can.
  public func judgement(
    of question: String, image: Digest?, teacher: String, student: String,
    order: PresentationOrder, in template: ConversationTemplate
  ) -> Prompt {
    let text = judge.filled { placeholder in
      switch (placeholder, order) {
      case (.question, _): question
      case (.firstAnswer, .teacherFirst), (.secondAnswer, .studentFirst): trimmed(teacher)
      case (.firstAnswer, .studentFirst), (.secondAnswer, .teacherFirst): trimmed(student)
      case (.task, _): preconditionFailure("a judge's text has no task")
      }
    }
    return template.prompt(system: system, image: image, question: text)
  }

  /// Asks the augmentor for one new instruction: same picture, same task type, other content.
  ///
  /// - Source: Li et al. 2024, section 3.3.3.
  public func newInstruction(
    from instruction: Instruction, in template: ConversationTemplate
  ) -> Prompt {
    let text = augmentor.filled { placeholder in
      switch placeholder {
      case .question: instruction.text
      case .task: tasks[instruction.task] ?? instruction.task.name
      case .firstAnswer, .secondAnswer:
        preconditionFailure("an augmentor's text has no answers")
      }
    }
    return template.prompt(system: system, image: instruction.image, question: text)
  }

  /// A pair of stage 1 as a conversation of one turn: a drawn wording asks, the caption answers.
  ///
  /// - Parameter seed: `Seeds.captionInstruction` of the pair; it also draws the picture's place.
  /// - Source: Li et al. 2024, section 3.2, in the form of eq. 1 and 2.
  public func conversation(captioned pair: CaptionPair, seed: UInt64) -> Conversation {
    var random = SeededRandom(seed: seed)
    let question = captions[random.below(captions.count)]
    return Conversation(
      image: pair.image, placement: drawnPlacement(seed: random.next()),
      turns: [Turn(question: question, answer: trimmed(pair.caption))])
  }
}

/// Lines that are not blank, trimmed, with their numbers from 1.
private func lines(of text: String) -> [(number: Int, text: String)] {
  text.split(omittingEmptySubsequences: false, whereSeparator: \.isNewline).enumerated()
    .map { (number: $0 + 1, text: trimmed($1)) }
    .filter { !$0.text.isEmpty }
}
