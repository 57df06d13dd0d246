import Distillation
import Domain
import Formats
import Foundation
import Kernels
import Shapes
import Transformer

extension WorldBuild {
  /// The student as a run begins with it: its own language model behind another's tower and a
  /// projector with random weights.
  func blindStudent(_ reader: Model, eyes: Model) -> Model {
    let student = worldModel(
      studentSize, vision: towerConfig(), projector: .mlp(.gelu), tokenizer: tokenizer,
      seed: settings.seed &+ 3)
    copyLanguage(of: reader, to: student)
    let tower = student.layout.range(of: ParameterLayout.Part.vision)
    let source = eyes.layout.range(of: ParameterLayout.Part.vision)
    student.parameters[tower].copy(from: eyes.parameters[source])
    return student
  }

  /// What students at several stages of a run, and the teacher, really say; kept in a file.
  func makeMistakes(teacher: Model, student: Model) async throws -> [RealPairs] {
    let path = statePath("pairs.json")
    if FileManager.default.fileExists(atPath: path) { return try [RealPairs].read(path) }
    var pairs: [RealPairs] = []
    try await forEachWeakStudent(student, of: "weak") { stage, weak in
      let items = examinationOfScenes(
        count: max(1, Int(400 * settings.scale)), split: .building, seed: settings.seed &+ stage)
      pairs += try answeredPairs(items, teacher: teacher, student: weak)
      say("mistakes: \(pairs.count) scenes answered")
    }
    try pairs.write(path)
    return pairs
  }

  /// Makes the student learn as in a run and shows it at six moments: twice in stage 1, then while
  /// it is tuned on questions of all kinds.
  ///
  /// - Parameters:
  ///   - name: of the trainings' states.
  ///   - body: the moment's number, and the student at it.
  func forEachWeakStudent(
    _ student: Model, of name: String, _ body: (UInt64, Model) async throws -> Void
  ) async throws {
    let weak = student.copy()
    let encoder = LessonEncoder(tokenizer: tokenizer, sight: .drawing)
    let writer = writer
    for (stage, (samples, part)) in weakStages.enumerated() {
      let trained: TrainedParts = part == .captions ? .projector : .projectorAndLanguage
      let course = course(
        "\(name)-student-\(stage)", samples: samples, peak: part == .captions ? 2e-3 : 1e-3,
        batch: 16)
      let start = UInt64(stage + 3) << 40
      try await train(weak, trained, course, shell: shell(course)) { index in
        let lesson = writer.studentLesson(
          start + index, items: part == .captions ? 1 : 6, kinds: QuestionKind.allCases)
        return encoder.dialogue(lesson, placement: .beforeQuestion)
      }
      try await body(UInt64(stage), weak)
    }
  }

  /// Both subjects' answers to some questions about each scene, drawn as in a run.
  func answeredPairs(
    _ items: [ExaminationItem], teacher: Model, student: Model
  ) throws -> [RealPairs] {
    let encoder = LessonEncoder(tokenizer: tokenizer, sight: .drawing)
    let said = try [teacher, student].map { model in
      try Examinee(model: model, encoder: encoder).answers(to: items, prompts, temperature: 0.5)
    }
    var pairs: [RealPairs] = []
    for (index, item) in items.enumerated() {
      let answered = RealPairs.Answered(
        question: item.exercise.question.text, teacher: said[0][index], student: said[1][index])
      if pairs.last?.scene == item.scene.code {
        pairs[pairs.count - 1].answers.append(answered)
      } else {
        pairs.append(RealPairs(scene: item.scene.code, answers: [answered]))
      }
    }
    return pairs
  }
}

private enum WeakLesson { case captions, questions }

private let weakStages: [(samples: Int, part: WeakLesson)] = [
  (1_600, .captions), (6_400, .captions), (1_600, .questions), (3_200, .questions),
  (6_400, .questions), (12_800, .questions),
]

/// Eight questions about each of `count` scenes.
func examinationOfScenes(count: Int, split: Split, seed: UInt64) -> [ExaminationItem] {
  var random = SeededRandom(seed: seed, "examination of scenes")
  return (0..<count).flatMap { _ in
    let scene = Scene.sample(from: split, using: &random)
    return scene.exercises(8, of: QuestionKind.allCases, using: &random)
      .map { ExaminationItem(scene: scene, exercise: $0) }
  }
}
