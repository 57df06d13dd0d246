import ArgumentParser
import ShapesTraining

struct ShapesSample: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "sample",
    abstract: "Write pictures, questions, captions and an examination, in the forms of a run.",
    discussion: """
      OUT gets images/, instructions.json (LLaVA's form), captions.json and evaluation.jsonl, \
      whose scenes are none of the others'. Beside every picture stands its scene's code, from \
      which the oracle knows the truth.

      Example:
        comd shapes sample --count 400 --captions 400 --out runs/shapes-data
      """)

  @Option(help: "Pictures of the instructions.")
  var count = 400
  @Option(help: "Questions about each picture, at most.")
  var questions = 4
  @Option(help: "Pictures with captions.")
  var captions = 400
  @Option(name: .customLong("evaluation"), help: "Questions of the examination, for each kind.")
  var evaluationPerKind = 10
  @Option(help: "The part of the world that instructions and captions are from.")
  var split = SplitName.run
  @Option(help: "Of scenes and questions.")
  var seed: UInt64 = 1
  @Option(help: "The folder to write.")
  var out: String

  func validate() throws {
    try require("--count", count, in: 1...99_999)
    try require("--questions", questions, in: 1...40)
    try require("--captions", captions, in: 0...99_999)
    try require("--evaluation", evaluationPerKind, in: 0...1_000)
  }

  func run() throws {
    try writeWorldData(
      folder: out, split: split.split, scenes: count, captions: captions,
      evaluation: evaluationPerKind, questions: questions, seed: seed)
    printFact("\(out): \(count) pictures with questions, \(captions) with captions")
  }
}
