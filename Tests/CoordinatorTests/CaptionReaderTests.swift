import Distillation
import Domain
import Foundation
import Hashing
import Logging
import Testing

@testable import Coordinator
@testable import Settings

@Suite("The pairs of stage 1")
struct CaptionReaderTests {
  /// Five captions; the picture of the fourth is not there.
  private static let captions = [
    "a red dog", "the red dog", "one red dog", "another red dog", "a green cat",
  ]

  /// What a reader with this source of noun phrases takes, and what it said.
  private func pairs(_ source: NounPhraseSource) throws -> (taken: [CaptionPair], said: [String]) {
    let folder = NSTemporaryDirectory() + "captions-\(UUID().uuidString)"
    defer { try? FileManager.default.removeItem(atPath: folder) }
    try FileManager.default.createDirectory(
      atPath: folder + "/images", withIntermediateDirectories: true)
    var records: [[String: String]] = []
    for (number, caption) in Self.captions.enumerated() {
      records.append(["image": "\(number).png", "caption": caption])
      if number == 3 { continue }
      try Data("picture \(number)".utf8).write(to: URL(filePath: "\(folder)/images/\(number).png"))
    }
    try JSONEncoder().encode(records).write(to: URL(filePath: folder + "/captions.json"))
    var data = DataSettings(instructions: folder + "/none.json", images: folder + "/images")
    data.captions = folder + "/captions.json"
    var settings = ClusterSettings(
      models: ModelsSettings(
        teacher: ModelSettings(path: "t", conversation: .plain),
        student: ModelSettings(path: "s", conversation: .plain)), data: data)
    settings.nounPhrases = source
    let said = SaidLines()
    let reader = CaptionReader(
      settings: settings, inventory: Inventory(path: folder + "/inventory.tsv"),
      log: Logger(label: "test") { _ in said.handler })
    return (try reader.pairs(), said.lines)
  }

  private func expected(_ numbers: [Int]) -> [CaptionPair] {
    numbers.map {
      CaptionPair(image: Digest(hashing: "picture \($0)".utf8), caption: Self.captions[$0])
    }
  }

  @Test("are those with a noun phrase that three captions have, if their picture is there")
  func builtin() throws {
    let (taken, said) = try pairs(.builtin)
    #expect(taken == expected([0, 1, 2]))
    #expect(said.contains { $0.contains("record 4") && $0.contains("3.png") })
    #expect(said.contains { $0.contains("the built-in chunker") && $0.contains("4 of 5 captions") })
  }

  @Test("follow the phrases of the configured process, where there is one")
  func process() throws {
    // The cat's caption has the phrase of three others, the third dog's has none that counts.
    let command = """
      while read -r line; do case "$line" in
      one*) echo '["alone"]';; *) echo '["Beast "]';; esac; done
      """
    let (taken, said) = try pairs(.spacy(command: command))
    #expect(taken == expected([0, 1, 4]))
    #expect(said.contains { $0.contains("while read") })
  }
}
