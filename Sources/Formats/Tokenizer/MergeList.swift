/// The two sides of a merge written `"a b"`.
func spacedSides(_ text: String) -> (String, String)? {
  let sides = text.utf8.split(separator: UInt8(ascii: " "), omittingEmptySubsequences: false)
  guard sides.count == 2 else { return nil }
  return (String(Substring(sides[0])), String(Substring(sides[1])))
}

/// Merges by the ids of their sides, with what they become.
struct MergeList {
  var pairs: [BytePairModel.Pair] = []
  var results: [Int32] = []

  /// - Returns: false when one of the three tokens is not in the vocabulary.
  mutating func append(_ left: String, _ right: String, _ vocabulary: Vocabulary) -> Bool {
    guard let a = vocabulary[left], let b = vocabulary[right], let ab = vocabulary[left + right]
    else { return false }
    pairs.append(BytePairModel.Pair(left: a, right: b))
    results.append(ab)
    return true
  }
}
