import Distillation
import Domain
import Formats
import Foundation
import Shapes
import ShapesTraining
import TestSupport
import Testing
import Transformer

@Suite("The world's models that are shipped")
struct ShippedModelsTests {
  private let folder = repository.appending(path: "Models/shapes")
  private let prompts: PromptSet

  init() throws { prompts = try PromptSet(replacing: worldPrompts()) }

  private func examinee(_ name: String) throws -> Examinee {
    let model = try Model.load(folder.appending(path: name).path)
    let tokenizer = try #require(model.tokenizer)
    return try Examinee(
      model: model, encoder: LessonEncoder(tokenizer: tokenizer, sight: .drawing))
  }

  @Test("take 12 MB at most and know the words of today's world and prompts")
  func size() throws {
    let names = try FileManager.default.subpathsOfDirectory(atPath: folder.path)
    let sizes = try names.map { name in
      let url = folder.appending(path: name)
      return try url.resourceValues(forKeys: [.fileSizeKey, .isRegularFileKey]).fileSize ?? 0
    }
    #expect(names.count { $0.hasSuffix(".safetensors") } == 2)
    #expect(sizes.reduce(0, +) <= 12_000_000)
    let words = try worldTokenizer(prompts: worldPrompts())
    for name in ["teacher", "student"] {
      let model = try Model.load(folder.appending(path: name).path)
      #expect(try #require(model.tokenizer).encoded() == words.encoded(), "\(name)")
    }
  }

  @Test("are a teacher that can see and a student that has much to learn")
  func answers() throws {
    // Scenes that neither of them was made with, three for each kind of question.
    let items = examination(from: .evaluation, perKind: 3, seed: 77)
    #expect(items.count == 3 * QuestionKind.allCases.count)
    let teacher = graded(items, try examinee("teacher").answers(to: items, prompts))
    #expect(teacher.mean >= 85, "\(teacher.mean)")
    let student = graded(items, try examinee("student").answers(to: items, prompts))
    #expect((10...60).contains(student.mean), "\(student.mean)")
  }

  @Test("are a judge who finds the right one of two answers, in both orders")
  func judges() throws {
    let items = Array(examination(from: .evaluation, perKind: 2, seed: 78).prefix(50))
    var random = SeededRandom(seed: 78, "mistakes")
    let mistakes = items.map { $0.scene.mistake(about: $0.exercise, using: &random) }
    let truths = items.map { $0.exercise.answer.text }
    let judge = try examinee("teacher")
    // The right one as the teacher's and as the student's: a liking for one is no judgement.
    for (teacher, student) in [(truths, mistakes), (mistakes, truths)] {
      let result = try judging(items, teacher: teacher, student: student, judge: judge, prompts)
      #expect(result.pairs == 50 && result.unparsed == 0)
      #expect(result.agreement >= 85 && result.consistent >= 40, "\(result)")
    }
  }
}
