import ArgumentParser
import Distillation
import Foundation
import ShapesTraining

struct ShapesBuild: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "build",
    abstract: "Train the models of the embedded world, and say what they can do.",
    discussion: """
      Takes an hour to an hour and a half on two cores. Every training keeps its state: the same \
      command goes on from it, to the result that it would have had.

      Example:
        comd shapes build --seed 1 --out Models/shapes
      """)

  @Option(help: "Of scenes, questions and first weights.")
  var seed: UInt64 = 1
  @Option(help: "Receives the folders teacher and student, and report.txt.")
  var out = "Models/shapes"
  @Option(help: "Keeps the states of the trainings; may be removed when all is done.")
  var state = "runs/shapes-build"
  @Option(help: "The folder of the prompts that the models learn to read.")
  var prompts = "Examples/shapes/prompts"
  @Option(help: "Share of the full length of every training; below 1 only to try the way.")
  var scale = 1.0

  func validate() throws {
    try require("--scale", scale, in: 0.0001...10)
    for role in PromptRole.allCases { try requireFile("--prompts", promptFile(role)) }
  }

  func run() async throws {
    var texts: [PromptRole: String] = [:]
    for role in PromptRole.allCases {
      texts[role] = try String(contentsOfFile: promptFile(role), encoding: .utf8)
    }
    let settings = WorldBuildSettings(
      seed: seed, stateFolder: state, outputFolder: out, prompts: texts, scale: scale)
    let table = try await untilStopped {
      try await WorldBuild(settings) { log($0) }.run().table
    }
    try write(Data((table + "\n").utf8), toFile: out + "/report.txt")
    printFact(table)
  }

  private func promptFile(_ role: PromptRole) -> String { prompts + "/" + role.fileName }
}
