import Domain
import Shapes
import Testing

@Suite("The oracle")
struct OracleTests {
  /// A 3 by 3 grid of what a cell shows, made from the picture's code alone.
  private func grid(_ scene: Scene) -> [[String]] {
    var cells = [[String]](repeating: [], count: 9)
    for field in scene.contentCode.split(separator: " ").dropFirst() where field.first != "~" {
      guard let cell = field.first?.wholeNumberValue else { continue }
      cells[cell].append(String(field.dropFirst()))
    }
    return cells
  }

  @Test("counts, finds and compares as a search over the cells does")
  func bruteForce() {
    for scene in scenes(1_000) {
      let cells = grid(scene)
      let all = cells.flatMap { $0 }
      #expect(scene.answer(to: .countAll) == .number(all.count))
      for colour in Colour.allCases {
        let here = all.filter { $0.dropFirst().hasPrefix(colour.word + ":") }
        #expect(scene.answer(to: .countColour(colour)) == .number(here.count))
        #expect(scene.answer(to: .remaining(colour)) == .number(all.count - here.count))
        let named = Reference(colour: colour, form: nil)
        guard here.count == 1, let cell = cells.firstIndex(where: { $0.contains(here[0]) }) else {
          #expect(scene.answer(to: .whereIs(named)) == nil)
          continue
        }
        #expect(scene.answer(to: .whereIs(named)) == .place(Place.all[cell]))
        #expect(scene.answer(to: .rowOf(named)) == .row(cell / 3))
        #expect(scene.answer(to: .columnOf(named)) == .column(cell % 3))
        #expect(scene.answer(to: .sizeOf(named)) == .size(here[0].first == "b" ? .big : .small))
        let right = cell % 3 == 2 ? Answer.outside : .place(Place.all[cell + 1])
        #expect(scene.answer(to: .moved(named, .right)) == right)
        let up = cell / 3 == 0 ? Answer.outside : .place(Place.all[cell - 3])
        #expect(scene.answer(to: .moved(named, .above)) == up)
      }
      for shape in Shape.allCases {
        let here = all.filter { $0.contains(":" + shape.word) }
        #expect(scene.answer(to: .countShape(shape)) == .number(here.count))
        if here.count != 1 { #expect(scene.answer(to: .colourOf(shape)) == nil) }
      }
      for (cell, things) in cells.enumerated() where things.isEmpty {
        #expect(scene.answer(to: .objectAt(Place.all[cell])) == .nothing)
        #expect(scene.answer(to: .colourAt(Place.all[cell])) == nil)
      }
    }
  }

  @Test("knows the relations of one scene worked out by hand")
  func byHand() throws {
    let scene = try #require(
      Scene(code: "desert 0bred:circle 1sblue:square 5byellow:square 5spink:k! 6sred:7 ~0:1 +0"))
    let circle = Reference(colour: nil, form: .shape(.circle))
    let blue = Reference(colour: .blue, form: nil)
    let k = Reference(colour: nil, form: .sign(.k))
    let seven = Reference(colour: .red, form: .sign(.seven))
    let yellow = Reference(colour: .yellow, form: .shape(.square))
    func answer(_ query: Query) -> String? { scene.answer(to: query)?.text }
    #expect(answer(.isRelated(circle, .left, blue)) == "yes")
    #expect(answer(.isRelated(circle, .above, blue)) == "no")
    #expect(answer(.sideOf(circle, .vertical, blue)) == nil)
    #expect(answer(.sideOf(seven, .vertical, blue)) == "below")
    #expect(answer(.neighbour(.right, circle)) == "a small blue square")
    #expect(answer(.neighbour(.left, circle)) == "nothing")
    #expect(answer(.neighbour(.above, seven)) == "nothing")
    #expect(answer(.extreme(.below)) == "a small red 7")
    #expect(answer(.extreme(.left)) == nil)
    #expect(answer(.touches(blue, circle)) == "yes")
    #expect(answer(.touchedBy(circle)) == "a small blue square")
    #expect(answer(.touchedBy(k)) == "nothing")
    #expect(answer(.inside(yellow)) == "a small pink k")
    #expect(answer(.inside(k)) == "nothing")
    #expect(answer(.objectAt(Place(row: 1, column: 2))) == nil)
    #expect(answer(.moreThan(.red, .blue)) == "yes")
    #expect(answer(.moreThan(.blue, .pink)) == "no")
    #expect(answer(.sameColour(.shape(.circle), .sign(.seven))) == "yes")
    #expect(answer(.mostCommon) == "red")
    #expect(answer(.readColour(.pink)) == "k")
    #expect(answer(.letterOrDigit(.red)) == "digit")
    #expect(answer(.countSigns) == "two")
    #expect(answer(.ground) == "sand")
    #expect(
      answer(.describe) == "the desert : at the top left a big red circle , at the top centre a "
        + "small blue square , at the middle right a big yellow square , at the middle right a "
        + "small pink k , at the bottom left a small red 7 . the red circle touches the blue "
        + "square . the pink k is inside the yellow square .")
  }

  @Test("gives the truth 10, part of it something in between, what is wrong 1")
  func grades() throws {
    let scene = try #require(Scene(code: "sea 0bred:circle 4sblue:k 8bred:square +0"))
    let circle = Reference(colour: nil, form: .shape(.circle))
    let cases: [(Query, String, Int)] = [
      (.sceneName, "the sea", 10), (.sceneName, "desert", 1), (.sceneName, "", 1),
      (.whereIs(circle), "top left", 10), (.whereIs(circle), "at the top right", 3),
      (.whereIs(circle), "at the bottom right", 1), (.countAll, "three", 10),
      (.countAll, "four", 4), (.countAll, "six", 1), (.countAll, "three four", 5),
      (.describeObject(circle), "a big red circle at the top left", 10),
      (.describeObject(circle), "a red circle", 3),
    ]
    for (query, text, score) in cases {
      #expect(scene.score(text, to: query) == score, "\(query) \(text)")
    }
    let half = "the sea : at the top left a big red circle ."
    #expect((3...7).contains(scene.score(half, to: .describe)))
    #expect(scene.score(scene.caption, to: .describe) == 10)
    #expect(scene.score("yes", to: .describe) == 1)
    let swapped = scene.caption.replacing("small blue k", with: "big blue k")
    #expect((7...9).contains(scene.score(swapped, to: .describe)))
  }

  @Test("gives every true answer 10 and every mistake less, with scores of all heights")
  func mistakes() {
    var random = SeededRandom(seed: 17)
    var heights: Set<Int> = []
    for scene in scenes(500) {
      for exercise in scene.exercises(8, of: QuestionKind.allCases, using: &random) {
        #expect(scene.score(exercise.answer.text, to: exercise.question.query) == 10)
        let wrong = scene.mistake(about: exercise, using: &random)
        let score = scene.score(wrong, to: exercise.question.query)
        heights.insert(score)
        #expect((1...9).contains(score), "\(exercise.answer.text) against \(wrong)")
      }
    }
    #expect(heights.count >= 7)
  }
}
