public import Distillation
import Domain
import Formats
import Foundation
import Kernels
import Shapes
import Transformer

/// What a build of the world's models is made of.
public struct WorldBuildSettings: Sendable {
  public var seed: UInt64
  /// States of the trainings and what is passed between them; a build goes on from here.
  public var stateFolder: String
  /// Receives `teacher` and `student`, folders in Hugging Face's form.
  public var outputFolder: String
  /// The texts of the prompt files.
  public var prompts: [PromptRole: String]
  /// Share of the full number of steps; far below 1 only to try the way.
  public var scale: Double

  public init(
    seed: UInt64, stateFolder: String, outputFolder: String, prompts: [PromptRole: String],
    scale: Double = 1
  ) {
    self.seed = seed
    self.stateFolder = stateFolder
    self.outputFolder = outputFolder
    self.prompts = prompts
    self.scale = scale
  }
}

/// The sizes of the two language models.
public let teacherSize = LanguageSize(hidden: 160, layers: 5, heads: 5, feedForward: 432)
public let studentSize = LanguageSize(hidden: 128, layers: 4, heads: 4, feedForward: 344)

/// Trains and saves the world's models.
///
/// 1. *Reading*: both language models learn on scenes as words, where nothing has to be seen: the
///    student's on the kinds of `QuestionKind.read`, the teacher's on all, on judging and asking.
/// 2. *Seeing*: the tower learns to turn each cell into the words that the teacher reads of it.
/// 3. *Teaching*: tower, projector and teacher together on drawings.
/// 4. *Mistakes*: weak students are made as a run makes them, and answer; so does the teacher.
/// 5. *Judging*: as 3, with what was really said among the lessons.
///
/// Every training keeps its state; a build that was stopped goes on where it was, with the result
/// that it would have had.
public struct WorldBuild {
  let settings: WorldBuildSettings
  let prompts: PromptSet
  let tokenizer: Tokenizer
  let writer: LessonWriter
  let say: (String) -> Void

  /// - Throws: `PromptError`; `FormatError`; when the folders cannot be made.
  public init(_ settings: WorldBuildSettings, say: @escaping (String) -> Void) throws {
    self.settings = settings
    self.say = say
    prompts = try PromptSet(replacing: settings.prompts)
    tokenizer = try worldTokenizer(prompts: settings.prompts)
    writer = LessonWriter(prompts: prompts, seed: settings.seed)
    for folder in [settings.stateFolder, settings.outputFolder] {
      try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    }
  }

  /// Runs what is not done yet, saves both models and examines the teacher.
  public func run() async throws -> WorldReport {
    let studentReader = try await readStudent()
    let teacherReader = try await readTeacher()
    let teacher = worldModel(
      teacherSize, vision: towerConfig(), projector: .mlp(.gelu), tokenizer: tokenizer,
      seed: settings.seed)
    copyLanguage(of: teacherReader, to: teacher)
    try await see(teacher, embedding: embedding(of: teacherReader))
    try await teach(teacher)
    let student = blindStudent(studentReader, eyes: teacher)
    let pairs = try await makeMistakes(teacher: teacher, student: student)
    try await judge(teacher, pairs)
    // The student sees with the finished tower, through a projector that knows nothing yet.
    let finished = blindStudent(studentReader, eyes: teacher)
    try teacher.save(folder: settings.outputFolder + "/teacher", precision: .bf16)
    try finished.save(folder: settings.outputFolder + "/student", precision: .bf16)
    return try await examine(teacher: teacher, student: finished)
  }

  // MARK: The parts

  private func readStudent() async throws -> Model {
    let model = wordReadingModel(studentSize, tokenizer: tokenizer, seed: settings.seed &+ 1)
    let encoder = LessonEncoder(tokenizer: tokenizer, sight: .words)
    let writer = writer
    let course = course("student-reading", samples: 60_000, peak: 1e-3)
    try await train(model, .all, course, shell: shell(course)) { index in
      studentInput(writer.studentLesson(index, items: 8, kinds: QuestionKind.read), index, encoder)
    }
    return model
  }

  private func readTeacher() async throws -> Model {
    let model = wordReadingModel(teacherSize, tokenizer: tokenizer, seed: settings.seed &+ 2)
    let encoder = LessonEncoder(tokenizer: tokenizer, sight: .words)
    let writer = writer
    let course = course("teacher-reading", samples: 70_000, peak: 1e-3, decayShare: 0.1)
    let early = UInt64(30_000 * settings.scale)
    try await train(model, .all, course, shell: shell(course)) { index in
      let mix = index < early ? TeacherMix.answering : TeacherMix.everything
      return encoder.branched(writer.teacherLesson(index, items: 10, mix: mix))
    }
    return model
  }

