import Distillation
import Domain
import Formats
import Foundation
import Shapes
import ShapesTraining
import TestSupport
import Testing

@Suite("Lessons of the embedded world")
struct LessonTests {
  @Test("are functions of their seed and number")
  func deterministic() throws {
    let writer = LessonWriter(prompts: try PromptSet(replacing: worldPrompts()), seed: 5)
    let mix = TeacherMix(answers: 4, judgements: 3, newQuestions: 2, captions: 1)
    for index in 0..<UInt64(8) {
      #expect(
        writer.teacherLesson(index, items: 6, mix: mix)
          == writer.teacherLesson(index, items: 6, mix: mix))
    }
    #expect(
      writer.teacherLesson(1, items: 6, mix: mix) != writer.teacherLesson(2, items: 6, mix: mix))
  }

  @Test("are about scenes that no run and no examination has")
  func splits() throws {
    let writer = LessonWriter(prompts: try PromptSet(replacing: worldPrompts()), seed: 5)
    for index in 0..<UInt64(200) {
      let lesson = writer.studentLesson(index, items: 4, kinds: QuestionKind.read)
      #expect(lesson.scene.split == .building)
    }
    for item in examination(from: .evaluation, perKind: 3, seed: 1) {
      #expect(item.scene.split == .evaluation)
    }
  }

  @Test("never ask a student's base about what it is to learn in a run")
  func heldOut() throws {
    let writer = LessonWriter(prompts: try PromptSet(replacing: worldPrompts()), seed: 5)
    let captions = Set(writer.prompts.captions)
    var asked = 0
    for index in 0..<UInt64(100) {
      let items = writer.studentLesson(index, items: 8, kinds: QuestionKind.read).items
      // Of each lesson one item asks for the caption.
      for item in items where !captions.contains(item.question) {
        let question = try #require(Question(parsing: item.question), "\(item.question)")
        #expect(!QuestionKind.heldOut.contains(question.query.kind), "\(item.question)")
        asked += 1
      }
      #expect(items.count { captions.contains($0.question) } == 1)
    }
    #expect(asked > 600)
    let left = Set(QuestionKind.heldOut.map(\.dimension))
    #expect(left == Set(Dimension.allCases), "every dimension has something to teach")
  }

  @Test("show a judge answers with the oracle's scores, in the form in which a run reads them")
  func judging() throws {
    let writer = LessonWriter(prompts: try PromptSet(replacing: worldPrompts()), seed: 5)
    let mix = TeacherMix(answers: 0, judgements: 1, newQuestions: 0, captions: 0)
    var wins = 0
    for index in 0..<UInt64(40) {
      let lesson = writer.teacherLesson(index, items: 4, mix: mix)
      for item in lesson.items {
        let scores = try parseJudgement(item.answer, order: .teacherFirst)
        let (question, first, second) = try judged(item.question)
        #expect(scores.teacher == Double(lesson.scene.score(first, to: question.query)))
        #expect(scores.student == Double(lesson.scene.score(second, to: question.query)))
        if scores.teacher > scores.student { wins += 1 }
      }
    }
    #expect((40...120).contains(wins), "the first answer is the better one in \(wins) of 160")
  }

  /// What a judge is shown, taken apart again.
  private func judged(
    _ text: String
  ) throws -> (question: Question, first: String, second: String) {
    let parts = try #require(
      text.wholeMatch(of: /(.*)\nfirst answer : (.*) \.\nsecond answer : (.*) \.\njudge both \.\n?/)
    )
    let question = try #require(Question(parsing: String(parts.1)), "\(parts.1)")
    return (question, String(parts.2), String(parts.3))
  }

  @Test("hold no word that the world's tokenizer does not know")
  func vocabulary() throws {
    let texts = try worldPrompts()
    let tokenizer = try worldTokenizer(prompts: texts)
    let unknown = try #require(tokenizer.controlToken("<unk>"))
    let writer = LessonWriter(prompts: try PromptSet(replacing: texts), seed: 9)
    let mix = TeacherMix(answers: 3, judgements: 3, newQuestions: 3, captions: 1)
    for index in 0..<UInt64(300) {
      for item in writer.teacherLesson(index, items: 10, mix: mix).items {
        for text in [item.question, item.answer] {
          let tokens = tokenizer.encode(text)
          #expect(!tokens.contains(unknown), "\(text)")
          #expect(tokenizer.decode(tokens) == text.replacing("\n", with: " "))
        }
      }
    }
  }
}

/// The prompts that are shipped with the world's models.
func worldPrompts() throws -> [PromptRole: String] {
  let folder = repository.appending(path: "Examples/shapes/prompts")
  var texts: [PromptRole: String] = [:]
  for role in PromptRole.allCases {
    texts[role] = try String(contentsOf: folder.appending(path: role.fileName), encoding: .utf8)
  }
  return texts
}
