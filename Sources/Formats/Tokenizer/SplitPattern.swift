/// The regular expressions by which byte-level tokenizers cut text into words, matched by hand.
enum SplitPattern: Hashable, Sendable {
  case gpt2
  /// Qwen2's pattern, and Llama 3's with up to three digits in a piece.
  case qwen2(digitsMax: Int)

  /// The pattern as it stands in a tokenizer.json.
  var regex: String {
    switch self {
    case .gpt2:
      #"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"#
    case .qwen2(let digitsMax):
      #"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}"#
        + (digitsMax == 1 ? "" : "{1,\(digitsMax)}")
        + #"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"#
    }
  }

  static let known: [SplitPattern] = [.gpt2, .qwen2(digitsMax: 1), .qwen2(digitsMax: 3)]

  /// Cuts a text into the matches of the pattern; together they are the whole text.
  func split(_ text: [Unicode.Scalar]) -> [[Unicode.Scalar]] {
    let classes = text.map { UnicodeClass($0) }
    var pieces: [[Unicode.Scalar]] = []
    var start = 0
    while start < text.count {
      let end =
        switch self {
        case .gpt2: gpt2End(text, classes, start)
        case .qwen2(let digitsMax): qwen2End(text, classes, start, digitsMax)
        }
      pieces.append(Array(text[start..<end]))
      start = end
    }
    return pieces
  }
}

private func runEnd(_ classes: [UnicodeClass], _ start: Int, _ kind: UnicodeClass) -> Int {
  var end = start
  while end < classes.count && classes[end] == kind { end += 1 }
  return end
}

private func spaceEnd(_ classes: [UnicodeClass], _ start: Int) -> Int {
  var end = start
  while end < classes.count && (classes[end] == .space || classes[end] == .newline) { end += 1 }
  return end
}

private func gpt2End(
  _ text: [Unicode.Scalar], _ classes: [UnicodeClass], _ start: Int
) -> Int {
  if let end = contractionEnd(text, start, folded: false) { return end }
  let first = text[start] == " " && start + 1 < text.count ? start + 1 : start
  switch classes[first] {
  case .letter: return runEnd(classes, first, .letter)
  case .number: return runEnd(classes, first, .number)
  case .other: return runEnd(classes, first, .other)
  case .space, .newline: return restOfSpace(classes, start)
  }
}

private func qwen2End(
  _ text: [Unicode.Scalar], _ classes: [UnicodeClass], _ start: Int, _ digitsMax: Int
) -> Int {
  if let end = contractionEnd(text, start, folded: true) { return end }
  let leads = classes[start] == .space || classes[start] == .other
  let second = start + 1 < text.count ? classes[start + 1] : nil
  if classes[start] == .letter { return runEnd(classes, start, .letter) }
  if leads && second == .letter { return runEnd(classes, start + 1, .letter) }
  if classes[start] == .number {
    return min(runEnd(classes, start, .number), start + digitsMax)
  }
  if classes[start] == .other || (text[start] == " " && second == .other) {
    let end = runEnd(classes, classes[start] == .other ? start : start + 1, .other)
    return runEnd(classes, end, .newline)
  }
  let end = spaceEnd(classes, start)
  if let last = classes[start..<end].lastIndex(of: .newline) { return last + 1 }
  return restOfSpace(classes, start)
}

/// `\s+(?!\S)|\s+`: a run of white space leaves its last character to the word that follows.
private func restOfSpace(_ classes: [UnicodeClass], _ start: Int) -> Int {
  let end = spaceEnd(classes, start)
  return end == classes.count || end - start == 1 ? end : end - 1
}

/// `'s|'t|'re|'ve|'m|'ll|'d`; `folded` as with the regex flag `i`, for which U+017F is an s.
private func contractionEnd(
  _ text: [Unicode.Scalar], _ start: Int, folded: Bool
) -> Int? {
  func letter(_ index: Int) -> Unicode.Scalar? {
    guard index < text.count else { return nil }
    let scalar = text[index]
    guard folded else { return scalar }
    if scalar == "\u{17F}" { return "s" }
    return scalar.isASCII ? scalar.properties.lowercaseMapping.unicodeScalars.first : scalar
  }
  guard text[start] == "'", let first = letter(start + 1) else { return nil }
  switch first {
  case "s", "t", "m", "d": return start + 2
  case "r", "v": return letter(start + 2) == "e" ? start + 3 : nil
  case "l": return letter(start + 2) == "l" ? start + 3 : nil
  default: return nil
  }
}