  private func see(_ teacher: Model, embedding: [Float]) async throws {
    // A language model without layers lends the shape; only tower and projector are copied.
    let eyes = worldModel(
      LanguageSize(
        hidden: teacherSize.hidden, layers: 0, heads: teacherSize.heads,
        feedForward: teacherSize.feedForward),
      vision: towerConfig(), projector: .mlp(.gelu), tokenizer: tokenizer, seed: settings.seed)
    let course = course("seeing", samples: 80_000, peak: 1e-3, batch: 32)
    let seed = settings.seed
    let workers = try (0..<course.parts).map { _ in
      try AlignmentWorker(model: eyes, embedding: embedding, tokenizer: tokenizer) { index in
        var random = SeededRandom(seed: seed, "seen scene", index)
        return Scene.sample(from: .building, using: &random)
      }
    }
    let seeing =
      eyes.layout.range(of: ParameterLayout.Part.vision)
      .lowerBound..<eyes.layout.range(of: ParameterLayout.Part.projector).upperBound
    try await train(
      ParameterChange(parameters: eyes.parameters[seeing], offset: 0), course, workers,
      shell(course))
    teacher.parameters[seeing].copy(from: eyes.parameters[seeing])
  }

  private func teach(_ teacher: Model) async throws {
    let encoder = LessonEncoder(tokenizer: tokenizer, sight: .drawing)
    let writer = writer
    let course = course("teaching", samples: 50_000, peak: 7e-4, decayShare: 0.05)
    try await train(teacher, .all, course, shell: shell(course)) { index in
      encoder.branched(drawingLesson(index + teachingStart, writer))
    }
  }

  private func judge(_ teacher: Model, _ pairs: [RealPairs]) async throws {
    let encoder = LessonEncoder(tokenizer: tokenizer, sight: .drawing)
    let writer = writer
    let course = course("judging", samples: 60_000, peak: 7e-4, decayShare: 0.7)
    try await train(teacher, .all, course, shell: shell(course)) { index in
      // Two of seven lessons are what was really said.
      if index % 7 < 2, let lesson = writer.judgingLesson(index, of: pairs) {
        return encoder.branched(lesson)
      }
      return encoder.branched(drawingLesson(index + judgingStart, writer, mix: .finishing))
    }
  }

  // MARK: What parts share

  func course(
    _ name: String, samples: Int, peak: Double, batch: Int = 8, decayShare: Double = 0.4
  ) -> TrainingCourse {
    let steps = max(1, Int(Double(samples) * settings.scale) / batch)
    return TrainingCourse(
      name: name,
      schedule: TrapezoidSchedule(peak: peak, total: steps, decayShare: decayShare), batch: batch)
  }

  func shell(_ course: TrainingCourse) -> TrainingShell {
    let say = say
    return TrainingShell(checkpoint: statePath(course.name + ".safetensors")) { progress in
      say(progress.line)
    }
  }

  func statePath(_ name: String) -> String { settings.stateFolder + "/" + name }
}

/// Lessons of later trainings are others than those of earlier ones.
private let teachingStart: UInt64 = 1 << 40
private let judgingStart: UInt64 = 2 << 40

/// A lesson for the teacher with eyes: every third is about what takes longest to learn.
private func drawingLesson(
  _ index: UInt64, _ writer: LessonWriter, mix: TeacherMix = .everything
) -> Lesson {
  let slow: Set<Shapes.Dimension> = [.counting, .spatial, .interaction, .reasoning]
  let kinds = QuestionKind.allCases.filter { index % 3 > 0 || slow.contains($0.dimension) }
  return writer.teacherLesson(index, items: 10, mix: mix, kinds: kinds)
}

extension TeacherMix {
  /// First of all to answer.
  static let answering = TeacherMix(answers: 92, judgements: 0, newQuestions: 0, captions: 8)
  static let everything = TeacherMix(answers: 65, judgements: 20, newQuestions: 10, captions: 5)
  /// Beside lessons that judge what was really said.
  static let finishing = TeacherMix(answers: 63, judgements: 14, newQuestions: 18, captions: 5)
}

/// Half of the lessons as single questions, half as dialogues with the picture in either place: the
/// forms in which the student will be tuned and asked.
private func studentInput(
  _ lesson: Lesson, _ index: UInt64, _ encoder: LessonEncoder
) -> TrainingInput {
  switch index % 4 {
  case 0: encoder.dialogue(lesson, placement: .beforeQuestion)
  case 1: encoder.dialogue(lesson, placement: .afterQuestion)
  case 2, 3: encoder.branched(lesson)
  case let other: preconditionFailure("0…3 expected, \(other) computed")
  }
}

func copyLanguage(of source: Model, to target: Model) {
  let from = source.layout.range(of: ParameterLayout.Part.language)
  let to = target.layout.range(of: ParameterLayout.Part.language)
  target.parameters[to].copy(from: source.parameters[from])
}

/// The word embedding, (vocabulary, columns).
private func embedding(of model: Model) -> [Float] {
  let parameter = model.layout.parameters.first { $0.name.hasSuffix("embed_tokens.weight") }
  return parameter.map { model.parameters[$0.range].array } ?? []
}

extension TrainingProgress {
  var line: String {
    let minutes = Int((secondsLeft / 60).rounded(.up))
    return "\(course): step \(step) of \(stepsTotal), loss \(rounded(loss, 3)), "
      + "\(rounded(samplesPerSecond, 1)) pictures/s, \(minutes) min left"
  }
}

func rounded(_ value: Double, _ digits: Int) -> String {
  String(format: "%.\(digits)f", value)
}
