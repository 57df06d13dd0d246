public import Datasets

/// A short answer in the form in which two are compared: lower case, without articles and
/// punctuation, number words up to twelve as digits, single spaces.
///
/// A point between digits and a sign before one stay: `-3.5` is no `35`.
///
/// - Source: the normalisation of VQA's evaluation (Antol et al. 2015), without its contractions.
public func normalised(_ answer: String) -> String {
  let characters = Array(answer.lowercased())
  var text = ""
  for (index, character) in characters.enumerated() {
    let next = index + 1 < characters.count ? characters[index + 1] : " "
    let previous = index > 0 ? characters[index - 1] : " "
    let isInNumber =
      next.isNumber
      && (character == "." && previous.isNumber || character == "-" && previous.isWhitespace)
    if character.isLetter || character.isNumber || isInNumber {
      text.append(character)
    } else if character != "'" && character != "’" {
      text.append(" ")
    }
  }
  return text.split(separator: " ").filter { !articles.contains($0) }
    .map { numberWords[$0] ?? String($0) }.joined(separator: " ")
}

private let articles: Set<Substring> = ["a", "an", "the"]

private let numberWords: [Substring: String] = [
  "zero": "0", "one": "1", "two": "2", "three": "3", "four": "4", "five": "5", "six": "6",
  "seven": "7", "eight": "8", "nine": "9", "ten": "10", "eleven": "11", "twelve": "12",
]

/// The letter that an answer to lettered choices chooses, or nil where it chooses none or several.
///
/// In this order: the answer is a letter alone, as `B`, `B.` or `(b)`; it begins with a letter and
/// a point, bracket or colon, as `B. a dog`; it says "answer is B" or "answer: B", once or always
/// the same; it is the text of exactly one choice.
///
/// - Parameter choices: from A on; where they are not known, any letter from A to Z is a choice.
/// - Source: the form `The answer is B.` of Lu et al. 2022 and Liu et al. 2023.
public func chosenLetter(in answer: String, choices: [String]) -> String? {
  let allowed = Set(letters.prefix(choices.isEmpty ? letters.count : choices.count))
  let text = answer.drop(while: \.isWhitespace)
  var bare = text.filter { !$0.isWhitespace }
  while let last = bare.last, ".):".contains(last) { bare.removeLast() }
  while let first = bare.first, first == "(" { bare.removeFirst() }
  if bare.count == 1, allowed.contains(bare.uppercased()) { return bare.uppercased() }
  if let letter = leadingLetter(text), allowed.contains(letter) { return letter }
  let named = Set(lettersNamed(in: answer))
  if !named.isEmpty {
    guard named.count == 1, let letter = named.first else { return nil }
    return allowed.contains(letter) ? letter : nil
  }
  let said = normalised(answer)
  let same = choices.indices.filter { normalised(choices[$0]) == said }
  return same.count == 1 && !said.isEmpty ? letters[same[0]] : nil
}

/// The letter of `B. a dog`, `B) a dog`, `(B) a dog` or `B: a dog`.
private func leadingLetter(_ text: Substring) -> String? {
  let body = text.first == "(" ? text.dropFirst() : text
  guard let first = body.first, first.isASCII, first.isUppercase,
    let second = body.dropFirst().first, ".):".contains(second)
  else { return nil }
  return String(first)
}

/// Every letter of `answer is B`, `answer is (B)` and `answer: B` that stands alone.
private func lettersNamed(in answer: String) -> [String] {
  var found: [String] = []
  var words = answer.split(whereSeparator: \.isWhitespace)[...]
  while let word = words.popFirst() {
    let plain = word.lowercased()
    guard plain == "answer" || plain == "answer:" else { continue }
    var rest = words
    if plain == "answer" {
      guard let verb = rest.popFirst()?.lowercased(), verb == "is" || verb == "is:" else {
        continue
      }
    }
    guard let named = rest.popFirst()?.filter({ !"().,:;\"'*".contains($0) }), named.count == 1,
      let letter = named.first, letter.isASCII, letter.isUppercase
    else { continue }
    found.append(String(letter))
  }
  return found
}

/// Whether an answer is right; nil where only a judge could say.
public func isCorrect(_ answer: String, for expected: ExpectedAnswer) -> Bool? {
  switch expected {
  case .exact(let text): normalised(answer) == normalised(text)
  case .choice(let letter, let choices): chosenLetter(in: answer, choices: choices) == letter
  case .reference: nil
  }
}

private let letters = (UInt8(ascii: "A")...UInt8(ascii: "Z")).map { String(UnicodeScalar($0)) }
