import Distillation
import Testing

@Suite("The caption filter")
struct CaptionFilterTests {
  private func filter(_ captions: [[String]]) -> CaptionFilter {
    var filter = CaptionFilter()
    for phrases in captions { filter.add(phrases: phrases) }
    return filter
  }

  @Test("drops phrases of fewer than three captions, and goes from the rarest up")
  func byHand() {
    // dog ×4, cat ×3, owl ×2; a caption that says dog twice counts once.
    let captions = [
      ["dog"], ["owl"], ["cat", "dog"], ["dog", "dog"], ["owl", "cat"], ["dog"], [], ["cat"],
    ]
    let selection = filter(captions).select(seed: 1)
    #expect(
      selection
        == CaptionSelection(
          taken: [2, 4, 7, 0, 3, 5], captions: 8, phrases: 3, phrasesKept: 2, phrasesDrawn: 0))
  }

  @Test("takes phrases of one frequency in the order of their text")
  func ties() {
    let captions = [["b"], ["a"], ["b"], ["a"], ["b"], ["a"]]
    #expect(filter(captions).select(seed: 1).taken == [1, 3, 5, 0, 2, 4])
  }

  @Test("draws a subset of a frequent phrase, from its seed, each caption once")
  func subset() {
    let captions = (0..<1000).map { $0 % 2 == 0 ? ["dog"] : ["cat\($0 % 500)"] }
    let selection = filter(captions).select(seed: 1)
    #expect(selection.taken.count == 100)
    #expect(selection.taken.allSatisfy { $0 % 2 == 0 })
    #expect(Set(selection.taken).count == 100)
    #expect(selection.phrasesDrawn == 1)
    #expect(filter(captions).select(seed: 1) == selection)
    #expect(filter(captions).select(seed: 2).taken != selection.taken)
  }

  @Test("takes all captions of a phrase that has exactly the most allowed")
  func boundary() {
    #expect(
      filter(Array(repeating: ["dog"], count: 100)).select(seed: 1).taken == Array(0..<100))
    #expect(filter(Array(repeating: ["dog"], count: 101)).select(seed: 1).taken.count == 100)
  }

  @Test("stops at a limit")
  func limited() {
    let captions = [["a"], ["b"], ["a"], ["b"], ["a"], ["b"], ["b"]]
    #expect(filter(captions).select(seed: 1, limit: 4).taken == [0, 2, 4, 1])
    #expect(filter(captions).select(seed: 1, limit: 0).taken.isEmpty)
    #expect(filter([]).select(seed: 1).taken.isEmpty)
  }
}

@Suite("The built-in noun phrases")
struct NounPhraseTests {
  @Test(
    "are runs of nouns and adjectives without their determiners",
    arguments: [
      (
        "A child in a pink dress is climbing up a set of stairs in an entry way .",
        ["child", "pink dress", "set", "stairs", "entry way"]
      ),
      ("A girl going into a wooden building .", ["girl", "wooden building"]),
      (
        "A little girl climbing the stairs to her playhouse .",
        ["little girl", "stairs", "playhouse"]
      ),
      ("A black dog and a spotted dog are fighting", ["black dog", "spotted dog"]),
      ("a smiling girl on the slide", ["smiling girl", "slide"]),
      ("Two men, one woman.", ["men", "woman"]),
      ("The man's hat", ["man hat"]), ("A well-lit t-shirt", ["well-lit t-shirt"]),
      ("", []), ("...", []), ("He is running", []),
    ])
  func phrases(caption: String, expected: [String]) {
    #expect(nounPhrases(in: caption) == expected)
  }
}
