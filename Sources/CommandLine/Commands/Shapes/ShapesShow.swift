import ArgumentParser
import Domain
import Foundation
import Shapes

struct ShapesShow: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "show",
    abstract: "Show one scene: its picture, its caption, questions and their true answers.",
    discussion: """
      Example:
        comd shapes show --seed 7 --questions 12
      """)

  @Option(help: "Of the scene and the questions.")
  var seed: UInt64 = 1
  @Option(help: "The part of the world that it is from.")
  var split = SplitName.evaluation
  @Option(help: "How many questions at most.")
  var questions = 9
  @OptionGroup var facts: FactOptions

  func validate() throws { try require("--questions", questions, in: 0...100) }

  func run() throws {
    var random = SeededRandom(seed: seed, "show")
    let scene = Scene.sample(from: split.split, using: &random)
    let exercises = scene.exercises(questions, of: QuestionKind.allCases, using: &random)
    if facts.json {
      try printJSON(
        Shown(
          scene: scene.code, caption: scene.caption,
          questions: exercises.map {
            Shown.Question(
              dimension: $0.question.query.kind.dimension.name, question: $0.question.text,
              answer: $0.answer.text)
          }))
      return
    }
    if showsColor { printFact(colourBlocks(scene.drawing())) }
    printFact("scene: \(scene.code)\ncaption: \(scene.caption)")
    for exercise in exercises {
      let dimension = exercise.question.query.kind.dimension.name
      printFact("[\(dimension)] \(exercise.question.text) → \(exercise.answer.text)")
    }
  }

  private struct Shown: Encodable {
    struct Question: Encodable {
      var dimension: String
      var question: String
      var answer: String
    }
    var scene: String
    var caption: String
    var questions: [Question]
  }

  /// Pictures go to standard output, which need not be the terminal that standard error is.
  private var showsColor: Bool {
    isatty(FileHandle.standardOutput.fileDescriptor) == 1 && Terminal.current().showsColor
  }
}

extension SplitName {
  var split: Split {
    switch self {
    case .building: .building
    case .run: .run
    case .evaluation: .evaluation
    }
  }
}

/// A drawing in a terminal of 24-bit colour: each character is two pixels, one above the other.
func colourBlocks(_ drawing: Drawing) -> String {
  let side = Drawing.side
  func colour(_ x: Int, _ y: Int) -> String {
    let start = (y * side + x) * 3
    return drawing.bytes[start..<start + 3].map(String.init).joined(separator: ";")
  }
  let rows = stride(from: 0, to: side, by: 2).map { y in
    (0..<side).map { x in "\u{1b}[38;2;\(colour(x, y))m\u{1b}[48;2;\(colour(x, y + 1))m▀" }
      .joined() + "\u{1b}[0m"
  }
  return rows.joined(separator: "\n")
}
