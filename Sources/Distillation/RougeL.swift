/// The words by which ROUGE compares texts: runs of `a`–`z` and `0`–`9` after lower-casing.
///
/// Everything else separates, letters of other scripts and accented ones included. Two characters
/// outside ASCII have a lower case that holds an ASCII letter: İ (i with a dot above) and the
/// Kelvin sign (k).
///
/// - Source: Lin 2004, as the `rouge-score` package splits words without its stemmer.
public func rougeTokens(_ text: String) -> [String] {
  var tokens: [String] = []
  var token: [UInt8] = []
  func finish() {
    guard !token.isEmpty else { return }
    tokens.append(String(decoding: token, as: UTF8.self))
    token.removeAll(keepingCapacity: true)
  }
  for scalar in text.unicodeScalars {
    switch scalar {
    case "a"..."z", "0"..."9": token.append(UInt8(truncatingIfNeeded: scalar.value))
    case "A"..."Z": token.append(UInt8(truncatingIfNeeded: scalar.value) + 32)
    case "\u{130}":
      token.append(UInt8(ascii: "i"))
      finish()
    case "\u{212A}": token.append(UInt8(ascii: "k"))
    default: finish()
    }
  }
  finish()
  return tokens
}

/// ROUGE-L's F-measure of two texts, 0…1: `F = 2PR / (P + R)` with `P = LCS / m` and
/// `R = LCS / n`, which is `2 LCS / (m + n)`.
///
/// - Returns: 0 when either text has no token.
/// - Source: Lin 2004, eq. 2 to 4 with β = 1.
public func rougeL(_ candidate: String, _ reference: String) -> Double {
  let m = rougeTokens(candidate)
  let n = rougeTokens(reference)
  return fMeasure(common: commonSubsequence(m, n), m.count, n.count)
}

/// One division of whole numbers, so that 7 of 10 and 10 is the 0.7 of the settings, not nearly.
func fMeasure(common: Int, _ m: Int, _ n: Int) -> Double {
  common == 0 ? 0 : Double(2 * common) / Double(m + n)
}

/// Length of the longest common subsequence of `a` (m) and `b` (n): O(m·n), one row of memory.
func commonSubsequence<Token: Equatable>(_ a: [Token], _ b: [Token]) -> Int {
  var row = [Int](repeating: 0, count: b.count + 1)
  for token in a {
    var diagonal = 0
    for j in 0..<b.count {
      let above = row[j + 1]
      row[j + 1] = token == b[j] ? diagonal + 1 : max(above, row[j])
      diagonal = above
    }
  }
  return row[b.count]
}
