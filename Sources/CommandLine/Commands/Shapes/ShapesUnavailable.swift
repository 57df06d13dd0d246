import ArgumentParser

struct ShapesBuild: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "build",
    abstract: "Train the models of the embedded world (not available in this version).",
    discussion: """
      Example:
        comd shapes build --seed 1 --out Examples/shapes/models
      """)

  @Option(help: "Of scenes, questions and first weights.")
  var seed: UInt64 = 1
  @Option(help: "The folder to write; a build that was stopped goes on from it.")
  var out = "Examples/shapes/models"

  func run() throws { throw CommandError.notAvailable("shapes build") }
}

struct ShapesSample: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "sample",
    abstract: "Write pictures, questions and captions (not available in this version).",
    discussion: """
      Example:
        comd shapes sample --count 400 --split run --out data/shapes
      """)

  @Option(help: "Scenes to write.")
  var count = 400
  @Option(help: "The part of the world that they are from.")
  var split = SplitName.run
  @Option(help: "Of scenes and questions.")
  var seed: UInt64 = 1
  @Option(help: "The folder to write.")
  var out: String

  func run() throws { throw CommandError.notAvailable("shapes sample") }
}
