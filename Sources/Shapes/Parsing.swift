/// Text in lower case as words, punctuation marks being words of their own.
public func words(of text: String) -> [String] {
  var words: [String] = []
  var word = ""
  func endWord() {
    if !word.isEmpty { words.append(word) }
    word = ""
  }
  for character in text.lowercased() {
    if character.isWhitespace {
      endWord()
    } else if character.isLetter || character.isNumber {
      word.append(character)
    } else {
      endWord()
      words.append(String(character))
    }
  }
  endWord()
  return words
}

extension Question {
  /// The question that `text` asks; nil when it is none of the world's.
  public init?(parsing text: String) {
    let words = words(of: text)[...]
    for kind in QuestionKind.allCases {
      for (number, parts) in (wordings[kind] ?? []).enumerated() {
        guard let query = match(kind, parts[...], words, filled: [:]) else { continue }
        self.init(query, wording: number)
        return
      }
    }
    return nil
  }
}

/// The query of `kind`, if `words` are `parts` with blanks filled in some way that makes sense.
private func match(
  _ kind: QuestionKind, _ parts: ArraySlice<WordingPart>, _ words: ArraySlice<String>,
  filled: [Int: String]
) -> Query? {
  guard let part = parts.first else {
    guard words.isEmpty else { return nil }
    return Query.make(kind, filled.keys.sorted().compactMap { filled[$0] })
  }
  switch part {
  case .word(let word):
    guard words.first == word else { return nil }
    return match(kind, parts.dropFirst(), words.dropFirst(), filled: filled)
  case .blank(let number):
    // The longest argument is `left or right of`.
    for length in 1...4 where length <= words.count {
      var filled = filled
      filled[number] = words.prefix(length).joined(separator: " ")
      let rest = words.dropFirst(length)
      if let query = match(kind, parts.dropFirst(), rest, filled: filled) { return query }
    }
    return nil
  }
}

extension Query {
  /// The query of `kind` whose blanks hold these words, in order; nil when they do not fit.
  fileprivate static func make(_ kind: QuestionKind, _ words: [String]) -> Query? {
    switch kind {
    case .sceneName: return .sceneName
    case .sceneIs:
      return SceneKind.allCases.first { words[0] == "the \($0.word)" }.map { .sceneIs($0) }
    case .ground: return .ground
    case .describe: return .describe
    case .objectOfColour: return colour(words[0]).map { .objectOfColour($0) }
    case .objectAt: return place(words[0]).map { .objectAt($0) }
    case .exists: return thing(words[0]).map { .exists($0, $1) }
    case .colourOf:
      return Shape.allCases.first { words[0] == "the \($0.word)" }.map { .colourOf($0) }
    case .sizeOf: return reference(words[0]).map { .sizeOf($0) }
    case .colourAt: return place(words[0]).map { .colourAt($0) }
    case .describeObject: return reference(words[0]).map { .describeObject($0) }
    case .whereIs: return reference(words[0]).map { .whereIs($0) }
    case .rowOf: return reference(words[0]).map { .rowOf($0) }
    case .columnOf: return reference(words[0]).map { .columnOf($0) }
    case .countAll: return .countAll
    case .countColour: return colour(words[0]).map { .countColour($0) }
    case .countShape:
      return Shape.allCases.first { words[0] == $0.plural }.map { .countShape($0) }
    case .countSize: return Size.allCases.first { words[0] == $0.word }.map { .countSize($0) }
    case .isRelated, .sideOf, .touches, .sameColour, .moreThan, .moved, .neighbour:
      return makeOfSeveral(kind, words)
    case .extreme:
      return Direction.allCases.first { words[0] == $0.superlative }.map { .extreme($0) }
    case .touchedBy: return reference(words[0]).map { .touchedBy($0) }
    case .inside: return reference(words[0]).map { .inside($0) }
    case .anyTouch: return .anyTouch
    case .mostCommon: return .mostCommon
    case .remaining: return colour(words[0]).map { .remaining($0) }
    case .readAt: return place(words[0]).map { .readAt($0) }
    case .readColour: return colour(words[0]).map { .readColour($0) }
    case .signColour: return Sign.allCases.first { words[0] == $0.word }.map { .signColour($0) }
    case .letterOrDigit: return colour(words[0]).map { .letterOrDigit($0) }
    case .countSigns: return .countSigns
    }
  }

  /// The kinds with two arguments or three; nil for every other.
  private static func makeOfSeveral(_ kind: QuestionKind, _ words: [String]) -> Query? {
    if kind == .moreThan {
      guard let one = colour(words[0]), let other = colour(words[1]) else { return nil }
      return .moreThan(one, other)
    }
    if kind == .neighbour {
      guard let direction = Direction.allCases.first(where: { words[0] == $0.relation }),
        let one = reference(words[1])
      else { return nil }
      return .neighbour(direction, one)
    }
    guard let one = reference(words[0]) else { return nil }
    if kind == .moved {
      return Direction.allCases.first { words[1] == $0.motion }.map { .moved(one, $0) }
    }
    guard let last = words.last, let other = reference(last) else { return nil }
    if kind == .touches { return .touches(one, other) }
    if kind == .isRelated {
      return Direction.allCases.first { words[1] == $0.relation }.map { .isRelated(one, $0, other) }
    }
    if kind == .sideOf {
      return Axis.allCases.first { words[1] == $0.choice }.map { .sideOf(one, $0, other) }
    }
    guard kind == .sameColour, one.colour == nil, other.colour == nil, let form = one.form,
      let otherForm = other.form
    else { return nil }
    return .sameColour(form, otherForm)
  }
}

private func colour(_ word: some StringProtocol) -> Colour? {
  Colour.allCases.first { $0.word == word }
}

private func form(_ word: some StringProtocol) -> Form? { Form.all.first { $0.word == word } }

private func place(_ words: String) -> Place? {
  Place.all.first { words == "the \($0.words)" }
}

private func thing(_ words: String) -> (Colour, Form)? {
  let words = words.split(separator: " ")
  guard words.count == 3, words[0] == "a", let colour = colour(words[1]), let form = form(words[2])
  else { return nil }
  return (colour, form)
}

private func reference(_ text: String) -> Reference? {
  var words = text.split(separator: " ")[...]
  guard words.popFirst() == "the", let last = words.popLast() else { return nil }
  let form = form(last)
  guard form != nil || last == "object" else { return nil }
  switch words.count {
  case 0: return form.map { Reference(colour: nil, form: $0) }
  case 1: return words.first.flatMap(colour).map { Reference(colour: $0, form: form) }
  default: return nil
  }
}
