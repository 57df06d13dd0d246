import Datasets
import Domain
import Foundation
import TestSupport
import Testing

@Suite("A file of dialogues")
struct ConversationFileTests {
  let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  private func read(_ text: String) throws -> [Result<ConversationRecord, DataProblem>] {
    try Array(ConversationFile(folder.write("a.json", text)))
  }

  @Test("gives questions with their answers, and where the picture stands")
  func turns() throws {
    let found = try read(
      """
      [{"image": "a.jpg", "conversations": [
         {"from": "system", "value": "Be kind."},
         {"from": "human", "value": "<image>\\nWhat is it?"}, {"from": "gpt", "value": " A dog. "},
         {"from": "user", "value": "Why?"}, {"from": "assistant", "value": "It barks."}]},
       {"image": "b.png", "conversations": [
         {"from": "human", "value": "Where?\\n<image>"}, {"from": "gpt", "value": "There."}]},
       {"conversations": [
         {"from": "human", "value": "Hello"}, {"from": "gpt", "value": "Hello!"}]}]
      """
    ).map { try $0.get() }
    #expect(
      found.map(\.turns) == [
        [
          Turn(question: "What is it?", answer: "A dog."),
          Turn(question: "Why?", answer: "It barks."),
        ], [Turn(question: "Where?", answer: "There.")],
        [Turn(question: "Hello", answer: "Hello!")],
      ])
    #expect(found.map(\.image) == ["a.jpg", "b.png", nil])
    #expect(
      found.map(\.placement) == [.beforeQuestion, .afterQuestion, .beforeQuestion])
    #expect(found.map(\.number) == [1, 2, 3] && found.map(\.line) == [1, 5, 7])
  }

  @Test(
    "tells a record that is no dialogue",
    arguments: [
      (#"{"question": "What?"}"#, .missing("conversations")),
      (#"{"conversations": []}"#, .missing("a question in conversations")),
      (
        #"{"conversations": [{"from": "human", "value": "What?"}]}"#,
        .missing("the last answer in conversations")
      ),
      (
        #"{"conversations": [{"from": "gpt", "value": "Well."}]}"#,
        .unexpected(#"conversations[0].from "gpt""#, "human")
      ),
      (
        #"""
        {"conversations": [{"from": "human", "value": "A?"}, {"from": "human", "value": "B?"}]}
        """#, .unexpected(#"conversations[1].from "human""#, "gpt")
      ),
      (
        #"{"conversations": [{"from": "human", "value": " "}, {"from": "gpt", "value": "B"}]}"#,
        .emptyQuestion(turn: 1)
      ),
      (
        #"{"conversations": [{"from": "human", "value": "A"}, {"from": "gpt", "value": " "}]}"#,
        .emptyAnswer(turn: 1)
      ),
      (
        #"""
        {"conversations": [{"from": "human", "value": "<image> A"}, {"from": "gpt", "value": "B"}]}
        """#, .placeholderWithoutImage
      ),
    ] as [(String, DataProblem.Kind)])
  func bad(_ text: String, _ kind: DataProblem.Kind) throws {
    let found = try read(text)
    #expect(found.count == 1)
    #expect(throws: DataProblem(file: folder.path + "/a.json", record: 1, line: 1, kind)) {
      try found[0].get()
    }
  }
}
