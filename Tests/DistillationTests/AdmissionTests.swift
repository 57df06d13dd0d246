import Distillation
import Domain
import Testing

@Suite("The admission of new instructions")
struct AdmissionTests {
  let method = Method()

  private func outcomes(_ decisions: [Decision]) -> [ProposalOutcome] { decisions.map(\.outcome) }

  @Test("refuses what repeats an instruction of the same picture, and says which one and how much")
  func tooSimilar() {
    var pools = Pools(imported: [
      draft("What is the man doing here?"), draft("What is the man holding?"),
      draft("Where is the cat?", of: picture(2)),
    ])
    let decisions = admit(
      [
        Proposal(from: InstructionID(1), reply: "What is the man doing?"),
        Proposal(from: InstructionID(2), reply: "Where is the cat?"),
        Proposal(from: InstructionID(3), reply: "What is the man doing?"),
      ], to: &pools, iteration: 1, method: method)
    // 5 of 5 and 6 words in common: 10/11; the other shares 4 of 5 and 5: 0.8.
    #expect(
      outcomes(decisions) == [
        .rejected(.tooSimilar(to: InstructionID(1), rougeL: 10.0 / 11)),
        .admitted(InstructionID(4)), .admitted(InstructionID(5)),
      ])
    #expect(pools.tuning.map(\.text) == ["Where is the cat?", "What is the man doing?"])
    #expect(pools.tuning.map(\.image) == [picture(1), picture(2)])
  }

  @Test("takes proposals in id order, and compares with those admitted in the same round")
  func sameRound() {
    let imported = (1...3).map { draft("instruction number \($0)") }
    let replies = [
      Proposal(from: InstructionID(3), reply: "How many red cars stand there?"),
      Proposal(from: InstructionID(1), reply: "How many red cars stand here?"),
      Proposal(from: InstructionID(2), reply: "Why?"),
    ]
    var pools = Pools(imported: imported)
    let decisions = admit(replies, to: &pools, iteration: 2, method: method)
    #expect(decisions.map(\.from.number) == [1, 2, 3])
    #expect(
      outcomes(decisions) == [
        .admitted(InstructionID(4)), .admitted(InstructionID(5)),
        .rejected(.tooSimilar(to: InstructionID(4), rougeL: 10.0 / 12)),
      ])
    var again = Pools(imported: imported)
    #expect(admit(replies.reversed(), to: &again, iteration: 2, method: method) == decisions)
    #expect(again == pools)
  }

  @Test("refuses at the limit itself and admits below it")
  func atTheLimit() {
    var pools = Pools(imported: [draft("a b c d e f g x y z"), draft("h")])
    let decisions = admit(
      [
        Proposal(from: InstructionID(1), reply: "a b c d e f g u v w"),
        Proposal(from: InstructionID(2), reply: "a b c d e f 1 2 3 4"),
      ], to: &pools, iteration: 1, method: method)
    #expect(
      outcomes(decisions) == [
        .rejected(.tooSimilar(to: InstructionID(1), rougeL: 0.7)), .admitted(InstructionID(3)),
      ])
  }

  @Test("keeps picture, task type and lineage, and counts failed jobs and bad forms")
  func lineage() {
    var pools = Pools(imported: [
      draft("one", task: .detail), draft("two"), draft("three"), draft("four"),
    ])
    let decisions = admit(
      [
        Proposal(from: InstructionID(1), reply: "Question: five?"),
        Proposal(from: InstructionID(2), reply: nil),
        Proposal(from: InstructionID(3), reply: " "),
        Proposal(from: InstructionID(4), reply: "six?\nseven?"),
      ], to: &pools, iteration: 3, method: method)
    #expect(
      outcomes(decisions) == [
        .admitted(InstructionID(5)), .rejected(.failed), .rejected(.empty),
        .rejected(.form("more than one line")),
      ])
    #expect(
      Array(pools.tuning) == [
        Instruction(
          id: InstructionID(5), image: picture(1), text: "five?", task: .detail,
          lineage: .augmented(from: InstructionID(1), iteration: 3))
      ])
  }

  @Test("refuses an exact repetition also where ROUGE sees no word")
  func otherScripts() {
    var pools = Pools(imported: [draft("这是什么？"), draft("那是什么？")])
    let decisions = admit(
      [
        Proposal(from: InstructionID(1), reply: "这是什么？"),
        Proposal(from: InstructionID(2), reply: "他在哪里？"),
      ], to: &pools, iteration: 1, method: method)
    #expect(
      outcomes(decisions) == [
        .rejected(.tooSimilar(to: InstructionID(1), rougeL: 1)), .admitted(InstructionID(3)),
      ])
  }

  @Test("leaves no pair of a picture at or above the limit, over drawn texts")
  func noPairAbove() {
    var random = SeededRandom(seed: 3)
    let words = ["what", "is", "the", "dog", "cat", "red", "where", "a", "car", "doing"]
    func text() -> String {
      (0...random.below(9)).map { _ in words[random.below(words.count)] }.joined(separator: " ")
    }
    var pools = Pools(
      imported: (0..<60).map { draft("unlike\($0)", of: picture(UInt64($0 % 3))) })
    for iteration in 1...4 {
      let decisions = admit(
        pools.cache.map { Proposal(from: $0.id, reply: text()) }, to: &pools,
        iteration: iteration, method: method)
      #expect(decisions.contains { if case .rejected = $0.outcome { true } else { false } })
      #expect(!pools.tuning.isEmpty)
    }
    for (place, new) in pools.cache.enumerated() {
      for old in pools.cache[..<place] where old.image == new.image {
        #expect(rougeL(new.text, old.text) < 0.7)
      }
    }
  }
}
