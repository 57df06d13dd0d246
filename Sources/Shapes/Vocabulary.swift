/// Every word that questions, answers and captions can contain, sorted.
public let worldWords: [String] = {
  var found: Set<String> = []
  for parts in wordings.values.joined() {
    for case .word(let word) in parts { found.insert(word) }
  }
  let phrases: [[String]] = [
    SceneKind.allCases.flatMap { [$0.word, $0.ground] },
    Colour.allCases.map(\.word), Size.allCases.map(\.word),
    Shape.allCases.flatMap { [$0.word, $0.plural] }, Sign.allCases.map(\.word),
    Place.rowWords, Place.columnWords, numberWords,
    Direction.allCases.flatMap { [$0.word, $0.relation, $0.motion, $0.superlative] },
    Axis.allCases.map(\.choice),
    ["yes no nothing outside letter digit the a row column object at with and , . :"],
    ["touches is inside holding touching"],
  ]
  for phrase in phrases.joined() { found.formUnion(words(of: phrase)) }
  return found.sorted()
}()
