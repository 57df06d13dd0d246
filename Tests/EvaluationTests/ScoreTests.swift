import Datasets
import Domain
import Evaluation
import Foundation
import TestSupport
import Testing

@Suite("A score")
struct ScoreTests {
  private func item(_ expected: ExpectedAnswer, _ categories: [String]) -> EvaluationItem {
    EvaluationItem(
      name: "", image: nil, question: "?", expected: expected, categories: categories)
  }

  @Test("counts right answers in all and for each category of an item")
  func counted() {
    let items = [
      item(.exact("3"), ["counting"]), item(.exact("red"), ["colour", "all"]),
      item(.choice(letter: "B", choices: ["x", "y"]), ["counting", "all"]),
      item(.reference("long"), ["all"]),
    ]
    let found = score(
      ["three", nil, "B.", "long"], to: items, subject: .studentBlind, set: 1, iteration: 2)
    #expect(
      found
        == EvaluationScore(
          subject: "student-blind", set: 1, iteration: 2, items: 3, correct: 2,
          categories: [
            CategoryScore(name: "all", items: 2, correct: 1),
            CategoryScore(name: "colour", items: 1, correct: 0),
            CategoryScore(name: "counting", items: 2, correct: 2),
          ]))
    #expect(accuracy(items: 3, correct: 2) == 200.0 / 3)
    #expect(accuracy(items: 0, correct: 0) == nil)
  }

  @Test("relative to a reference is the ratio of the sums, in percent")
  func relative() {
    let pairs = [ScorePair(teacher: 10, student: 8), ScorePair(teacher: 6, student: 8)]
    #expect(relativeScore(pairs) == 100)
    #expect(relativeScore([ScorePair(teacher: 8, student: 6)]) == 75)
    #expect(relativeScore([]) == nil)
  }

  @Test("is shown in the paper's columns, a dash where nothing was asked")
  func table() {
    let one = EvaluationScore(
      subject: "student", set: 0, iteration: 1, items: 3, correct: 2,
      categories: [
        CategoryScore(name: "IMG", items: 1, correct: 1),
        CategoryScore(name: "NAT", items: 3, correct: 2),
      ])
    let table = accuracyTable(
      [("iteration 1", one)], columns: paperColumns(of: .scienceQA))
    #expect(
      table == """
        Method         NAT  SOC  LAN  TXT     IMG  NO  G1-6  G7-12  Average
        -------------------------------------------------------------------
        iteration 1  66.67    -    -    -  100.00   -     -      -    66.67

        """)
    #expect(
      accuracyTable([("a", one)]).hasPrefix("Method     IMG    NAT  Average\n"))
    #expect(renderTable([]) == "")
  }

  @Test(
    "of LLaVA-13B's own ScienceQA answers is the accuracy it is known for",
    .needs(.data))
  func llava() throws {
    struct Line: Decodable {
      var answer: String
      enum CodingKeys: String, CodingKey { case answer = "llava13b_sqa_output" }
    }
    let folder = try Provision.data.path("scienceqa")
    let items = try readEvaluation(.scienceQA, at: folder).items
    let text = try String(contentsOfFile: folder + "/test_4241.jsonl", encoding: .utf8)
    let answers = try text.split(whereSeparator: \.isNewline).map {
      try JSONDecoder().decode(Line.self, from: Data($0.utf8)).answer
    }
    let found = score(answers, to: items, subject: .teacher, set: 0, iteration: 0)
    // Liu et al. 2023 report 90.92 % for this model; found here: 3863 of 4241.
    let percent = try #require(accuracy(items: found.items, correct: found.correct))
    #expect(found.items == 4241)
    #expect((90.9...91.3).contains(percent))
  }
}
