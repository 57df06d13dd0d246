import Distillation
import Domain
import Formats
import Foundation
import Shapes
import TestSupport
import Testing

@testable import ShapesTraining

@Suite("The world's data on disk")
struct WorldDataTests {
  private struct Record: Decodable {
    struct Message: Decodable {
      var from: String
      var value: String
    }
    var id: String
    var image: String
    var type: String
    var scene: String
    var conversations: [Message]
  }
  private struct Item: Decodable {
    var image: String
    var question: String
    var answer: String
    var category: String
    var scene: String
  }

  @Test("asks what the oracle answers, about pictures that show the scene beside them")
  func data() throws {
    let folder = try TemporaryFolder()
    try writeWorldData(
      folder: folder.path, split: .run, scenes: 6, captions: 5, evaluation: 1, questions: 4, seed: 2
    )
    func read(_ name: String) throws -> Data {
      try Data(contentsOf: URL(filePath: folder.path(name)))
    }
    let records = try JSONDecoder().decode([Record].self, from: read("instructions.json"))
    #expect(Set(records.map(\.image)).count == 6)
    #expect(Set(records.map(\.id)).count == records.count)
    for record in records {
      let scene = try #require(Scene(code: record.scene))
      #expect(scene.split == .run)
      #expect(Array(try read("images/" + record.image)) == scene.drawing().png)
      #expect(record.conversations.map(\.from).prefix(2) == ["human", "gpt"])
      for pair in stride(from: 0, to: record.conversations.count, by: 2) {
        let text = record.conversations[pair].value.replacing("<image>\n", with: "")
        let question = try #require(Question(parsing: text), "\(text)")
        let truth = scene.answer(to: question.query)?.text
        #expect(record.conversations[pair + 1].value == truth)
        #expect(question.query.kind.task.name == record.type)
      }
    }
    let lines = String(decoding: try read("evaluation.jsonl"), as: UTF8.self).split(
      separator: "\n")
    let items = try lines.map { try JSONDecoder().decode(Item.self, from: Data($0.utf8)) }
    #expect(items.count == QuestionKind.allCases.count)
    #expect(Set(items.map(\.category)).count == 9)
    for item in items {
      let scene = try #require(Scene(code: item.scene))
      #expect(scene.split == .evaluation)
      let question = try #require(Question(parsing: item.question))
      #expect(scene.score(item.answer, to: question.query) == 10)
    }
  }

  @Test("is guessed blindly by the most frequent answer")
  func blind() {
    let guesser = BlindGuesser(perKind: 200, seed: 1)
    let items = examination(from: .evaluation, perKind: 40, seed: 1)
    let result = graded(items, items.map { guesser.answer(to: $0.exercise.question) })
    #expect((15...55).contains(result.mean), "\(result.mean)")
    #expect(result[.interaction].accuracy > result[.attributes].accuracy)
  }
}
