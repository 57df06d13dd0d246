import Foundation
import Settings
import Testing

@testable import Coordinator

@Suite("A process that finds noun phrases")
struct PhraseExtractorTests {
  private func extractor(_ command: String) throws -> PhraseExtractor {
    try PhraseExtractor(.spacy(command: command))
  }

  @Test("is asked a line a caption, and its phrases are lower-cased and trimmed")
  func phrases() throws {
    let extractor = try extractor(
      #"while read -r a b; do echo "[\"The $a \", \"\", \"$b\"]"; done"#)
    // More captions than a pipe holds at once, and one with a line break of its own.
    let many = [String](repeating: "one Two", count: 20_000)
    #expect(try extractor.phrases(of: many) == many.map { _ in ["the one", "two"] })
    #expect(
      try extractor.phrases(of: ["red\ndog", "a b"]) == [["the red", "dog"], ["the a", "b"]])
    try extractor.finish()
  }

  @Test("that answers no JSON array, ends too early or fails is told with its command and reason")
  func useless() throws {
    func reason(_ command: String) throws -> String {
      let error = #expect(throws: PhraseExtractorError.self) {
        let extractor = try extractor(command)
        _ = try extractor.phrases(of: ["a dog", "a cat"])
        try extractor.finish()
      }
      #expect(error?.description.contains("noun_phrases: `\(command)`") == true)
      return error?.what ?? ""
    }
    #expect(try reason("while read -r line; do echo nonsense; done").contains("nonsense"))
    #expect(try reason("read -r line; echo '[\"dog\"]'") == "it ended too early")
    #expect(try reason("while read -r line; do echo '[]'; done; exit 3") == "it ended with 3")
    #expect(try reason("exit 1") == "it ended too early")
  }
}
