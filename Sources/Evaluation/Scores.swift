public import Datasets
public import Domain

/// The score of one subject on one examination: in all, and by category.
///
/// A question without an answer is wrong. A question that only a judge could score does not count.
///
/// - Parameters:
///   - answers: one per item, nil where the subject gave none.
///   - set: the examination's place in the settings.
/// - Returns: categories sorted by name; an item counts to each of its own.
public func score(
  _ answers: [String?], to items: [EvaluationItem], subject: EvaluationSubject, set: Int,
  iteration: Int
) -> EvaluationScore {
  precondition(answers.count == items.count, "\(items.count) answers expected, \(answers.count)")
  var score = EvaluationScore(
    subject: subject.rawValue, set: set, iteration: iteration, items: 0, correct: 0,
    categories: [])
  var categories: [String: CategoryScore] = [:]
  for (item, answer) in zip(items, answers) {
    guard let isRight = isCorrect(answer ?? "", for: item.expected) else { continue }
    score.items += 1
    score.correct += isRight ? 1 : 0
    for name in item.categories {
      var category = categories[name] ?? CategoryScore(name: name, items: 0, correct: 0)
      category.items += 1
      category.correct += isRight ? 1 : 0
      categories[name] = category
    }
  }
  score.categories = categories.values.sorted { $0.name < $1.name }
  return score
}

/// Share of right answers in percent; nil without items.
public func accuracy(items: Int, correct: Int) -> Double? {
  items == 0 ? nil : 100 * Double(correct) / Double(items)
}

/// A judge's scores relative to a reference, in percent: `100 Σ R_student / Σ R_reference`.
///
/// - Parameter pairs: per question; the reference stands in the teacher's place.
/// - Returns: nil without pairs.
/// - Source: Liu et al. 2023, section 5.1; the paper's Table 3.
public func relativeScore(_ pairs: [ScorePair]) -> Double? {
  let reference = pairs.reduce(0) { $0 + $1.teacher }
  return reference > 0 ? 100 * pairs.reduce(0) { $0 + $1.student } / reference : nil
}
