import Distillation
import Domain
import Testing

@Suite("The difficulty of an instruction (eq. 6)")
struct DifficultyTests {
  static let pairs = (1...10).flatMap { t in (1...10).map { s in scores(Double(t), Double(s)) } }

  @Test("is, worked by hand, (|R_S − R_T| + 1) / max(R_S, R_T)")
  func byHand() {
    #expect(difficulty(scores(1, 1)) == 1)
    #expect(difficulty(scores(9, 9)) == 1.0 / 9)
    #expect(difficulty(scores(10, 10)) == 0.1)
    #expect(difficulty(scores(9, 6)) == 4.0 / 9)
    #expect(difficulty(scores(6, 9)) == 4.0 / 9)
    #expect(difficulty(scores(10, 1)) == 1)
    #expect(difficulty(scores(8.5, 7)) == 2.5 / 8.5)
    #expect(difficulty(scores(3, 3)) == 1.0 / 3)
  }

  @Test(
    "calls two bad answers difficult and two good ones easy, as the formula and not as the text")
  func paperExample() {
    #expect(difficulty(scores(1, 1)) > difficulty(scores(9, 9)))
  }

  @Test("lies within 0.1…1, is symmetric, and grows with the gap, for all 100 pairs")
  func properties() {
    for pair in Self.pairs {
      let value = difficulty(pair)
      let low = min(pair.teacher, pair.student)
      let high = max(pair.teacher, pair.student)
      #expect(value >= 0.1 && value <= 1)
      #expect(abs(value - (high - low + 1) / high) < 1e-15)
      #expect(value == difficulty(scores(pair.student, pair.teacher)))
      #expect(value == 1 || low > 1)
      if low > 1 { #expect(difficulty(scores(high, low - 1)) > value) }
      if high < 10 {
        #expect(difficulty(scores(low + 1, high + 1)) < value || low == 1)
      }
    }
  }

  @Test("separates the 100 pairs at 0.33 as counted by hand")
  func counted() {
    // Easy iff high − low + 1 < 0.33 high: for high = 4…6 the tie only, for 7…9 a gap up to 1,
    // for 10 up to 2. A tie is one pair, a gap two.
    let easy = Self.pairs.filter { difficulty($0) < 0.33 }
    #expect(easy.count == 3 * 1 + 3 * 3 + 1 * 5)
  }

  @Test("is of the means over both orders, and difficult from the threshold on")
  func assessed() {
    let outcome = assess(
      teacherFirst: scores(9, 5), studentFirst: scores(8, 6), threshold: 0.33)
    #expect(
      outcome
        == .judged(
          teacherFirst: scores(9, 5), studentFirst: scores(8, 6), difficulty: 4.0 / 8.5,
          difficult: true))
    // (0.65 + 1) / 5 is 0.33 exactly, which 5 − 4.35 in binary would miss.
    #expect(difficulty(scores(5, 4.35)) == 0.33)
    for (threshold, difficult) in [(0.33, true), (0.3301, false)] {
      guard
        case .judged(_, _, _, let found) = assess(
          teacherFirst: scores(5, 4.3), studentFirst: scores(5, 4.4), threshold: threshold)
      else {
        Issue.record("judged expected")
        return
      }
      #expect(found == difficult)
    }
  }

  @Test("knows threshold 0 and 1 as the ablation does: all difficult, and almost none")
  func extremes() {
    func difficult(at threshold: Double) -> Int {
      Self.pairs.count { pair in
        switch assess(teacherFirst: pair, studentFirst: pair, threshold: threshold) {
        case .judged(_, _, _, let difficult): difficult
        case .unjudged: false
        }
      }
    }
    #expect(difficult(at: 0) == 100)
    // Those with a score of 1 in them.
    #expect(difficult(at: 1) == 19)
  }

  @Test("averages each model's score over the orders")
  func means() {
    #expect(
      meanScores(teacherFirst: scores(9, 4), studentFirst: scores(6, 5)) == scores(7.5, 4.5))
  }
}

@Suite("A judge's consistency")
struct ConsistencyTests {
  @Test("means the same winner, or a tie, in both orders")
  func sameWinner() {
    func consistent(_ a: ScorePair, _ b: ScorePair) -> Bool {
      isOrderConsistent(teacherFirst: a, studentFirst: b)
    }
    #expect(consistent(scores(9, 4), scores(6, 5)))
    #expect(consistent(scores(5, 5), scores(7, 7)))
    #expect(!consistent(scores(9, 4), scores(4, 9)))
    #expect(!consistent(scores(5, 5), scores(7, 6)))
  }
}
