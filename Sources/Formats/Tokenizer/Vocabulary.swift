/// A token's text, equal when the bytes are: Swift's strings are equal also when canonically
/// equivalent, and tokens that differ in that way only are two tokens.
struct TokenText: Hashable, Sendable {
  var text: String
  init(_ text: String) { self.text = text }

  static func == (a: TokenText, b: TokenText) -> Bool { a.text.utf8.elementsEqual(b.text.utf8) }
  func hash(into hasher: inout Hasher) {
    for byte in text.utf8 { hasher.combine(byte) }
  }
}

/// The tokens of a model, numbered; numbers may have gaps.
struct Vocabulary: Sendable {
  /// Ids beyond this are refused: tables are as long as the highest id.
  static let idMax = 1 << 22

  private(set) var ids: [TokenText: Int32] = [:]
  /// By id; nil in a gap.
  private(set) var texts: [String?] = []

  /// Adds a token; the same token may be added twice.
  ///
  /// - Returns: false when the text has another id already, or the id another text.
  /// - Precondition: `id` is in `0...idMax`.
  mutating func insert(_ text: String, _ id: Int32) -> Bool {
    let known = self.text(id).map { TokenText($0) }
    guard (self[text] ?? id) == id, (known ?? TokenText(text)) == TokenText(text) else {
      return false
    }
    ids[TokenText(text)] = id
    if texts.count <= Int(id) {
      texts += [String?](repeating: nil, count: Int(id) + 1 - texts.count)
    }
    texts[Int(id)] = text
    return true
  }

  subscript(_ text: String) -> Int32? { ids[TokenText(text)] }

  func text(_ id: Int32) -> String? {
    id >= 0 && Int(id) < texts.count ? texts[Int(id)] : nil
  }
}
