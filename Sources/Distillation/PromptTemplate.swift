/// What a prompt text is for. Each is a text file that a user can replace.
public enum PromptRole: String, Hashable, Codable, Sendable, CaseIterable {
  /// `P` of eq. 2: what stands before the first question of every dialogue.
  case system
  /// Asks the assessor for the scores of eq. 5.
  case judge
  /// Asks the augmentor for one new instruction.
  case augmentor
  /// How stage 1 asks for a caption: one wording a line, drawn per pair.
  case captions
  /// What the augmentor reads about each task type: lines of `name: description`.
  case tasks

  /// The file of this text in a folder of prompts.
  public var fileName: String { rawValue + ".txt" }

  /// Placeholders that must stand in the text, once each.
  public var placeholders: [Placeholder] {
    switch self {
    case .judge: [.question, .firstAnswer, .secondAnswer]
    case .augmentor: [.question, .task]
    case .system, .captions, .tasks: []
    }
  }
}

/// A place in a prompt text that is filled in, written `{name}`.
public enum Placeholder: String, Hashable, Codable, Sendable, CaseIterable {
  case question
  case firstAnswer = "answer_1"
  case secondAnswer = "answer_2"
  case task
}

/// What is wrong with a user's prompt text.
public enum PromptError: Error, Hashable, Sendable, CustomStringConvertible {
  case empty(PromptRole)
  /// A placeholder that the role needs is not there.
  case missing(Placeholder, PromptRole)
  /// A placeholder stands there more than once.
  case repeated(Placeholder, PromptRole)
  /// `{name}` stands there and this role has no such placeholder.
  case unknown(String, PromptRole)
  /// A line of the tasks' text is not `name: description`.
  case taskLine(Int, String)

  public var description: String {
    switch self {
    case .empty(let role): "the \(role.rawValue) prompt is empty: write its text"
    case .missing(let placeholder, let role):
      "the \(role.rawValue) prompt lacks {\(placeholder.rawValue)}: put it where the text belongs"
    case .repeated(let placeholder, let role):
      "the \(role.rawValue) prompt has {\(placeholder.rawValue)} more than once: keep one"
    case .unknown(let name, let role):
      "the \(role.rawValue) prompt has {\(name)}, which nothing fills in: \(allowed(in: role))"
    case .taskLine(let line, let text):
      "line \(line) of the tasks prompt is \"\(text)\": `name: description` expected"
    }
  }

  private func allowed(in role: PromptRole) -> String {
    let names = role.placeholders.map { "{\($0.rawValue)}" }
    return names.isEmpty
      ? "it has no placeholders, remove the braces" : "allowed are " + names.joined(separator: ", ")
  }
}

/// A text with placeholders, checked against its role.
public struct PromptTemplate: Hashable, Codable, Sendable {
  enum Segment: Hashable, Codable, Sendable {
    case literal(String)
    case placeholder(Placeholder)
  }

  public let role: PromptRole
  let segments: [Segment]

  /// Reads a text. Whitespace at its ends does not count; braces around anything that is not a
  /// lower-case name are plain text.
  public init(_ text: String, role: PromptRole) throws(PromptError) {
    let body = trimmed(text)
    guard !body.isEmpty else { throw .empty(role) }
    var segments: [Segment] = []
    var literal = ""
    var rest = body[...]
    while let open = rest.firstIndex(of: "{") {
      literal += rest[..<open]
      let inner = rest[rest.index(after: open)...]
      let name = inner.prefix { $0.isASCII && ($0.isLowercase || $0.isNumber || $0 == "_") }
      guard !name.isEmpty, name.endIndex < inner.endIndex, inner[name.endIndex] == "}" else {
        literal.append("{")
        rest = inner
        continue
      }
      guard let placeholder = Placeholder(rawValue: String(name)),
        role.placeholders.contains(placeholder)
      else { throw .unknown(String(name), role) }
      guard !segments.contains(.placeholder(placeholder)) else {
        throw .repeated(placeholder, role)
      }
      segments += [.literal(literal), .placeholder(placeholder)]
      literal = ""
      rest = inner[inner.index(after: name.endIndex)...]
    }
    segments.append(.literal(literal + rest))
    for placeholder in role.placeholders where !segments.contains(.placeholder(placeholder)) {
      throw .missing(placeholder, role)
    }
    self.role = role
    self.segments = segments.filter { $0 != .literal("") }
  }

  /// The text with every placeholder filled in. A value is taken as it is: braces in it are text.
  func filled(_ value: (Placeholder) -> String) -> String {
    segments.map { segment in
      switch segment {
      case .literal(let text): text
      case .placeholder(let placeholder): value(placeholder)
      }
    }.joined()
  }
}

/// Without white space at both ends.
func trimmed(_ text: some StringProtocol) -> String {
  var rest = text[...]
  while let first = rest.first, first.isWhitespace { rest.removeFirst() }
  while let last = rest.last, last.isWhitespace { rest.removeLast() }
  return String(rest)
}
