import Domain
import Foundation
import Shapes
import Testing

@testable import CommandLineTool

/// A folder that is gone with its test.
final class Scratch {
  let folder = FileManager.default.temporaryDirectory.appendingPathComponent(
    "comd-\(UUID().uuidString)")

  init() throws {
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
  }

  deinit { try? FileManager.default.removeItem(at: folder) }

  func path(_ name: String) -> String { folder.appendingPathComponent(name).path }

  /// Writes a file and gives its path.
  func file(_ name: String, _ text: String) throws -> String {
    try Data(text.utf8).write(to: folder.appendingPathComponent(name))
    return path(name)
  }
}

@Suite("What people hand in")
struct FileTests {
  let scratch: Scratch

  init() throws { scratch = try Scratch() }

  @Test("as predictions may name question and answer in two ways")
  func predictions() throws {
    let file = try scratch.file(
      "p.jsonl", "{\"id\": 7, \"answer\": \"A\"}\n\n{\"question_id\": \"x\", \"text\": \"B\"}\n")
    #expect(try readPredictions(file) == ["7": "A", "x": "B"])
    let wrong = try scratch.file("w.jsonl", "{\"id\": 7, \"answer\": \"A\"}\n{\"id\": 8}\n")
    let error = #expect(throws: CommandError.self) { try readPredictions(wrong) }
    #expect(error?.description.contains("line 2") == true)
  }

  @Test("as an examination with predictions is scored, and without them is not available")
  func evaluation() async throws {
    let questions = try scratch.file(
      "q.jsonl",
      "{\"id\": \"a\", \"question\": \"1?\", \"answer\": \"red\"}\n"
        + "{\"id\": \"b\", \"question\": \"2?\", \"answer\": \"two\"}\n")
    let predictions = try scratch.file("p.jsonl", "{\"id\": \"a\", \"answer\": \"Red.\"}\n")
    let words = ["eval", "exact-match", "--data", questions]
    let scored = try ComdProcess(
      words + ["--predictions", predictions, "--json"], in: scratch.folder.path)
    let end = await scored.end()
    #expect(end.status == 0)
    struct Score: Decodable { var items, correct: Int }
    let score = try JSONDecoder().decode(Score.self, from: Data(end.output.utf8))
    #expect(score.items == 2)
    #expect(score.correct == 1)
    #expect(await execute(words) == .usage)
    #expect(await execute(["eval", "exact-match", "--predictions", predictions]) == .usage)
  }

  @Test("as conversations must alternate; the picture's place is kept")
  func conversations() throws {
    let file = try scratch.file(
      "c.json",
      """
      [{"image": "a.png", "conversations": [
         {"from": "human", "value": "What is it?\\n<image>"}, {"from": "gpt", "value": "A cat."},
         {"from": "human", "value": "Which?"}, {"from": "gpt", "value": "That."}]},
       {"conversations": [
         {"from": "human", "value": "Hello"}, {"from": "gpt", "value": "Hi"}]}]
      """)
    let picture = try #require(Digest(hex: String(repeating: "ab", count: 32)))
    let read = try readConversations(file, image: picture)
    #expect(
      read == [
        Conversation(
          image: picture, placement: .afterQuestion,
          turns: [
            Turn(question: "What is it?", answer: "A cat."),
            Turn(question: "Which?", answer: "That."),
          ]),
        Conversation(
          image: nil, placement: .beforeQuestion, turns: [Turn(question: "Hello", answer: "Hi")]),
      ])
    let wrong = try scratch.file(
      "w.json", "[{\"conversations\": [{\"from\": \"gpt\", \"value\": \"Hi\"}]}]")
    let error = #expect(throws: CommandError.self) { try readConversations(wrong, image: nil) }
    #expect(error?.description.contains("record 1") == true)
  }

  @Test("as captions is filtered: those whose every noun phrase is rare are left out")
  func captions() async throws {
    var lines = (1...4).map { "p\($0).jpg,A red dog on the beach \($0)." }
    lines.insert("rare.jpg,A purple cathedral under seven moons.", at: 2)
    let input = try scratch.file(
      "captions.csv", (["image,caption"] + lines).joined(separator: "\n") + "\n")
    let out = scratch.path("out.json")
    #expect(await execute(["data", "captions", "--in", input, "--out", out]) == .done)
    struct Pair: Decodable { var image: String }
    let pairs = try JSONDecoder().decode([Pair].self, from: Data(contentsOf: URL(filePath: out)))
    #expect(pairs.map(\.image) == ["p1.jpg", "p2.jpg", "p3.jpg", "p4.jpg"])
  }

  @Test("as a run's folder is reported as text and as one HTML file")
  func report() async throws {
    _ = try scratch.file("report.json", exampleReport)
    let html = scratch.path("page/report.html")
    let words = ["report", "--dir", scratch.folder.path, "--html", html]
    let shown = await (try ComdProcess(words, in: scratch.folder.path)).end()
    #expect(shown.status == 0)
    #expect(shown.output.contains("1500 accepted in 1510 attempts"))
    #expect(shown.output.contains("counting_all"))
    let page = String(decoding: FileManager.default.contents(atPath: html) ?? Data(), as: UTF8.self)
    #expect(page.contains("<h1>demo &lt;1&gt;</h1>"))
  }
}

@Suite("A measurement")
struct MeasurementTests {
  @Test("has the middle of its runs as its value")
  func middle() {
    #expect(median(ofSorted: []) == 0)
    #expect(median(ofSorted: [3]) == 3)
    #expect(median(ofSorted: [1, 2, 9]) == 2)
    #expect(median(ofSorted: [1, 2, 4, 9]) == 3)
  }

  @Test("counts the operations of SmolLM2-135M as its parameters say")
  func operations() {
    let config = BenchShape.smolLM2.config
    // 2 × (106.2 M in matrices + 28.3 M in the output) for one token, attention left out.
    let one = config.forwardOperations(length: 1, logits: 1)
    #expect(abs(one / 2 - 134.5e6) < 0.2e6)
    let twice = config.forwardOperations(length: 2, logits: 2)
    #expect(twice > 2 * one && twice < 2.001 * one)
  }

  @Test("reads the same tokens every time, all of the vocabulary")
  func tokens() {
    let tokens = benchTokens(512, vocabulary: 1_000, seed: 3)
    #expect(tokens == benchTokens(512, vocabulary: 1_000, seed: 3))
    #expect(tokens != benchTokens(512, vocabulary: 1_000, seed: 4))
    #expect(tokens.allSatisfy { (0..<1_000).contains($0) })
    #expect(Set(tokens).count > 300)
  }
}

@Suite("A picture in the terminal")
struct PictureTests {
  @Test("has two pixels a character and ends its colours on every line")
  func blocks() {
    var random = SeededRandom(seed: 1)
    let lines = colourBlocks(Scene.sample(from: .run, using: &random).drawing())
      .split(separator: "\n")
    #expect(lines.count == Drawing.side / 2)
    #expect(lines.allSatisfy { $0.filter { $0 == "▀" }.count == Drawing.side })
    #expect(lines.allSatisfy { $0.hasSuffix("\u{1b}[0m") })
  }
}
