import Distillation
import Domain
import Testing

@Suite("The choice of instructions to augment")
struct AugmentationChoiceTests {
  private func judged(_ number: Int64, difficult: Bool) -> (
    id: InstructionID, assessment: Assessment
  ) {
    (
      InstructionID(number),
      .judged(
        teacherFirst: scores(9, 9), studentFirst: scores(9, 9), difficulty: 0.1,
        difficult: difficult)
    )
  }

  private func assessed(difficult: Int, easy: Int) -> [(id: InstructionID, assessment: Assessment)]
  {
    (0..<difficult).map { judged(Int64(2 * $0 + 1), difficult: true) }
      + (0..<easy).map { judged(Int64(2 * $0 + 2), difficult: false) }
      + [(InstructionID(9999), .unjudged(lastText: "?"))]
  }

  @Test("is all difficult ones and as many easy ones, never an unjudged one")
  func balanced() {
    let choice = chooseForAugmentation(assessed(difficult: 20, easy: 300), seed: 1)
    #expect(choice.difficult.map(\.number) == (0..<20).map { 2 * $0 + 1 })
    #expect(choice.easy.count == 20)
    #expect(Set(choice.easy).count == 20)
    #expect(choice.easy.allSatisfy { $0.number % 2 == 0 })
    #expect(choice.all == choice.all.sorted() && choice.all.count == 40)
  }

  @Test("is all easy ones when there are fewer of them")
  func fewer() {
    let choice = chooseForAugmentation(assessed(difficult: 20, easy: 7), seed: 1)
    #expect(choice.easy.map(\.number) == (0..<7).map { 2 * $0 + 2 })
    #expect(chooseForAugmentation(assessed(difficult: 0, easy: 7), seed: 1).all.isEmpty)
  }

  @Test("follows from the seed and not from the order of the assessments")
  func seeded() {
    let items = assessed(difficult: 20, easy: 300)
    let choice = chooseForAugmentation(items, seed: 1)
    #expect(chooseForAugmentation(items.reversed(), seed: 1) == choice)
    #expect(chooseForAugmentation(items, seed: 2).easy != choice.easy)
  }

  @Test("favours no easy instruction")
  func uniform() {
    let items = assessed(difficult: 5, easy: 50)
    var drawn: [InstructionID: Int] = [:]
    for seed in 0..<2000 {
      for id in chooseForAugmentation(items, seed: UInt64(seed)).easy { drawn[id, default: 0] += 1 }
    }
    // 200 expected each, standard deviation 13.4.
    #expect(drawn.count == 50)
    #expect(drawn.values.allSatisfy { (135...265).contains($0) })
  }
}

@Suite("An augmentor's reply")
struct ProposalCleaningTests {
  @Test(
    "becomes the bare instruction",
    arguments: [
      ("What is it?", "What is it?"), ("  What is it?\n", "What is it?"),
      ("\"What is it?\"", "What is it?"), ("“What is it?”", "What is it?"),
      ("New question: What is it?", "What is it?"), ("QUESTION: \"What?\"", "What?"),
      ("\"Question: What?\"", "What?"), ("Describe it", "Describe it"),
      ("What does \"STOP\" mean?", "What does \"STOP\" mean?"),
      ("\"A\" or \"B\"", "\"A\" or \"B\""), ("这是什么？", "这是什么？"),
    ])
  func cleaned(reply: String, text: String) throws {
    #expect(try cleanProposal(reply, charactersMax: 40) == text)
  }

  @Test("is refused with its reason")
  func refused() {
    func reason(_ reply: String) -> ProposalRejection? {
      do throws(ProposalRejection) {
        _ = try cleanProposal(reply, charactersMax: 20)
        return nil
      } catch { return error }
    }
    #expect(reason("") == .empty)
    #expect(reason(" \n ") == .empty)
    #expect(reason("\"\"") == .empty)
    #expect(reason("Question:") == .empty)
    #expect(reason("What?\nA dog.") == .form("more than one line"))
    #expect(reason("?!") == .form("no letter or digit"))
    #expect(reason(String(repeating: "a", count: 21)) == .form("longer than 20 characters"))
    #expect(reason(String(repeating: "a", count: 20)) == nil)
  }
}
