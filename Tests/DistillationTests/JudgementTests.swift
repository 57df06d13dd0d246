import Distillation
import Domain
import Testing

@Suite("A judge's reply")
struct JudgementTests {
  @Test(
    "is two scores on the first line, whatever follows",
    arguments: [
      ("8 6", 8, 6), ("10 1\nThe first is better.", 10, 1), ("7.5 9\r\nBecause", 7.5, 9),
      (" 9 2 \n9 9", 9, 2), ("1.0 10.0", 1, 10), ("3 3\u{2028}x", 3, 3),
    ])
  func read(reply: String, first: Double, second: Double) throws {
    #expect(try parseJudgement(reply, order: .teacherFirst) == scores(first, second))
  }

  @Test("gives the scores back to whom they belong in either order")
  func orders() throws {
    #expect(try parseJudgement("8 6", order: .teacherFirst) == scores(8, 6))
    #expect(try parseJudgement("8 6", order: .studentFirst) == scores(6, 8))
  }

  static let refused: [(String, JudgementError)] = [
    ("", .empty), ("  ", .empty), ("\n8 6", .empty),
    ("8", .fields(1)), ("8 6 7", .fields(3)), ("8  6", .fields(3)), ("Scores: 8 6", .fields(3)),
    ("8\t6", .fields(1)), ("8, 6", .number("8,")), ("8/10 6/10", .number("8/10")),
    ("eight six", .number("eight")), ("8 six", .number("six")), ("8. 6", .number("8.")),
    (".5 6", .number(".5")), ("8.25 6", .number("8.25")), ("+8 6", .number("+8")),
    ("-8 6", .number("-8")), ("08 6", .number("08")), ("8e0 6", .number("8e0")),
    ("0x8 6", .number("0x8")), ("nan 6", .number("nan")), ("٨ 6", .number("٨")),
    ("100 6", .number("100")), ("0 6", .range("0")), ("8 11", .range("11")),
    ("0.9 6", .range("0.9")), ("10.1 6", .range("10.1")),
  ]

  @Test("is refused with the reason when it has another form", arguments: refused)
  func strict(reply: String, reason: JudgementError) {
    #expect(throws: reason) { try parseJudgement(reply, order: .teacherFirst) }
    #expect(!reason.description.isEmpty)
  }
}

@Suite("The judging of an instruction")
struct JudgementProgressTests {
  private func fresh() -> JudgementProgress { JudgementProgress(attemptsMax: 3, threshold: 0.33) }

  @Test("ends when both orders are read")
  func both() {
    var progress = fresh()
    #expect(
      JudgementProgress.firstSteps
        == [.ask(.teacherFirst, attempt: 1), .ask(.studentFirst, attempt: 1)])
    #expect(progress.receive("6 9", order: .studentFirst, attempt: 1) == .wait)
    #expect(
      progress.receive("8 6", order: .teacherFirst, attempt: 1)
        == .done(
          .judged(
            teacherFirst: scores(8, 6), studentFirst: scores(9, 6),
            difficulty: 3.5 / 8.5, difficult: true)))
  }

  @Test("asks again for what cannot be read, then gives up and keeps the last words")
  func givesUp() {
    var progress = fresh()
    #expect(progress.receive("8 6", order: .studentFirst, attempt: 1) == .wait)
    #expect(
      progress.receive("The first.", order: .teacherFirst, attempt: 1)
        == .ask(.teacherFirst, attempt: 2))
    #expect(
      progress.receive(nil, order: .teacherFirst, attempt: 2) == .ask(.teacherFirst, attempt: 3))
    #expect(
      progress.receive("Both are good.", order: .teacherFirst, attempt: 3)
        == .done(.unjudged(lastText: "Both are good.")))
    #expect(
      progress.receive("8 6", order: .teacherFirst, attempt: 3)
        == .done(.unjudged(lastText: "Both are good.")))
  }

  @Test("can be judged at the last attempt")
  func lastAttempt() {
    var progress = fresh()
    _ = progress.receive("8 8", order: .teacherFirst, attempt: 1)
    _ = progress.receive("?", order: .studentFirst, attempt: 1)
    _ = progress.receive("?", order: .studentFirst, attempt: 2)
    guard case .done(.judged) = progress.receive("8 8", order: .studentFirst, attempt: 3) else {
      Issue.record("judged expected")
      return
    }
  }
}
