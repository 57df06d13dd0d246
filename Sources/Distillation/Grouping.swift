public import Domain

/// An instruction with the teacher's answer: `(V_k, X_k, A_k)` of section 3.3.1.
public struct AnsweredInstruction: Hashable, Sendable {
  public var instruction: Instruction
  public var answer: String
  public init(_ instruction: Instruction, answer: String) {
    self.instruction = instruction
    self.answer = answer
  }
}

/// Single-turn answers become conversations in the form of eq. 1: one picture's answers are the
/// turns of one dialogue.
///
/// Turns stand in the order of their instructions' ids, which for imported dialogues is the order
/// in which they were held; more than `turnsMax` are cut into several conversations. A question
/// without a picture stays alone. Answers that are blank are left out: a student is not to learn
/// silence; white space at an answer's ends is the tokenizer's, not the answer's. Conversations
/// come in the order of their first instructions, whatever the order of `answered`.
///
/// - Parameter seeds: the place of each picture follows from them (eq. 2).
/// - Source: Li et al. 2024, section 3.3.1.
public func groupIntoConversations(
  _ answered: [AnsweredInstruction], turnsMax: Int, iteration: Int, seeds: Seeds
) -> [Conversation] {
  precondition(turnsMax > 0, "at least 1 turn expected, \(turnsMax) given")
  var groups: [[AnsweredInstruction]] = []
  var groupOf: [Digest: Int] = [:]
  for item in answered.sorted(by: { $0.instruction.id < $1.instruction.id })
  where !item.answer.allSatisfy(\.isWhitespace) {
    if let image = item.instruction.image, let group = groupOf[image],
      groups[group].count < turnsMax
    {
      groups[group].append(item)
    } else {
      if let image = item.instruction.image { groupOf[image] = groups.count }
      groups.append([item])
    }
  }
  return groups.map { group in
    let first = group[0].instruction
    return Conversation(
      image: first.image,
      placement: drawnPlacement(seed: seeds.placement(first.id, iteration: iteration)),
      turns: group.map { Turn(question: $0.instruction.text, answer: trimmed($0.answer)) })
  }
}

/// One of the two forms of eq. 2, each with probability ½.
public func drawnPlacement(seed: UInt64) -> ImagePlacement {
  var random = SeededRandom(seed: seed)
  return random.below(2) == 0 ? .beforeQuestion : .afterQuestion
}
