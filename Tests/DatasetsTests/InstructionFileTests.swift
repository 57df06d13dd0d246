import Datasets
import Domain
import Foundation
import TestSupport
import Testing

@Suite("An instruction file")
struct InstructionFileTests {
  let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  private func records(_ text: String) throws -> [InstructionRecord] {
    try InstructionFile(folder.write("a.json", text)).map { try $0.get() }
  }

  private func problems(_ text: String) throws -> [DataProblem] {
    try InstructionFile(folder.write("a.json", text)).compactMap {
      if case .failure(let problem) = $0 { problem } else { nil }
    }
  }

  @Test("in LLaVA's form gives its questions, without answers and without placeholders")
  func llava() throws {
    let found = try records(
      """
      [ {"id": "7", "image": "a.jpg", "conversations": [
          {"from": "human", "value": "<image>\\nWhat is it?"}, {"from": "gpt", "value": "A dog."},
          {"from": "human", "value": "And \\"this\\"?\\n"}, {"from": "gpt", "value": "{ [ a cat"}]},
        {"id": 8, "conversations": [{"from": "human", "value": "Hello"}]},
        {"image": "b/c.png", "type": "conv",
         "conversations": [{"from": "human", "value": "Where?\\n<image>"}]}
      ]
      """)
    #expect(found.map(\.questions) == [["What is it?", "And \"this\"?"], ["Hello"], ["Where?"]])
    #expect(found.map(\.image) == ["a.jpg", nil, "b/c.png"])
    #expect(found.map(\.name) == ["7", "8", "3"])
    #expect(found.map(\.number) == [1, 2, 3])
    #expect(found.map(\.line) == [1, 4, 5])
    #expect(found.map(\.task) == [.conversation, .conversation, .conversation])
  }

  @Test("may be JSON Lines, and flat")
  func lines() throws {
    let found = try records(
      """
      \u{feff}{"question_id": 3, "image": "a.jpg", "text": "One?", "category": "detail"}

      {"id": "complex_77k_1", "question": "Two?", "answer": "dropped"}
      {"instruction": "Three?", "type": "counting"}
      """)
    #expect(found.map(\.questions) == [["One?"], ["Two?"], ["Three?"]])
    #expect(found.map(\.name) == ["3", "complex_77k_1", "3"])
    #expect(found.map(\.task) == [.detail, .complexReasoning, TaskType("counting")])
  }

  @Test("tells every bad record with its number and line, and reads the others")
  func bad() throws {
    let text = """
      [{"id": "1", "conversations": [{"from": "human", "value": "ok"}]},
      {"id": "2"},
      {"id": "3", "conversations": [{"from": "human", "value": " <image> "}], "image": "a.jpg"},
      {"id": "4", "conversations": [{"from": "human", "value": "<image>\\nWhat?"}]},
      {"id": "5", "conversations": [{"from": "robot", "value": "What?"}]},
      {"id": "6", "conversations": [{"from": "gpt", "value": "What?"}]},
      {"id": "7", "conversations": [{"from": "human"}]},
      {"id": "8", "conversations": 5},
      {"id": "9", "conversations": nothing},
      {"id": "10", "conversations": [{"from": "human", "value": "ok"}]}]
      """
    let found = try problems(text)
    #expect(found.map(\.record) == [2, 3, 4, 5, 6, 7, 8, 9])
    #expect(found.map(\.line) == [2, 3, 4, 5, 6, 7, 8, 9])
    #expect(found[0].kind == .missing("conversations"))
    #expect(found[1].kind == .emptyQuestion(turn: 1))
    #expect(found[2].kind == .placeholderWithoutImage)
    #expect(found[3].kind == .unexpected("conversations[0].from \"robot\"", "human or gpt"))
    #expect(found[4].kind == .missing("a question in conversations"))
    #expect(found[5].kind == .missing("conversations[0].value"))
    if case .unexpected("conversations", _) = found[6].kind {
    } else {
      Issue.record("\(found[6])")
    }
    if case .notJSON = found[7].kind {} else { Issue.record("\(found[7])") }
    let file = folder.path + "/a.json"
    #expect(
      found[0].description
        == "\(file), record 2, line 2: lacks conversations, or it is empty: add it")
    #expect(
      InstructionFile(file).filter { if case .success = $0 { true } else { false } }.count == 2)
  }

  @Test(
    "that is broken as a whole ends with one problem",
    arguments: [
      ("", "holds no records"), (" []", "holds no records"), ("\"a\"", "an array or an object"),
      ("[1]", "an object expected"), ("{\"question\": \"a\"} x", "an object expected"),
      ("[{\"question\": \"a\"} {\"question\": \"b\"}]", "a comma"),
      ("[{\"question\": \"a\"}", "a comma"), ("[{\"question\": \"a\"},]", "an object expected"),
      ("[{\"question\": \"a}]", "ends within the record"),
    ])
  func broken(text: String, reason: String) throws {
    let found = try problems(text)
    #expect(found.count == 1)
    #expect(found.first?.description.contains(reason) == true, "\(found)")
  }

  @Test("that is not there says so")
  func missing() {
    let found = InstructionFile("/nowhere/a.json").map { $0 }
    guard case .failure(let problem)? = found.first, case .unreadable = problem.kind else {
      Issue.record("unreadable expected")
      return
    }
    #expect(found.count == 1)
  }

  @Test("gives the same records whatever falls on the border of two reads")
  func borders() throws {
    // Reads are a mebibyte: the quotes, escapes and letters of two bytes shift over the border.
    for shift in [0, 1, 2, 3, 5, 7] {
      let filler = String(repeating: "é\\\"", count: 262_140) + String(repeating: "x", count: shift)
      let found = try records(
        "[{\"question\": \"\(filler)\"}, {\"question\": \"last\"}]")
      #expect(found.count == 2)
      #expect(found[0].questions[0].utf8.count == 262_140 * 3 + shift)
      #expect(found[1].questions == ["last"])
    }
  }

  @Test("reads ScienceQA's questions as they come", .needs(.data))
  func scienceQA() throws {
    let file = try Provision.data.path("scienceqa/test_4241.jsonl")
    let found = try InstructionFile(file).map { try $0.get() }
    #expect(found.count == 4241)
    #expect(found.filter { $0.image != nil }.count == 2017)
    #expect(found.allSatisfy { !$0.questions[0].contains("<image>") })
  }
}
