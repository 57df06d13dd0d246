import Distillation
import Domain
import Testing

@Suite("Grouping answers into conversations")
struct GroupingTests {
  let seeds = Seeds(run: 1)

  private func answered(_ number: Int64, of image: Digest?, _ answer: String? = nil)
    -> AnsweredInstruction
  {
    AnsweredInstruction(
      instruction(number, of: image, "Q\(number)"), answer: answer ?? "A\(number)")
  }

  private func questions(_ conversations: [Conversation]) -> [[String]] {
    conversations.map { $0.turns.map(\.question) }
  }

  @Test("makes a picture's answers the turns of one dialogue, in id order")
  func onePicture() {
    let items = [
      answered(4, of: picture(2)), answered(3, of: picture(1)), answered(1, of: picture(1)),
      answered(2, of: picture(2)),
    ]
    let conversations = groupIntoConversations(items, turnsMax: 8, iteration: 1, seeds: seeds)
    #expect(questions(conversations) == [["Q1", "Q3"], ["Q2", "Q4"]])
    #expect(conversations.map(\.image) == [picture(1), picture(2)])
    #expect(conversations[0].turns[1].answer == "A3")
    #expect(
      groupIntoConversations(items.reversed(), turnsMax: 8, iteration: 1, seeds: seeds)
        == conversations)
  }

  @Test("cuts a dialogue at the most turns allowed")
  func cut() {
    let items = (1...5).map { answered($0, of: picture(1)) }
    #expect(
      questions(groupIntoConversations(items, turnsMax: 2, iteration: 1, seeds: seeds))
        == [["Q1", "Q2"], ["Q3", "Q4"], ["Q5"]])
    #expect(
      groupIntoConversations(items, turnsMax: 1, iteration: 1, seeds: seeds).count == 5)
  }

  @Test("leaves questions without a picture alone, and blank answers out")
  func alone() {
    let items = [
      answered(1, of: nil), answered(2, of: nil), answered(3, of: picture(1), " \n"),
      answered(4, of: picture(1), " A4\n"),
    ]
    let conversations = groupIntoConversations(items, turnsMax: 8, iteration: 1, seeds: seeds)
    #expect(questions(conversations) == [["Q1"], ["Q2"], ["Q4"]])
    #expect(conversations[2].turns[0].answer == "A4")
  }

  @Test("draws the picture's place for each dialogue anew, about half of the time after")
  func placement() {
    let items = (1...1000).map { answered(Int64($0), of: picture(UInt64($0))) }
    let first = groupIntoConversations(items, turnsMax: 8, iteration: 1, seeds: seeds)
    let after = first.filter { $0.placement == .afterQuestion }.count
    #expect((440...560).contains(after))
    let second = groupIntoConversations(items, turnsMax: 8, iteration: 2, seeds: seeds)
    #expect(zip(first, second).contains { $0.placement != $1.placement })
    #expect(groupIntoConversations(items, turnsMax: 8, iteration: 1, seeds: seeds) == first)
  }
}
