extension QuestionKind {
  /// The ways to ask, blanks numbered as the query's arguments. The ways of one kind have few words
  /// in common, so that a new question in another wording is new by ROUGE-L as well.
  var wordings: [String] {
    switch self {
    case .sceneName:
      ["where was this picture taken ?", "which place is shown here ?", "name the kind of scene ."]
    case .sceneIs:
      ["is this {0} ?", "was it taken in {0} ?", "does the scene show {0} ?"]
    case .ground:
      [
        "what covers the ground ?", "what lies behind the objects ?",
        "name the material of the background .",
      ]
    case .describe:
      [
        "describe the picture in detail .", "tell me everything that you see .",
        "give a full description of this scene .",
      ]
    case .objectOfColour:
      ["what is the {0} object ?", "which thing is {0} ?", "name the form of the {0} one ."]
    case .objectAt:
      ["what is at {0} ?", "which object lies in {0} cell ?", "name the thing found at {0} ."]
    case .exists:
      ["is there {0} ?", "can you see {0} here ?", "does the picture contain {0} ?"]
    case .colourOf:
      ["what colour is {0} ?", "name the paint of {0} .", "{0} is painted in which colour ?"]
    case .sizeOf:
      ["is {0} big or small ?", "what size has {0} ?", "how large does {0} look ?"]
    case .colourAt:
      [
        "what colour has the object at {0} ?", "at {0} , which paint do you see ?",
        "name the colour used in {0} cell .",
      ]
    case .describeObject:
      [
        "describe {0} in detail .", "tell me more about {0} .",
        "give size , look and place of {0} .",
      ]
    case .whereIs:
      [
        "where is {0} ?", "in which part of the picture does one find {0} ?",
        "tell me the place of {0} .",
      ]
    case .rowOf:
      ["in which row is {0} ?", "how high does {0} lie ?", "name the row that holds {0} ."]
    case .columnOf:
      [
        "in which column is {0} ?", "how far to the right does {0} lie ?",
        "name the column that holds {0} .",
      ]
    case .countAll:
      [
        "how many objects are there ?", "count all the things here .",
        "what is the total number of objects ?",
      ]
    case .countColour:
      [
        "how many objects are {0} ?", "count the {0} things .",
        "what number of {0} ones do you see ?",
      ]
    case .countShape:
      ["how many {0} are there ?", "count the {0} .", "what number of {0} do you see ?"]
    case .countSize:
      [
        "how many {0} objects are there ?", "count {0} things .",
        "what is the number of {0} ones ?",
      ]
    case .isRelated:
      ["is {0} {1} {2} ?", "does {0} lie {1} {2} ?", "can one find {0} {1} {2} ?"]
    case .sideOf:
      [
        "is {0} {1} {2} ?", "does {0} lie {1} {2} ?", "seen from {2} , is it {1} that holds {0} ?",
      ]
    case .neighbour:
      [
        "what is just {0} {1} ?", "which object is the next one {0} {1} ?",
        "name the direct neighbour {0} {1} .",
      ]
    case .extreme:
      ["which object is the {0} ?", "what lies {0} of all ?", "name the {0} thing ."]
    case .touches:
      ["is {0} touching {1} ?", "does {0} touch {1} ?", "are {0} and {1} in contact ?"]
    case .touchedBy:
      [
        "what does {0} touch ?", "which object is in contact with {0} ?",
        "name the thing touching {0} .",
      ]
    case .inside:
      ["what is inside {0} ?", "which object does {0} hold ?", "name the content of {0} ."]
    case .anyTouch:
      ["do any objects touch ?", "are two things in contact ?", "is something touching here ?"]
    case .moreThan:
      [
        "are there more {0} objects than {1} ones ?", "do {0} things outnumber the {1} ones ?",
        "is {0} more common than {1} ?",
      ]
    case .sameColour:
      [
        "do {0} and {1} share a colour ?", "are {0} and {1} painted alike ?",
        "is the paint of {0} also that of {1} ?",
      ]
    case .mostCommon:
      [
        "which colour is the most common ?", "what paint appears most often ?",
        "name the main colour of the objects .",
      ]
    case .remaining:
      [
        "how many objects remain without the {0} ones ?",
        "if all {0} things vanish , how many stay ?",
        "count the objects that are not {0} .",
      ]
    case .moved:
      [
        "where is {0} after one step {1} ?", "if {0} moves one step {1} , where does it end ?",
        "name the place of {0} once moved {1} .",
      ]
    case .readAt:
      [
        "which sign is written at {0} ?", "what does the text at {0} say ?",
        "read the sign in {0} cell .",
      ]
    case .readColour:
      ["which sign is {0} ?", "what does the {0} text say ?", "read the {0} letter or digit ."]
    case .signColour:
      [
        "what colour is the sign {0} ?", "in which paint is {0} written ?",
        "name the colour of the text {0} .",
      ]
    case .letterOrDigit:
      [
        "is the {0} sign a letter or a digit ?", "does the {0} text show a letter or a digit ?",
        "what kind of sign is the {0} one , letter or digit ?",
      ]
    case .countSigns:
      [
        "how many signs are there ?", "count the letters and digits .",
        "what is the number of signs here ?",
      ]
    }
  }
}

/// A wording cut into words and blanks.
enum WordingPart: Hashable {
  case word(String)
  case blank(Int)
}

/// Every wording of every kind, cut once.
let wordings: [QuestionKind: [[WordingPart]]] = Dictionary(
  uniqueKeysWithValues: QuestionKind.allCases.map { kind in
    (kind, kind.wordings.map { $0.split(separator: " ").map(part) })
  })

private func part(_ word: Substring) -> WordingPart {
  guard word.first == "{", let number = Int(word.dropFirst().dropLast()) else {
    return .word(String(word))
  }
  return .blank(number)
}

extension Argument {
  var words: String {
    switch self {
    case .reference(let one): one.words
    case .place(let place): "the \(place.words)"
    case .colour(let colour): colour.word
    case .thing(let colour, let form): "a \(colour.word) \(form.word)"
    case .form(let form): "the \(form.word)"
    case .shape(let shape): "the \(shape.word)"
    case .shapes(let shape): shape.plural
    case .sign(let sign): sign.word
    case .size(let size): size.word
    case .scene(let kind): "the \(kind.word)"
    case .relation(let direction): direction.relation
    case .motion(let direction): direction.motion
    case .superlative(let direction): direction.superlative
    case .axis(let axis): axis.choice
    }
  }
}

extension Reference {
  /// `the red circle`, `the circle`, `the red object`
  var words: String {
    let words = ["the", colour?.word, form?.word ?? "object"]
    return words.compactMap { $0 }.joined(separator: " ")
  }
}

/// A question: what it asks and how.
public struct Question: Hashable, Sendable {
  public var query: Query
  /// Which of the kind's wordings, counted from 0.
  public var wording: Int

  public init(_ query: Query, wording: Int) {
    precondition((0..<Question.wordingsPerKind).contains(wording), "one of three wordings expected")
    self.query = query
    self.wording = wording
  }

  public static let wordingsPerKind = 3

  public var text: String {
    let arguments = query.arguments
    let parts = wordings[query.kind]?[wording] ?? []
    return parts.map { part in
      switch part {
      case .word(let word): word
      case .blank(let number): arguments[number].words
      }
    }.joined(separator: " ")
  }
}
