import Foundation

/// A change of the text before it is cut; as `tokenizers` names them.
enum Normalizer: Hashable, Sendable {
  case nfc
  /// Put before a text that is not empty.
  case prepend(String)
  case replace(String, with: String)

  func apply(_ text: [Unicode.Scalar]) -> [Unicode.Scalar] {
    switch self {
    case .nfc:
      // Below U+0300 nothing composes.
      guard text.contains(where: { $0.value >= 0x300 }) else { return text }
      return Array(string(text).precomposedStringWithCanonicalMapping.unicodeScalars)
    case .prepend(let prefix): return text.isEmpty ? text : Array(prefix.unicodeScalars) + text
    case .replace(let pattern, let content):
      return replacing(Array(pattern.unicodeScalars), Array(content.unicodeScalars), in: text)
    }
  }
}

/// How a `Metaspace` puts its mark before the text.
enum PrependScheme: String, Hashable, Sendable { case always, first, never }

/// A cut of pieces into smaller pieces; as `tokenizers` names them.
enum Splitter: Hashable, Sendable {
  case pattern(SplitPattern)
  /// Each number alone, or runs of them.
  case digits(individual: Bool)
  /// Words end behind every occurrence of a text; Gemma's end behind spaces.
  case behind(String)
  /// White space separates and is dropped.
  case whitespaceSplit
  /// Runs of word characters and runs of other characters; white space is dropped.
  case whitespace
  case metaspace(Unicode.Scalar, PrependScheme, splits: Bool)
  /// A space before every piece that has none, as `ByteLevel` with `add_prefix_space`.
  case prefixSpace

  /// - Parameter startsText: whether the piece begins the whole text.
  func apply(_ piece: [Unicode.Scalar], startsText: Bool) -> [[Unicode.Scalar]] {
    switch self {
    case .pattern(let pattern): return pattern.split(piece)
    case .digits(let individual):
      return runs(of: piece) { scalar in
        UnicodeClass(scalar) == .number ? (individual ? .alone : .together(0)) : .together(1)
      }
    case .behind(let text): return cut(piece, behind: Array(text.unicodeScalars))
    case .whitespaceSplit:
      return runs(of: piece) { $0.properties.isWhitespace ? .dropped : .together(0) }
    case .whitespace:
      return runs(of: piece) {
        $0.properties.isWhitespace ? .dropped : .together($0.isWordCharacter ? 0 : 1)
      }
    case .metaspace(let mark, let scheme, let splits):
      var marked = piece.map { $0 == " " ? mark : $0 }
      let wanted = scheme == .always || (scheme == .first && startsText)
      if wanted && marked.first != mark { marked.insert(mark, at: 0) }
      guard splits else { return [marked] }
      var pieces: [[Unicode.Scalar]] = []
      for scalar in marked {
        if scalar == mark || pieces.isEmpty { pieces.append([]) }
        pieces[pieces.count - 1].append(scalar)
      }
      return pieces
    case .prefixSpace: return [piece.first == " " ? piece : [" "] + piece]
    }
  }
}

private enum Membership: Equatable {
  case dropped, alone
  case together(Int)
}

/// Cuts a text where the membership of its characters changes.
private func runs(
  of text: [Unicode.Scalar], _ membership: (Unicode.Scalar) -> Membership
) -> [[Unicode.Scalar]] {
  var pieces: [[Unicode.Scalar]] = []
  var last = Membership.dropped
  for scalar in text {
    let current = membership(scalar)
    switch current {
    case .dropped: break
    case .alone: pieces.append([scalar])
    case .together:
      if current == last {
        pieces[pieces.count - 1].append(scalar)
      } else {
        pieces.append([scalar])
      }
    }
    last = current
  }
  return pieces
}

/// - Parameter end: at least one character.
private func cut(
  _ text: [Unicode.Scalar], behind end: [Unicode.Scalar]
) -> [[Unicode.Scalar]] {
  var pieces: [[Unicode.Scalar]] = []
  var (start, index) = (0, 0)
  while index < text.count {
    if text[index...].starts(with: end) {
      index += end.count
      pieces.append(Array(text[start..<index]))
      start = index
    } else {
      index += 1
    }
  }
  if start < text.count { pieces.append(Array(text[start...])) }
  return pieces
}

func string(_ scalars: some Sequence<Unicode.Scalar>) -> String {
  var text = ""
  text.unicodeScalars.append(contentsOf: scalars)
  return text
}

/// Replaces every occurrence from the left; an empty pattern occurs nowhere.
func replacing<Element: Equatable>(
  _ pattern: [Element], _ content: [Element], in text: [Element]
) -> [Element] {
  guard let first = pattern.first, text.count >= pattern.count else { return text }
  var result: [Element] = []
  result.reserveCapacity(text.count)
  var index = 0
  while index < text.count {
    if text[index] == first, text[index...].starts(with: pattern) {
      result += content
      index += pattern.count
    } else {
      result.append(text[index])
      index += 1
    }
  }
  return result
}
