public import Distillation
import Domain
import Shapes

/// How well a judge agrees with the oracle on answers that differ in truth.
public struct JudgingResult: Hashable, Sendable {
  /// Pairs whose oracle scores differ.
  public var pairs = 0
  /// The better answer got the better mean score of both orders; a tie is wrong.
  public var agreed = 0
  public var tied = 0
  /// Both orders put the same answer first, or neither.
  public var consistent = 0
  /// At least one order could not be parsed: counts as wrong.
  public var unparsed = 0

  public var agreement: Double { pairs == 0 ? 0 : 100 * Double(agreed) / Double(pairs) }
}

/// Lets a judge compare, in both orders, what two subjects said, and compares it with the oracle.
public func judging(
  _ items: [ExaminationItem], teacher: [String], student: [String], judge: Examinee,
  _ prompts: PromptSet, temperature: Double = 0.5
) throws -> JudgingResult {
  var result = JudgingResult()
  let differing = items.indices.filter { index in
    let (scene, truth) = (items[index].scene, items[index].exercise.answer)
    return scene.score(teacher[index], truth: truth) != scene.score(student[index], truth: truth)
  }
  func replies(_ order: PresentationOrder) throws -> [ScorePair?] {
    let asked = differing.map { index in
      (
        prompts.judgement(
          of: items[index].exercise.question.text, image: placeholder, teacher: teacher[index],
          student: student[index], order: order, in: judge.encoder.template),
        items[index].scene
      )
    }
    return try judge.answers(to: asked, tokensMax: 8, temperature: temperature)
      .map { try? parseJudgement($0, order: order) }
  }
  let first = try replies(.teacherFirst)
  let second = try replies(.studentFirst)
  for (position, index) in differing.enumerated() {
    result.pairs += 1
    guard let one = first[position], let other = second[position] else {
      result.unparsed += 1
      continue
    }
    let judged = one.teacher + other.teacher - one.student - other.student
    let scene = items[index].scene
    let truth = items[index].exercise.answer
    let known =
      scene.score(teacher[index], truth: truth) - scene.score(student[index], truth: truth)
    if judged == 0 { result.tied += 1 }
    if judged * Double(known) > 0 { result.agreed += 1 }
    if isOrderConsistent(teacherFirst: one, studentFirst: other) { result.consistent += 1 }
  }
  return result
}

/// What becomes of requests for new questions.
public struct AskingResult: Hashable, Sendable {
  public var asked = 0
  public var answerable = 0
  public var sameDimension = 0
  /// Answerable and below the ROUGE-L limit against the question it was made of.
  public var new = 0
}

/// Lets a teacher write a new question for each item, as in a run.
public func asking(
  _ items: [ExaminationItem], teacher: Examinee, _ prompts: PromptSet, temperature: Double = 0.5
) throws -> AskingResult {
  let asked = items.map { item in
    let instruction = Instruction(
      id: InstructionID(1), image: placeholder, text: item.exercise.question.text,
      task: item.exercise.question.query.kind.task, lineage: .imported(record: "", turn: 0))
    return (prompts.newInstruction(from: instruction, in: teacher.encoder.template), item.scene)
  }
  let replies = try teacher.answers(to: asked, tokensMax: 30, temperature: temperature)
  var result = AskingResult()
  for (item, reply) in zip(items, replies) {
    result.asked += 1
    guard case .answerable(let question) = item.scene.answerability(of: reply) else { continue }
    let source = item.exercise.question
    result.answerable += 1
    if question.query.kind.dimension == source.query.kind.dimension { result.sameDimension += 1 }
    if rougeL(reply, source.text) < 0.7 { result.new += 1 }
  }
  return result
}
