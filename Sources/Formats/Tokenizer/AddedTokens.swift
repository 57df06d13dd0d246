/// A token that is found in the text before anything else is done with it.
struct AddedToken: Hashable, Sendable {
  var id: Int32
  var content: String
  /// A control token; plain text never becomes one.
  var isSpecial: Bool
  /// Found after normalisation rather than before.
  var isNormalized = false
  /// Found only where no word character touches it.
  var isSingleWord = false
  /// Swallow the white space before and after.
  var stripsLeft = false
  var stripsRight = false
}

/// Finds added tokens in text: of those that begin first, the longest.
struct AddedTokens: Sendable {
  enum Segment {
    case text([Unicode.Scalar])
    case token(Int32)
  }

  let tokens: [AddedToken]
  let special: Set<Int32>
  /// Normalised tokens are decoded as they were normalised, by id.
  let normalizedTexts: [Int32: String]
  private let matchers: [(token: AddedToken, scalars: [Unicode.Scalar])]
  private let firsts: [Unicode.Scalar: [Int]]

  init(_ tokens: [AddedToken], normalize: ([Unicode.Scalar]) -> [Unicode.Scalar]) {
    self.tokens = tokens
    special = Set(tokens.filter(\.isSpecial).map(\.id))
    var matchers: [(token: AddedToken, scalars: [Unicode.Scalar])] = []
    var normalizedTexts: [Int32: String] = [:]
    for token in tokens {
      var scalars = Array(token.content.unicodeScalars)
      if token.isNormalized {
        scalars = normalize(scalars)
        normalizedTexts[token.id] = string(scalars)
      }
      matchers.append((token, scalars))
    }
    self.normalizedTexts = normalizedTexts
    // The longest first, so that the first match is the one to take.
    matchers.sort { ($0.scalars.count, $1.token.id) > ($1.scalars.count, $0.token.id) }
    self.matchers = matchers
    var firsts: [Unicode.Scalar: [Int]] = [:]
    for (index, matcher) in matchers.enumerated() {
      if let first = matcher.scalars.first { firsts[first, default: []].append(index) }
    }
    self.firsts = firsts
  }

  /// - Parameter parsesControl: when false, control tokens are passed over as plain text.
  func segments(
    _ text: [Unicode.Scalar], normalized: Bool, parsesControl: Bool
  ) -> [Segment] {
    var segments: [Segment] = []
    var done = 0
    var index = 0
    while index < text.count {
      guard let found = match(text, index, normalized) else {
        index += 1
        continue
      }
      let (token, length) = found
      let match = index..<index + length
      index = match.upperBound
      if token.isSpecial && !parsesControl || token.isSingleWord && !isWord(text, match) {
        continue
      }
      var start = match.lowerBound
      if token.stripsLeft {
        while start > done && text[start - 1].properties.isWhitespace { start -= 1 }
      }
      if token.stripsRight {
        while index < text.count && text[index].properties.isWhitespace { index += 1 }
      }
      if done < start { segments.append(.text(Array(text[done..<start]))) }
      segments.append(.token(token.id))
      done = index
    }
    if done < text.count { segments.append(.text(Array(text[done...]))) }
    return segments
  }

  private func match(
    _ text: [Unicode.Scalar], _ index: Int, _ normalized: Bool
  ) -> (AddedToken, Int)? {
    for candidate in firsts[text[index]] ?? [] {
      let (token, scalars) = matchers[candidate]
      if token.isNormalized == normalized && text[index...].starts(with: scalars) {
        return (token, scalars.count)
      }
    }
    return nil
  }
}

private func isWord(_ text: [Unicode.Scalar], _ range: Range<Int>) -> Bool {
  let touchesLeft = range.lowerBound > 0 && text[range.lowerBound - 1].isWordCharacter
  let touchesRight = range.upperBound < text.count && text[range.upperBound].isWordCharacter
  return !touchesLeft && !touchesRight
}
