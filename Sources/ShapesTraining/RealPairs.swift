import Domain
import Foundation
import Shapes

/// What teacher and student really said to the questions about one scene.
struct RealPairs: Codable, Sendable {
  struct Answered: Codable, Sendable {
    var question: String
    var teacher: String
    var student: String
  }

  var scene: String
  var answers: [Answered]
}

extension [RealPairs] {
  func write(_ path: String) throws {
    let encoder = JSONEncoder()
    encoder.outputFormatting = .sortedKeys
    try encoder.encode(self).write(to: URL(fileURLWithPath: path), options: .atomic)
  }

  static func read(_ path: String) throws -> [RealPairs] {
    try JSONDecoder().decode(
      [RealPairs].self, from: Data(contentsOf: URL(fileURLWithPath: path)))
  }
}

extension LessonWriter {
  /// A lesson in judging what was really said, in an order drawn for each question.
  func judgingLesson(_ index: UInt64, of pairs: [RealPairs]) -> Lesson? {
    var random = SeededRandom(seed: seed, "judging lesson", index)
    let pair = pairs[random.below(pairs.count)]
    guard let scene = Scene(code: pair.scene) else { return nil }
    let items = pair.answers.compactMap { answered -> LessonItem? in
      guard let question = Question(parsing: answered.question),
        let truth = scene.answer(to: question.query)
      else { return nil }
      let exercise = Exercise(question: question, answer: truth)
      let teacherFirst = random.below(2) == 0
      return judgement(
        of: exercise, first: teacherFirst ? answered.teacher : answered.student,
        second: teacherFirst ? answered.student : answered.teacher, in: scene)
    }
    return Lesson(scene: scene, items: items)
  }
}
