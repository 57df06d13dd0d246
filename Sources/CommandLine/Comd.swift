import ArgumentParser
import Coordinator
import Foundation

/// The root of all commands. What each does is said in its own file under `Commands`.
struct Comd: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "comd",
    abstract: "Competitive distillation of multimodal language models, on one machine or many.",
    discussion: """
      A teacher answers questions about pictures, a student learns the answers; both are examined, \
      and what the student finds difficult is asked anew.

      Example:
        comd init --dir cluster --workers 2
        comd run --config cluster/cluster.yaml --dir runs/first --workers 2

      Exit codes: 0 done; 1 the work failed; 2 wrong usage or settings; 130 stopped by the user, \
      resumable.
      """,
    version: "comd " + comdVersion,
    groupedSubcommands: [
      CommandGroup(name: "Runs", subcommands: [Init.self, Run.self, Report.self]),
      CommandGroup(name: "Clusters", subcommands: [Coordinate.self, Work.self]),
      CommandGroup(
        name: "A run that goes on",
        subcommands: [
          Status.self, Explain.self, Pause.self, Resume.self, Drain.self, Revoke.self,
          Backup.self,
        ]),
      CommandGroup(
        name: "Models and data",
        subcommands: [
          ModelCommand.self, PlanTraining.self, Generate.self, Convert.self, Export.self,
          DataCommand.self, Evaluate.self, ShapesCommand.self,
        ]),
      CommandGroup(
        name: "Checks and measurements",
        subcommands: [Parity.self, Bench.self, Simulate.self]),
    ])
}

@main
enum Main {
  static func main() async {
    let arguments = Array(CommandLine.arguments.dropFirst())
    let status = await execute(arguments)
    exit(status.rawValue)
  }
}

/// Parses and runs one command line.
func execute(_ arguments: [String]) async -> ExitStatus {
  do {
    if let problem = unknownCommand(in: arguments, root: Comd.self) { throw problem }
    var command = try Comd.parseAsRoot(arguments)
    if var command = command as? any AsyncParsableCommand {
      try await command.run()
    } else {
      try command.run()
    }
    return .done
  } catch {
    return report(error)
  }
}
