/// What the world says of a question about a scene.
public enum Answerability: Hashable, Sendable {
  case answerable(Question)
  /// A question of the world that supposes what is not so of this scene.
  case wrongPremise(Question)
  /// No question of the world.
  case unknown
}

extension Scene {
  public func answerability(of text: String) -> Answerability {
    guard let question = Question(parsing: text) else { return .unknown }
    return answer(to: question.query) == nil ? .wrongPremise(question) : .answerable(question)
  }

  /// The score of any text as an answer to `query`: 10 for all of the truth and nothing else, 1 for
  /// none of it, and `1 + ⌊9·F²⌋` in between, F being the harmonic mean of the precision and the
  /// recall of what is said. A number one beside the truth scores 4.
  ///
  /// - Precondition: the query can be answered for this scene.
  public func score(_ text: String, to query: Query) -> Int {
    guard let truth = answer(to: query) else { preconditionFailure("an answerable query expected") }
    return score(text, truth: truth)
  }

  public func score(_ text: String, truth: Answer) -> Int {
    switch truth {
    case .description:
      return graded(Set(claims(of: text)), Set(claims(of: truth.text)))
    case .number(let number):
      let said = words(of: text).compactMap(numberWords.firstIndex(of:))
      if said.count == 1, abs(said[0] - number) == 1 { return 4 }
    case .yes, .no, .scene, .ground, .form, .colour, .size, .object, .objectAndPlace, .nothing,
      .place, .outside, .row, .column, .direction, .letter, .digit:
      break
    }
    return graded(Set(contentWords(of: text)), Set(contentWords(of: truth.text)))
  }
}

/// `1 + ⌊9·F²⌋` with `F = 2·hits / (said + true)`, in whole numbers.
private func graded<Fact: Hashable>(_ said: Set<Fact>, _ truth: Set<Fact>) -> Int {
  let hits = said.intersection(truth).count
  let all = said.count + truth.count
  return all == 0 ? 1 : 1 + 36 * hits * hits / (all * all)
}

private let emptyWords: Set<String> = [
  "a", "the", "is", "it", "at", "in", "of", "and", "to", "there", "row", "column", ".", ",", ":",
  "?",
]

private func contentWords(of text: String) -> [String] {
  words(of: text).filter { !emptyWords.contains($0) }
}

// MARK: - The claims of a description

/// One thing that a description says; objects are named by their colour and form.
private enum Claim: Hashable {
  case scene(String)
  case object(String)
  case size(String, of: String)
  case place(String, of: String)
  case touching(Set<String>)
  case inside(String, of: String)
}

/// Reads a description in the grammar of `Scene.caption`; what does not fit says nothing.
private func claims(of text: String) -> [Claim] {
  var claims: [Claim] = []
  for sentence in words(of: text).split(separator: ".") {
    let isPair = sentence.contains("touches") || sentence.contains("inside")
    claims += isPair ? pairClaim(sentence).map { [$0] } ?? [] : objectClaims(sentence)
  }
  return claims
}

private func pairClaim(_ sentence: ArraySlice<String>) -> Claim? {
  guard let verb = sentence.firstIndex(where: { $0 == "touches" || $0 == "inside" }) else {
    return nil
  }
  let one = nameWords(sentence[..<verb]).joined(separator: " ")
  let other = nameWords(sentence[verb...]).joined(separator: " ")
  return sentence[verb] == "touches" ? .touching([one, other]) : .inside(one, of: other)
}

private func objectClaims(_ sentence: ArraySlice<String>) -> [Claim] {
  var claims: [Claim] = []
  for phrase in sentence.split(whereSeparator: { $0 == "," || $0 == ":" }) {
    if let kind = SceneKind.allCases.first(where: { phrase.contains($0.word) }) {
      claims.append(.scene(kind.word))
    }
    let name = nameWords(phrase).joined(separator: " ")
    guard !name.isEmpty else { continue }
    claims.append(.object(name))
    if let size = Size.allCases.first(where: { phrase.contains($0.word) }) {
      claims.append(.size(size.word, of: name))
    }
    let row = phrase.first { Place.rowWords.contains($0) }
    let column = phrase.first { Place.columnWords.contains($0) }
    if let row, let column { claims.append(.place("\(row) \(column)", of: name)) }
  }
  return claims
}

private let nameWordSet = Set(Colour.allCases.map(\.word) + Form.all.map(\.word))

private func nameWords(_ phrase: ArraySlice<String>) -> [String] {
  phrase.filter { nameWordSet.contains($0) }
}
