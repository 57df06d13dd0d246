public import Domain

/// A question with its true answer.
public struct Exercise: Hashable, Sendable {
  public var question: Question
  public var answer: Answer

  public init(question: Question, answer: Answer) {
    self.question = question
    self.answer = answer
  }
}

extension Scene {
  /// A question of `kind` in any wording, or nil when the scene allows none.
  ///
  /// Balanced: first one of the answers that are possible for this scene and kind is drawn, then
  /// one of the questions that have it, so that within a picture no answer is likelier than
  /// another.
  public func exercise(
    of kind: QuestionKind, using random: inout SeededRandom
  ) -> Exercise? {
    let queries = queries(of: kind, using: &random)
    guard let query = balanced(queries, using: &random) else { return nil }
    let wording = random.below(Question.wordingsPerKind)
    return Exercise(question: Question(query.query, wording: wording), answer: query.answer)
  }

  /// Up to `count` different questions about this scene, of kinds out of `kinds`: first a dimension
  /// is drawn, then a kind within it.
  public func exercises(
    _ count: Int, of kinds: [QuestionKind], using random: inout SeededRandom
  ) -> [Exercise] {
    let byDimension = Dimension.allCases
      .map { dimension in kinds.filter { $0.dimension == dimension } }.filter { !$0.isEmpty }
    var found: [Exercise] = []
    // Some kinds suit few scenes: five draws for each question are enough, or it stays out.
    for _ in 0..<count * 5 where found.count < count {
      let group = byDimension[random.below(byDimension.count)]
      let kind = group[random.below(group.count)]
      guard let exercise = exercise(of: kind, using: &random),
        !found.contains(where: { $0.question.query == exercise.question.query })
      else { continue }
      found.append(exercise)
    }
    return found
  }

  /// A new question of the same task type and dimension about the same scene: of the same kind
  /// when the kind has another question to ask, of a sister kind otherwise; never in the same
  /// wording. Nil when the scene has none.
  public func variation(
    of question: Question, using random: inout SeededRandom
  ) -> Question? {
    let kind = question.query.kind
    let wording =
      (question.wording + 1 + random.below(Question.wordingsPerKind - 1))
      % Question.wordingsPerKind
    let same = queries(of: kind, using: &random)
      .filter { isNew($0.query, beside: question.query) }
    if let query = balanced(same, using: &random) {
      return Question(query.query, wording: wording)
    }
    let sisters = QuestionKind.allCases.filter {
      $0 != kind && $0.dimension == kind.dimension && $0.task == kind.task
    }
    for sister in random.shuffled(sisters) {
      if let query = balanced(queries(of: sister, using: &random), using: &random) {
        return Question(query.query, wording: random.below(Question.wordingsPerKind))
      }
    }
    // A kind that stands alone, like the description: the same content, otherwise worded.
    return answer(to: question.query).map { _ in Question(question.query, wording: wording) }
  }

  /// Whether two queries ask about different things: other names for the same objects are not new.
  private func isNew(_ query: Query, beside other: Query) -> Bool {
    func resolved(_ query: Query) -> [Argument] {
      query.arguments.map { argument in
        guard case .reference(let one) = argument, let object = object(one) else {
          return argument
        }
        return .thing(object.colour, object.form)
      }
    }
    return resolved(query) != resolved(other)
  }
}

private func balanced(
  _ queries: [(query: Query, answer: Answer)], using random: inout SeededRandom
) -> (query: Query, answer: Answer)? {
  guard !queries.isEmpty else { return nil }
  var answers: [Answer] = []
  for (_, answer) in queries where !answers.contains(answer) { answers.append(answer) }
  let answer = answers[random.below(answers.count)]
  let matching = queries.filter { $0.answer == answer }
  return matching[random.below(matching.count)]
}
