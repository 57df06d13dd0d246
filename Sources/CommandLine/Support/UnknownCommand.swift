import ArgumentParser
import Settings

/// An error when the words of a command line lead to no command; it names the nearest one.
///
/// The parser would take such a word for a stray argument and say nothing of what there is.
func unknownCommand(
  in arguments: [String], root: any ParsableCommand.Type
) -> CommandError? {
  var command = root
  for word in arguments {
    let configuration = command.configuration
    let subcommands = configuration.allSubcommands
    if subcommands.isEmpty || word.hasPrefix("-") || word == "help" { return nil }
    if let next = subcommands.first(where: { $0._commandName == word }) {
      command = next
      continue
    }
    let names = subcommands.map { $0._commandName }
    let guess = nearest(to: word, among: names).map { "; did you mean '\($0)'?" } ?? ";"
    return .usage(
      "there is no command '\(word)'\(guess) there are: \(names.joined(separator: ", "))")
  }
  return nil
}

extension CommandConfiguration {
  /// Those of all groups, in the order of the help.
  var allSubcommands: [any ParsableCommand.Type] {
    ungroupedSubcommands + groupedSubcommands.flatMap(\.subcommands)
  }
}
