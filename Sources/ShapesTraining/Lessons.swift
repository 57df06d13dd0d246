public import Distillation
import Domain
public import Shapes

/// A question and what is to be said to it, as texts.
public struct LessonItem: Hashable, Sendable {
  public var question: String
  public var answer: String

  public init(question: String, answer: String) {
    self.question = question
    self.answer = answer
  }
}

/// One picture with all that is learnt about it in one go.
public struct Lesson: Hashable, Sendable {
  public var scene: Scene
  public var items: [LessonItem]

  public init(scene: Scene, items: [LessonItem]) {
    self.scene = scene
    self.items = items
  }
}

/// Shares of what the teacher learns to do.
public struct TeacherMix: Hashable, Sendable {
  public var answers: Int
  public var judgements: Int
  public var newQuestions: Int
  public var captions: Int

  public init(answers: Int, judgements: Int, newQuestions: Int, captions: Int) {
    self.answers = answers
    self.judgements = judgements
    self.newQuestions = newQuestions
    self.captions = captions
  }

  var total: Int { answers + judgements + newQuestions + captions }
}

/// Writes lessons; a lesson is a pure function of seed and index.
///
/// Judging and asking are phrased by the very functions that phrase them in a run, so what is
/// learnt here and what is read there cannot differ.
public struct LessonWriter: Sendable {
  public var prompts: PromptSet
  public var seed: UInt64

  public init(prompts: PromptSet, seed: UInt64) {
    self.prompts = prompts
    self.seed = seed
  }

  /// A lesson for the teacher: `count` items in the proportions of `mix`.
  public func teacherLesson(
    _ index: UInt64, items count: Int, mix: TeacherMix,
    kinds: [QuestionKind] = QuestionKind.allCases
  ) -> Lesson {
    var random = SeededRandom(seed: seed, "teacher lesson", index)
    let scene = Scene.sample(from: .building, using: &random)
    let exercises = scene.exercises(count, of: kinds, using: &random)
    let items = exercises.map { exercise in
      item(about: exercise, in: scene, mix: mix, using: &random)
    }
    return Lesson(scene: scene, items: items)
  }

  /// A lesson of answers to questions of `kinds`, and the picture's caption among them.
  public func studentLesson(
    _ index: UInt64, items count: Int, kinds: [QuestionKind]
  ) -> Lesson {
    var random = SeededRandom(seed: seed, "student lesson", index)
    let scene = Scene.sample(from: .building, using: &random)
    var items = scene.exercises(count - 1, of: kinds, using: &random).map(answered)
    let wording = prompts.captions[random.below(prompts.captions.count)]
    items.insert(
      LessonItem(question: wording, answer: scene.caption), at: random.below(items.count + 1))
    return Lesson(scene: scene, items: items)
  }

  private func item(
    about exercise: Exercise, in scene: Scene, mix: TeacherMix, using random: inout SeededRandom
  ) -> LessonItem {
    var draw = random.below(mix.total)
    if draw < mix.answers { return answered(exercise) }
    draw -= mix.answers
    if draw < mix.judgements { return judged(exercise, in: scene, using: &random) }
    draw -= mix.judgements
    if draw < mix.newQuestions {
      let new = scene.variation(of: exercise.question, using: &random)
      return new.map { asked($0, after: exercise.question) } ?? answered(exercise)
    }
    let wording = prompts.captions[random.below(prompts.captions.count)]
    return LessonItem(question: wording, answer: scene.caption)
  }

  func answered(_ exercise: Exercise) -> LessonItem {
    LessonItem(question: exercise.question.text, answer: exercise.answer.text)
  }

  /// Two answers to compare: mostly one right and one wrong, now and then two wrong or two right.
  private func judged(
    _ exercise: Exercise, in scene: Scene, using random: inout SeededRandom
  ) -> LessonItem {
    let truth = exercise.answer.text
    let wrong = scene.mistake(about: exercise, using: &random)
    let pair =
      switch random.below(8) {
      case 0: (truth, truth)
      case 1, 2: (wrong, scene.mistake(about: exercise, using: &random))
      case 3...7: random.below(2) == 0 ? (truth, wrong) : (wrong, truth)
      case let other: preconditionFailure("0…7 expected, \(other) drawn")
      }
    return judgement(of: exercise, first: pair.0, second: pair.1, in: scene)
  }

  /// What the judge reads about two answers, and the oracle's scores as its reply.
  public func judgement(
    of exercise: Exercise, first: String, second: String, in scene: Scene
  ) -> LessonItem {
    let prompt = prompts.judgement(
      of: exercise.question.text, image: nil, teacher: first, student: second,
      order: .teacherFirst, in: .plain)
    let scores = [first, second].map { scene.score($0, truth: exercise.answer) }
    return LessonItem(question: prompt.firstText, answer: "\(scores[0]) \(scores[1])")
  }

  /// What the augmentor reads, and a new question as its reply.
  private func asked(_ new: Question, after old: Question) -> LessonItem {
    let instruction = Instruction(
      id: InstructionID(1), image: nil, text: old.text, task: old.query.kind.task,
      lineage: .imported(record: "", turn: 0))
    let prompt = prompts.newInstruction(from: instruction, in: .plain)
    return LessonItem(question: prompt.firstText, answer: new.text)
  }
}

extension Prompt {
  /// The text that stands before the first control token: in the plain form, the question.
  fileprivate var firstText: String {
    for case .text(let text) in parts { return text }
    return ""
  }
}
