import Domain
public import Shapes

/// The best that can be said without looking: the most frequent true answer to the same question in
/// scenes of the building split, or to questions of its kind where the question itself is rare.
public struct BlindGuesser: Sendable {
  private var byText: [String: String] = [:]
  private var byKind: [QuestionKind: String] = [:]

  /// - Parameters:
  ///   - perKind: questions looked at for each kind.
  ///   - timesMin: how often a question must have been asked to be judged by its own answers.
  public init(perKind: Int = 4_000, timesMin: Int = 10, seed: UInt64) {
    var texts: [String: [String: Int]] = [:]
    var kinds: [QuestionKind: [String: Int]] = [:]
    for item in examination(from: .building, perKind: perKind, seed: seed) {
      let question = item.exercise.question
      let answer = item.exercise.answer.text
      texts[question.text, default: [:]][answer, default: 0] += 1
      kinds[question.query.kind, default: [:]][answer, default: 0] += 1
    }
    for (text, counts) in texts where counts.values.reduce(0, +) >= timesMin {
      byText[text] = mostFrequent(counts)
    }
    for (kind, counts) in kinds { byKind[kind] = mostFrequent(counts) }
  }

  public func answer(to question: Question) -> String {
    byText[question.text] ?? byKind[question.query.kind] ?? ""
  }
}

/// Of equals the first in the alphabet.
private func mostFrequent(_ counts: [String: Int]) -> String {
  counts.max { ($0.value, $1.key) < ($1.value, $0.key) }?.key ?? ""
}
