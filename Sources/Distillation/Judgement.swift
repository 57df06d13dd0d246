public import Domain

/// Why a judge's reply could not be read. Strict on purpose: a guessed score is worse than none.
public enum JudgementError: Error, Hashable, Sendable, CustomStringConvertible {
  /// The reply's first line is blank.
  case empty
  /// The first line has this many fields; two are expected, with one space between them.
  case fields(Int)
  /// A field is no number of the form `7` or `7.5`.
  case number(String)
  /// A number is not within 1…10.
  case range(String)

  public var description: String {
    switch self {
    case .empty: "the first line is blank; two scores expected"
    case .fields(let count): "the first line has \(count) fields; two scores expected"
    case .number(let field): "\"\(field)\" is no score; digits with at most one decimal expected"
    case .range(let field): "the score \(field) is outside 1…10"
    }
  }
}

/// Reads the two scores of a judge's reply and gives them back to whom they belong (eq. 5).
///
/// The first line must hold the overall scores of answer 1 and answer 2 and nothing else: two
/// numbers in 1…10, whole or with one decimal, one space between them. Spaces around the line do
/// not count, because some vocabularies begin every text with one. What follows is explanation.
///
/// - Parameter order: whose answer the judge read first.
public func parseJudgement(
  _ reply: String, order: PresentationOrder
) throws(JudgementError) -> ScorePair {
  let line = trimmed(reply.prefix { !$0.isNewline })
  guard !line.isEmpty else { throw .empty }
  let fields = line.split(separator: " ", omittingEmptySubsequences: false)
  guard fields.count == 2 else { throw .fields(fields.count) }
  let first = try score(fields[0])
  let second = try score(fields[1])
  switch order {
  case .teacherFirst: return ScorePair(teacher: first, student: second)
  case .studentFirst: return ScorePair(teacher: second, student: first)
  }
}

/// `d`, `dd`, `d.d` or `dd.d`, no leading zero, within 1…10.
private func score(_ field: Substring) throws(JudgementError) -> Double {
  let parts = field.split(separator: ".", omittingEmptySubsequences: false)
  let digitsOnly = parts.allSatisfy { part in
    !part.isEmpty && part.allSatisfy { ("0"..."9").contains($0) }
  }
  guard (1...2).contains(parts.count), digitsOnly, parts[0].count <= 2,
    parts[0] == "0" || !parts[0].hasPrefix("0"), parts.count == 1 || parts[1].count == 1,
    let value = Double(String(field))
  else { throw .number(String(field)) }
  guard (1...10).contains(value) else { throw .range(String(field)) }
  return value
}

/// The judging of one instruction in one iteration: which replies are there, what is to do next.
///
/// Each order is asked until its reply can be read, at most `attemptsMax` times, each time with
/// another seed (`Seeds.sampling` of the purpose with the next attempt). When an order runs out of
/// attempts, the instruction is unjudged and the last reply is kept.
///
/// - Source: Li et al. 2024, section 3.3.2; Wang et al. 2023 for judging in both orders.
public struct JudgementProgress: Hashable, Sendable {
  public enum Step: Hashable, Sendable {
    /// Ask in this order, as this attempt, from 1.
    case ask(PresentationOrder, attempt: Int)
    /// The other order is still to come.
    case wait
    /// Both orders are read, or one has failed for good.
    case done(Assessment)
  }

  public let attemptsMax: Int
  public let threshold: Double
  private var scores: [PresentationOrder: ScorePair] = [:]
  private var assessment: Assessment?

  public init(attemptsMax: Int, threshold: Double) {
    precondition(attemptsMax > 0, "at least 1 attempt expected, \(attemptsMax) given")
    self.attemptsMax = attemptsMax
    self.threshold = threshold
  }

  /// The first questions to ask: both orders, once.
  public static let firstSteps: [Step] = PresentationOrder.allCases.map { .ask($0, attempt: 1) }

  /// Takes in a reply; `nil` where the job failed for good, which counts as an unreadable reply.
  ///
  /// A reply that comes when the outcome is known already changes nothing.
  public mutating func receive(
    _ reply: String?, order: PresentationOrder, attempt: Int
  ) -> Step {
    if let assessment { return .done(assessment) }
    if let reply, let pair = try? parseJudgement(reply, order: order) {
      scores[order] = pair
      guard let teacherFirst = scores[.teacherFirst], let studentFirst = scores[.studentFirst]
      else { return .wait }
      return settle(
        assess(teacherFirst: teacherFirst, studentFirst: studentFirst, threshold: threshold))
    }
    if scores[order] != nil { return .wait }
    if attempt < attemptsMax { return .ask(order, attempt: attempt + 1) }
    return settle(.unjudged(lastText: reply ?? ""))
  }

  private mutating func settle(_ outcome: Assessment) -> Step {
    assessment = outcome
    return .done(outcome)
  }
}
