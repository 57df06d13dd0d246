/// The two scores that one judgement gave, 1…10 each: eq. 5 in one order.
public struct ScorePair: Hashable, Sendable {
  public var teacher: Double
  public var student: Double
  public init(teacher: Double, student: Double) {
    self.teacher = teacher
    self.student = student
  }
}

/// What became of judging one instruction in one iteration, both orders done.
public enum Assessment: Hashable, Sendable {
  /// Scores in both orders; `difficulty` is eq. 6 on the means.
  case judged(teacherFirst: ScorePair, studentFirst: ScorePair, difficulty: Double, difficult: Bool)
  /// No order, or one only, could be parsed within the attempts; the judge's last words are kept.
  case unjudged(lastText: String)
}

/// Why a proposed instruction was not admitted to the pools.
public enum ProposalRejection: Error, Hashable, Sendable {
  case empty
  /// Not of the asked form: more than one line, no question, too long.
  case form(String)
  /// ROUGE-L F-measure at or above the limit with an instruction of the same picture.
  case tooSimilar(to: InstructionID, rougeL: Double)
  /// The job itself failed on every worker that tried.
  case failed
}

/// What became of asking for a new instruction.
public enum ProposalOutcome: Hashable, Sendable {
  case admitted(InstructionID)
  case rejected(ProposalRejection)
}
