import Datasets
import Domain
import Foundation
import TestSupport
import Testing

@Suite("An examination")
struct EvaluationSetTests {
  let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  @Test("of short answers is JSON Lines")
  func exactMatch() throws {
    let file = try folder.write(
      "set.jsonl",
      """
      {"image": "1.png", "question": "<image>\\nHow many?", "answer": "3", "category": "counting"}
      {"id": "b", "question": "Why?", "answer": "so"}
      """)
    let set = try readEvaluation(.exactMatch, at: file)
    #expect(
      set
        == EvaluationSet(
          imageFolder: folder.path,
          items: [
            EvaluationItem(
              name: "1", image: "1.png", question: "How many?", expected: .exact("3"),
              categories: ["counting"]),
            EvaluationItem(
              name: "b", image: nil, question: "Why?", expected: .exact("so"), categories: []),
          ]))
    #expect(try readEvaluation(.exactMatch, at: file, images: "/p").imageFolder == "/p")
    let bad = try folder.write("bad.jsonl", "{\"question\": \"a\", \"answer\": \" \"}")
    #expect(
      throws: DataProblem(file: bad, record: 1, line: 1, .missing("answer"))
    ) { try readExactMatch(at: bad) }
  }

  @Test("of ScienceQA in lines takes its columns from meta, or from problems.json beside it")
  func scienceQALines() throws {
    try folder.write(
      "test_3.jsonl",
      """
      {"id": "1", "question": "<image>\\nContext: It is big.\\nWhich?\\nA. a\\nB. b",\
       "answer": "B", "image": "images/1.jpg", "meta": {"subject": "natural science", "grade": "grade8"}}
      {"id": "2", "question": "Which?\\nA. a\\nB. b,\\nc\\nC. d", "answer": "A"}
      {"id": "3", "question": "Context: N/A\\nWhich?\\nA. a\\nB. b", "answer": "A"}
      """)
    try folder.write(
      "problems.json",
      """
      {"2": {"question": "Which?", "choices": ["a", "b", "c"], "answer": 0, "hint": "",
        "image": null, "grade": "grade6", "subject": "language science", "split": "test"}}
      """)
    let items = try readEvaluation(.scienceQA, at: folder.path).items
    #expect(
      items.map(\.categories) == [["NAT", "TXT", "IMG", "G7-12"], ["LAN", "NO", "G1-6"], ["NO"]])
    #expect(items[0].expected == .choice(letter: "B", choices: ["a", "b"]))
    #expect(items[0].question == "Context: It is big.\nWhich?\nA. a\nB. b")
    #expect(items[1].expected == .choice(letter: "A", choices: ["a", "b,\nc", "d"]))
    let bad = try folder.write(
      "b.jsonl", "{\"id\": \"1\", \"question\": \"Which?\\nA. a\\nB. b\", \"answer\": \"C\"}")
    #expect(throws: DataProblem.self) { try readScienceQA(at: bad) }
  }

  @Test("of ScienceQA in its own layout is the split test, in the order of the ids")
  func scienceQAProblems() throws {
    func problem(_ split: String, hint: String = "", image: String = "null") -> String {
      """
      {"question": "Which?", "choices": ["a", "b"], "answer": 1, "hint": "\(hint)",
       "image": \(image), "grade": "grade2", "subject": "social science", "split": "\(split)"}
      """
    }
    try folder.write(
      "problems.json",
      "{\"10\": \(problem("test")), \"3\": \(problem("train")), "
        + "\"9\": \(problem("test", hint: "Look.", image: "\"image.png\""))}")
    let items = try readEvaluation(.scienceQA, at: folder.path).items
    #expect(items.map(\.name) == ["9", "10"])
    #expect(items[0].question == "Context: Look.\nWhich?\nA. a\nB. b")
    #expect(items[0].image == "test/9/image.png")
    #expect(items[0].categories == ["SOC", "TXT", "IMG", "G1-6"])
    #expect(items[1].categories == ["SOC", "NO", "G1-6"])
    #expect(items[1].expected == .choice(letter: "B", choices: ["a", "b"]))
  }

  @Test("of SEED-Bench is its questions about pictures, with the paper's columns")
  func seedBench() throws {
    func question(_ id: Int, _ type: Int, data: String = "image", answer: String = "C") -> String {
      """
      {"question_id": "\(id)", "data_type": "\(data)", "data_id": "1_2", "question": "Which?",
       "choice_a": "a", "choice_b": "b", "choice_c": "c", "choice_d": "d", "answer": "\(answer)",
       "question_type_id": \(type)}
      """
    }
    let file = try folder.write(
      "SEED-Bench.json",
      "{\"questions\": [\(question(1, 1)), \(question(2, 10, data: "video")), \(question(3, 9))]}")
    let set = try readEvaluation(.seedBench, at: folder.path)
    #expect(set.items.map(\.categories) == [["SUG"], ["TRN"]])
    #expect(set.items[0].question.hasPrefix("Which?\nA. a\nB. b\nC. c\nD. d\n"))
    #expect(set.items[0].expected == .choice(letter: "C", choices: ["a", "b", "c", "d"]))
    #expect(set.items[0].image == "1_2")
    #expect(set.imageFolder == folder.path + "/SEED-Bench-image")
    try folder.write("SEED-Bench.json", "{\"questions\": [\(question(1, 1, answer: "E"))]}")
    #expect(throws: DataProblem.self) { try readSEEDBench(at: file) }
  }

  @Test("of ScienceQA's test split has 4,241 questions", .needs(.data))
  func realScienceQA() throws {
    let set = try readEvaluation(.scienceQA, at: Provision.data.path("scienceqa"))
    #expect(set.items.count == 4241)
    #expect(set.items.filter { $0.categories.contains("IMG") }.count == 2017)
    #expect(set.items.filter { $0.categories.contains("NAT") }.count == 186)
    #expect(
      set.items.allSatisfy { item in
        if case .choice(_, let choices) = item.expected { choices.count >= 2 } else { false }
      })
  }

  @Test("of LLaVA's test set has 90 questions with references", .needs(.data))
  func realLLaVA() throws {
    let set = try readEvaluation(.llavaTest, at: Provision.data.path("llava_text"))
    #expect(set.items.count == 90)
    for column in ["Con", "CR", "DD"] {
      #expect(set.items.filter { $0.categories == [column] }.count == 30)
    }
  }

  @Test("of ScienceQA becomes a pool of its questions with pictures")
  func converted() throws {
    try folder.write(
      "test.jsonl",
      """
      {"id": "1", "question": "<image>\\nWhich?\\nA. a\\nB. b", "answer": "B", "image": "i/1.jpg"}
      {"id": "2", "question": "Which?\\nA. a\\nB. b", "answer": "A"}
      {"id": "3", "question": "Who?\\nA. a\\nB. b", "answer": "A", "image": "i/3.jpg"}
      """)
    let output = folder.path + "/pool.json"
    #expect(try convertScienceQA(at: folder.path, to: output) == 2)
    let found = try InstructionFile(output).map { try $0.get() }
    #expect(found.map(\.name) == ["1", "3"])
    #expect(found.map(\.image) == ["i/1.jpg", "i/3.jpg"])
    #expect(found[0].questions == ["Which?\nA. a\nB. b"])
    #expect(found[0].task.name == "science question with choices")
    #expect(try String(contentsOfFile: output, encoding: .utf8).contains("answer") == false)
    #expect(try convertScienceQA(at: folder.path, to: output, limit: 1) == 1)
  }
}
