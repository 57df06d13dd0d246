import ArgumentParser

struct ModelCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "model",
    abstract: "Look at a model, let it speak, convert it, assemble one.",
    discussion: """
      Example:
        comd model info models/smollm2.gguf
      """,
    subcommands: [ModelInformation.self, Generate.self, Convert.self, Assemble.self])
}
