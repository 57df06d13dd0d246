public import Domain

/// The instructions from which new ones are asked for.
public struct AugmentationChoice: Hashable, Sendable {
  /// All difficult ones, in id order.
  public var difficult: [InstructionID]
  /// As many easy ones as there are difficult ones, drawn; all when there are fewer. In id order.
  public var easy: [InstructionID]

  /// Both, in id order.
  public var all: [InstructionID] { (difficult + easy).sorted() }
}

/// Every difficult instruction, and an equally large sample of the easy ones against forgetting.
///
/// Unjudged instructions are neither. The choice does not depend on the order of `assessments`.
///
/// - Parameter seed: `Seeds.easySample` of the iteration.
/// - Source: Li et al. 2024, section 3.3.3.
public func chooseForAugmentation(
  _ assessments: [(id: InstructionID, assessment: Assessment)], seed: UInt64
) -> AugmentationChoice {
  var difficult: [InstructionID] = []
  var easy: [InstructionID] = []
  for (id, assessment) in assessments {
    switch assessment {
    case .judged(_, _, _, difficult: true): difficult.append(id)
    case .judged(_, _, _, difficult: false): easy.append(id)
    case .unjudged: continue
    }
  }
  var random = SeededRandom(seed: seed)
  return AugmentationChoice(
    difficult: difficult.sorted(),
    easy: random.shuffled(easy.sorted()).prefix(difficult.count).sorted())
}

/// The new instruction in an augmentor's reply, or why there is none.
///
/// Taken away: white space and quotation marks around the text, and a label such as
/// `New question:` before it. Refused: nothing left, more than one line, no letter or digit, more
/// than `charactersMax` characters.
public func cleanProposal(
  _ reply: String, charactersMax: Int
) throws(ProposalRejection) -> String {
  var text = trimmed(reply)
  guard !text.isEmpty else { throw .empty }
  guard !text.contains(where: \.isNewline) else { throw .form("more than one line") }
  text = withoutQuotes(withoutLabel(withoutQuotes(text)))
  guard !text.isEmpty else { throw .empty }
  guard text.contains(where: { $0.isLetter || $0.isNumber }) else {
    throw .form("no letter or digit")
  }
  guard text.count <= charactersMax else {
    throw .form("longer than \(charactersMax) characters")
  }
  return text
}

private let labels = [
  "new question:", "new instruction:", "question:", "instruction:", "new question or instruction:",
]

private func withoutLabel(_ text: String) -> String {
  let lowered = text.lowercased()
  guard let label = labels.first(where: lowered.hasPrefix) else { return text }
  return trimmed(text.dropFirst(label.count))
}

private func withoutQuotes(_ text: String) -> String {
  let pairs: [(Character, Character)] = [("\"", "\""), ("“", "”"), ("'", "'"), ("`", "`")]
  for (open, close) in pairs
  where text.count >= 2 && text.first == open && text.last == close
    && !text.dropFirst().dropLast().contains(where: { $0 == open || $0 == close })
  {
    return trimmed(text.dropFirst().dropLast())
  }
  return text
}
