import Distillation
import Domain
import Shapes
import Transformer

/// What the finished models can do, on held-out scenes.
public struct WorldReport: Sendable {
  public var teacher: ExaminationResult
  public var blind: ExaminationResult
  /// The teacher as judge of real answers that differ in truth.
  public var judging: JudgingResult
  public var asking: AskingResult
  /// The untaught student at several moments of a training like a run's.
  public var students: [ExaminationResult]

  /// As text, a line for each dimension.
  public var table: String {
    var lines = ["dimension               blind  teacher"]
    for dimension in Dimension.allCases {
      lines.append(
        padded(dimension.name, 22) + percent(blind[dimension].accuracy)
          + percent(teacher[dimension].accuracy))
    }
    lines.append(padded("mean", 22) + percent(blind.mean) + percent(teacher.mean))
    lines.append(
      "judging real answers that differ in truth: \(rounded(judging.agreement, 1)) % agree with "
        + "the oracle over \(judging.pairs) pairs (\(judging.tied) ties and \(judging.unparsed) "
        + "unparsed counted as wrong; \(judging.consistent) consistent in both orders)")
    lines.append(
      "new questions: \(asking.answerable) of \(asking.asked) answerable, \(asking.sameDimension) "
        + "of the same dimension, \(asking.new) new")
    let means = students.map { rounded($0.mean, 1) }.joined(separator: ", ")
    lines.append("a student on its way: \(means)")
    return lines.joined(separator: "\n")
  }
}

private func padded(_ text: String, _ width: Int) -> String {
  text + String(repeating: " ", count: max(0, width - text.count))
}

private func percent(_ value: Double) -> String {
  let text = rounded(value, 1)
  return String(repeating: " ", count: max(0, 8 - text.count)) + text
}

extension WorldBuild {
  /// Examines the finished models on scenes of the evaluation split.
  func examine(teacher: Model, student: Model) async throws -> WorldReport {
    let encoder = LessonEncoder(tokenizer: tokenizer, sight: .drawing)
    let items = examination(
      from: .evaluation, perKind: max(2, Int(60 * settings.scale)), seed: settings.seed)
    let examinee = try Examinee(model: teacher, encoder: encoder)
    let right = graded(items, try examinee.answers(to: items, prompts))
    let guesser = BlindGuesser(seed: settings.seed)
    let blind = graded(items, items.map { guesser.answer(to: $0.exercise.question) })

    var students: [ExaminationResult] = []
    var judged = JudgingResult()
    let said = try examinee.answers(to: items, prompts, temperature: 0.5)
    try await forEachWeakStudent(student, of: "examined") { _, weak in
      let pupil = try Examinee(model: weak, encoder: encoder)
      students.append(graded(items, try pupil.answers(to: items, prompts)))
      let answers = try pupil.answers(to: items, prompts, temperature: 0.5)
      judged.add(
        try judging(items, teacher: said, student: answers, judge: examinee, prompts))
    }
    let asked = try asking(items, teacher: examinee, prompts)
    return WorldReport(
      teacher: right, blind: blind, judging: judged, asking: asked, students: students)
  }
}

extension JudgingResult {
  mutating func add(_ other: JudgingResult) {
    pairs += other.pairs
    agreed += other.agreed
    tied += other.tied
    consistent += other.consistent
    unparsed += other.unparsed
  }
}
