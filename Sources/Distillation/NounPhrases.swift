/// The noun phrases of a caption, by a small rule: without a tagger, for when no spaCy is at hand.
///
/// A phrase is a longest run of words that are neither in the closed classes (determiners,
/// pronouns, prepositions, conjunctions, auxiliaries, common adverbs) nor taken for verbs; a
/// determiner begins a new one. Verbs are common ones of captions and words in -ing or -ed, but
/// right after a determiner a common verb is a noun (`the slide`), and a word in -ing or -ed with
/// another word to come is an adjective (`a smiling girl`). Punctuation ends a phrase. Phrases come
/// lower-cased and without determiner, in the order in which they stand, so that `A dog` and
/// `the dog` are one.
public func nounPhrases(in caption: String) -> [String] {
  var phrases: [String] = []
  var current: [String] = []
  var afterDeterminer = false
  func finish() {
    if !current.isEmpty { phrases.append(current.joined(separator: " ")) }
    current.removeAll(keepingCapacity: true)
  }
  let words = captionWords(caption)
  for (index, word) in words.enumerated() {
    guard let word else {
      finish()
      afterDeterminer = false
      continue
    }
    if determiners.contains(word) {
      finish()
      afterDeterminer = true
    } else if closedClass.contains(word) {
      finish()
      afterDeterminer = false
    } else if isVerbLike(word) {
      let next: String? = index + 1 < words.count ? words[index + 1] : nil
      let opensPhrase = afterDeterminer && current.isEmpty
      if opensPhrase, verbs.contains(word) || isContent(next) {
        current.append(word)
      } else {
        finish()
        afterDeterminer = false
      }
    } else {
      current.append(word)
    }
  }
  finish()
  return phrases
}

/// Lower-cased words of letters, digits, hyphens and apostrophes; nil for punctuation between them.
private func captionWords(_ caption: String) -> [String?] {
  var words: [String?] = []
  var word = ""
  func finish() {
    if !word.isEmpty { words.append(word) }
    word = ""
  }
  for character in caption.lowercased() {
    if character.isLetter || character.isNumber {
      word.append(character)
    } else if !word.isEmpty, character == "-" || character == "'" || character == "’" {
      word.append(character == "’" ? "'" : character)
    } else {
      finish()
      if !character.isWhitespace { words.append(nil) }
    }
  }
  finish()
  return words.map { $0.map(withoutPossessive) }
}

private func withoutPossessive(_ word: String) -> String {
  var word = word
  if word.hasSuffix("'s") { word.removeLast(2) }
  while let last = word.last, last == "-" || last == "'" { word.removeLast() }
  return word
}

private func isContent(_ word: String?) -> Bool {
  word.map { !determiners.contains($0) && !closedClass.contains($0) } ?? false
}

private func isParticiple(_ word: String) -> Bool {
  word.utf8.count > 4 && (word.hasSuffix("ing") || word.hasSuffix("ed"))
    && !nounsLikeParticiples.contains(word)
}

private func isVerbLike(_ word: String) -> Bool { verbs.contains(word) || isParticiple(word) }
