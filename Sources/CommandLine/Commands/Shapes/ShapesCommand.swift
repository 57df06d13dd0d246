import ArgumentParser

struct ShapesCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "shapes",
    abstract: "The embedded world: build its models, write its questions, look at it.",
    discussion: """
      Example:
        comd shapes show --seed 7
      """,
    subcommands: [ShapesBuild.self, ShapesSample.self, ShapesShow.self])
}

/// The parts that a scene's content is divided into, as they are named here.
enum SplitName: String, CaseIterable, ExpressibleByArgument { case building, run, evaluation }
