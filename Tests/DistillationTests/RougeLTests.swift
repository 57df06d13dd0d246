import Distillation
import Foundation
import TestSupport
import Testing

@Suite("ROUGE-L")
struct RougeLTests {
  /// Made by Tests/Fixtures/Distillation/make_rouge_l.py.
  struct Golden: Decodable {
    var scores: [[Value]]
    var tokens: [[TokensOrText]]
    var scalarsThatDoNotSeparate: [String: [String]]

    enum CodingKeys: String, CodingKey {
      case scores, tokens
      case scalarsThatDoNotSeparate = "scalars_that_do_not_separate"
    }

    enum Value: Decodable {
      case text(String)
      case number(Double)
      init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        if let number = try? container.decode(Double.self) {
          self = .number(number)
        } else {
          self = .text(try container.decode(String.self))
        }
      }
    }

    enum TokensOrText: Decodable {
      case text(String)
      case tokens([String])
      init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        if let text = try? container.decode(String.self) {
          self = .text(text)
        } else {
          self = .tokens(try container.decode([String].self))
        }
      }
    }
  }

  let golden: Golden

  init() throws {
    let file = URL(filePath: fixture("Distillation/rouge-l.json"))
    golden = try JSONDecoder().decode(Golden.self, from: Data(contentsOf: file))
  }

  @Test("agrees with the rouge-score package to 1e-12 on every pair")
  func scores() throws {
    try #require(golden.scores.count > 300)
    for row in golden.scores {
      guard case .text(let a) = row[0], case .text(let b) = row[1], case .number(let f) = row[2]
      else {
        Issue.record("a row of two texts and a number expected")
        return
      }
      #expect(abs(rougeL(a, b) - f) < 1e-12, "\"\(a)\" and \"\(b)\"")
      #expect(rougeL(a, b) == rougeL(b, a))
    }
  }

  @Test("splits words as the rouge-score package does")
  func words() {
    for row in golden.tokens {
      guard case .text(let text) = row[0], case .tokens(let tokens) = row[1] else {
        Issue.record("a row of a text and its tokens expected")
        return
      }
      #expect(rougeTokens(text) == tokens, "\"\(text)\"")
    }
  }

  @Test("lets every scalar of Unicode separate words that separates them there")
  func scalars() {
    var different: [String: [String]] = [:]
    for code in UInt32(0x80)..<0x11_0000 {
      guard let scalar = Unicode.Scalar(code) else { continue }
      let tokens = rougeTokens("a\(scalar)b")
      if tokens != ["a", "b"] { different[hex(code)] = tokens }
    }
    #expect(different == golden.scalarsThatDoNotSeparate)
  }

  @Test("is, worked by hand, 2 LCS / (m + n)")
  func byHand() {
    // Lin 2004, section 3.1: LCS "police the gunman" of 4 and 4; then "the gunman".
    #expect(rougeL("police kill the gunman", "police killed the gunman") == 0.75)
    #expect(rougeL("the gunman kill police", "police killed the gunman") == 0.5)
    #expect(rougeL("a b c d e f g x y z", "a b c d e f g u v w") == 0.7)
    #expect(rougeL("a a a", "a") == 0.5)
    #expect(rougeL("", "") == 0)
  }

  private func hex(_ code: UInt32) -> String {
    let digits = String(code, radix: 16, uppercase: true)
    return String(repeating: "0", count: max(0, 4 - digits.count)) + digits
  }
}
