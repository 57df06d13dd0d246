import Datasets
import Domain
import Foundation
import Hashing
import TestSupport
import Testing

@Suite("The check of the data")
struct DataCheckTests {
  let folder: TemporaryFolder

  init() throws {
    folder = try TemporaryFolder()
    try folder.write("images/good.jpg", jpegStart)
    try folder.write("images/good.png", Data([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]))
    try folder.write("images/text.jpg", "not a picture")
    try folder.write("images/empty.jpg", "")
  }

  @Test("says all that is wrong, with file and record, and counts what is there")
  func everything() throws {
    let instructions = try folder.write(
      "pool.jsonl",
      """
      {"image": "good.jpg", "question": "One?"}
      {"image": "lost.jpg", "question": "One?"}
      {"image": "good.jpg", "question": "One?"}
      {"image": "text.jpg", "question": "Two?"}
      {"image": "../secret.jpg", "question": "Two?"}
      {"image": "good.png", "question": " "}
      {"question": "Two?"}
      """)
    let captions = try folder.write(
      "captions.csv", "image,caption\ngood.png,A dog\nempty.jpg,A dog\ngood.png,A dog\n")
    let dialogues = try folder.write(
      "dialogues.json",
      """
      [{"image": "good.jpg", "conversations": [
         {"from": "human", "value": "One?"}, {"from": "gpt", "value": "1"}]},
       {"conversations": [{"from": "human", "value": "One?"}]}]
      """)
    let report = checkData(
      DataInputs(
        instructions: instructions, captions: captions, conversations: dialogues,
        images: folder.path + "/images",
        evaluations: [.init(.exactMatch, path: folder.path + "/none.jsonl")]))
    #expect(
      report.problems.dropLast() == [
        DataProblem(file: instructions, record: 2, line: 2, .imageMissing("lost.jpg")),
        DataProblem(file: instructions, record: 3, line: 3, .duplicate(of: 1)),
        DataProblem(file: instructions, record: 4, line: 4, .imageFormat("text.jpg")),
        DataProblem(file: instructions, record: 5, line: 5, .imageOutside("../secret.jpg")),
        DataProblem(file: instructions, record: 6, line: 6, .emptyQuestion(turn: 1)),
        DataProblem(file: captions, record: 2, line: 3, .imageFormat("empty.jpg")),
        DataProblem(file: captions, record: 3, line: 4, .duplicate(of: 1)),
        DataProblem(
          file: dialogues, record: 2, line: 3, .missing("the last answer in conversations")),
      ])
    #expect(report.problems.last?.file == folder.path + "/none.jsonl")
    #expect(report.problemCount == 9)
    #expect(report.fatalCount == 7)
    #expect(report.instructionRecords == 6)
    #expect(report.questions == 6)
    #expect(report.captions == 3)
    #expect(report.conversations == 1)
    #expect(report.pictures == 2)
  }

  @Test("keeps so many problems and counts the others")
  func bounded() throws {
    let file = try folder.write(
      "pool.jsonl", String(repeating: "{\"question\": \"\"}\n", count: 50))
    let report = checkData(
      DataInputs(instructions: file, captions: nil, images: folder.path), problemsMax: 10)
    #expect(report.problems.count == 10)
    #expect(report.problemCount == 50)
  }

  @Test("finds nothing wrong with the real sets", .needs(.data))
  func real() throws {
    let data = try Provision.data.path()
    let pool = checkData(
      DataInputs(
        instructions: data + "/scienceqa/test_4241.jsonl", captions: nil,
        images: data + "/scienceqa", evaluations: [.init(.scienceQA, path: data + "/scienceqa")]))
    #expect(pool.fatalCount == 0)
    #expect(pool.pictures == 2017)
    let captions = checkData(
      DataInputs(
        instructions: nil, captions: data + "/flickr8k_1000/captions.txt",
        images: data + "/flickr8k_1000/images"))
    #expect(captions.fatalCount == 0)
    #expect(captions.pictures == 1000)
  }
}

@Suite("A folder of pictures")
struct ImageFolderTests {
  @Test("gives a picture's digest, and says what is wrong with it else")
  func digest() throws {
    let temporary = try TemporaryFolder()
    try temporary.write("a/b.jpg", jpegStart)
    try temporary.write("c.jpg", "text")
    var folder = ImageFolder(temporary.path)
    #expect(try folder.digest(of: "a/b.jpg") == Digest(hashing: jpegStart))
    #expect(try folder.bytes(of: "a/b.jpg") == Array(jpegStart))
    #expect(throws: DataProblem.Kind.imageMissing("d.jpg")) { try folder.digest(of: "d.jpg") }
    #expect(throws: DataProblem.Kind.imageFormat("c.jpg")) { try folder.digest(of: "c.jpg") }
    for name in ["/etc/passwd", "../c.jpg", "a/../../c.jpg"] {
      #expect(throws: DataProblem.Kind.imageOutside(name)) { try folder.digest(of: name) }
    }
    #expect(folder.problem(with: "a/b.jpg") == nil)
    #expect(folder.problem(with: "..") == .imageOutside(".."))
  }
}
