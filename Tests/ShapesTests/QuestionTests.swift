import Domain
import Shapes
import Testing

@Suite("A question")
struct QuestionTests {
  @Test("of every kind and wording is read back from its text")
  func parsedBack() {
    var random = SeededRandom(seed: 3)
    var seen: Set<String> = []
    for scene in scenes(400) {
      for kind in QuestionKind.allCases {
        guard let exercise = scene.exercise(of: kind, using: &random) else { continue }
        let text = exercise.question.text
        seen.insert("\(kind) \(exercise.question.wording)")
        #expect(Question(parsing: text) == exercise.question, "\(text)")
        #expect(scene.answerability(of: text) == .answerable(exercise.question))
      }
    }
    #expect(seen.count == QuestionKind.allCases.count * Question.wordingsPerKind)
  }

  @Test("that is none of the world's, or supposes what is not so, is told apart")
  func unanswerable() throws {
    let scene = try #require(Scene(code: "sea 0bred:circle 4sblue:circle 8bred:k +0"))
    #expect(scene.answerability(of: "why is the sea blue ?") == .unknown)
    #expect(scene.answerability(of: "what colour is the circle") == .unknown)
    for text in [
      "what colour is the circle ?", "where is the green object ?", "where is the red object ?",
      "which sign is written at the top left ?", "are there more red objects than red ones ?",
      "does the k touch the k ?",
    ] {
      guard case .wrongPremise = scene.answerability(of: text) else {
        Issue.record("'\(text)' was taken for answerable or unknown")
        continue
      }
    }
    #expect(
      scene.answerability(of: "Where is the blue circle?")
        == .answerable(
          Question(.whereIs(Reference(colour: .blue, form: .shape(.circle))), wording: 0)))
  }

  @Test("covers the nine dimensions and the three task types with at least 27 kinds")
  func coverage() {
    #expect(QuestionKind.allCases.count >= 27)
    #expect(Set(QuestionKind.allCases.map(\.dimension)).count == 9)
    #expect(Set(QuestionKind.allCases.map(\.task)) == [.conversation, .detail, .complexReasoning])
  }

  @Test("is drawn with its answers balanced: yes and no come equally often")
  func balance() {
    var random = SeededRandom(seed: 5)
    var counts: [QuestionKind: (yes: Int, all: Int)] = [:]
    for scene in scenes(3_000) where scene.objects.count > 2 {
      for kind in [QuestionKind.sceneIs, .exists, .isRelated, .sameColour] {
        guard let exercise = scene.exercise(of: kind, using: &random) else { continue }
        counts[kind, default: (0, 0)].all += 1
        if exercise.answer == .yes { counts[kind]?.yes += 1 }
      }
    }
    for (kind, count) in counts where kind != .sameColour {
      let share = Double(count.yes) / Double(count.all)
      #expect(abs(share - 0.5) < 0.04, "\(kind): \(share)")
    }
  }

  @Test("has a variation of its task type and dimension in another wording, answerable as well")
  func variation() {
    var random = SeededRandom(seed: 11)
    var sameKind = 0
    var all = 0
    for scene in scenes(500) {
      for exercise in scene.exercises(6, of: QuestionKind.allCases, using: &random) {
        guard let new = scene.variation(of: exercise.question, using: &random) else { continue }
        all += 1
        if new.query.kind == exercise.question.query.kind { sameKind += 1 }
        #expect(scene.answer(to: new.query) != nil)
        #expect(new.text != exercise.question.text)
        #expect(new.query.kind.task == exercise.question.query.kind.task)
        #expect(new.query.kind.dimension == exercise.question.query.kind.dimension)
      }
    }
    #expect(all > 2_000 && Double(sameKind) > 0.6 * Double(all))
  }

  @Test("and its answer need no word outside the vocabulary, which stays small")
  func vocabulary() {
    var random = SeededRandom(seed: 13)
    let known = Set(worldWords)
    for scene in scenes(500) {
      for word in scene.cellWords.joined() { #expect(known.contains(word)) }
      for kind in QuestionKind.allCases {
        guard let exercise = scene.exercise(of: kind, using: &random) else { continue }
        let text =
          exercise.question.text + " " + exercise.answer.text
          + " " + scene.mistake(about: exercise, using: &random)
        for word in words(of: text) { #expect(known.contains(word), "\(word)") }
      }
    }
    #expect(known.count <= 220)
  }
}
