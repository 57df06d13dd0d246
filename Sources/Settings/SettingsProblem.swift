public import Distillation

/// One thing that is wrong in a settings file.
public struct SettingsProblem: Hashable, Sendable, CustomStringConvertible {
  public enum Kind: Hashable, Sendable {
    /// Not YAML, in the words of the parser.
    case syntax(String)
    /// The key is not known here; `nearest` is the known key that it resembles most.
    case unknownKey(nearest: String?, allowed: [String])
    case duplicateKey
    /// A key that must be there is not; `allowed` says what belongs in it.
    case missing(allowed: String)
    /// The value is not of the form that the key takes.
    case badValue(given: String, allowed: String)
    /// A word in a list that is none of those allowed; `nearest` is the one it resembles most.
    case unknownWord(given: String, nearest: String?, allowed: [String])
    /// Two values that are each allowed do not go together.
    case conflict(String)
    /// The file or folder that the value names is not there.
    case notFound(path: String)
    /// A text among the prompts lacks what its role needs.
    case prompt(PromptError)
    /// A file in the folder of prompts that takes the place of none.
    case unknownPrompt(nearest: String?, allowed: [String])
    case unreadable(String)
  }

  public var file: String
  /// From 1; 0 where the whole file is meant.
  public var line: Int
  /// The way to the value, like `tune.learning_rate` or `evaluate[0].name`; empty for the file.
  public var key: String
  public var kind: Kind

  public init(file: String, line: Int, key: String, kind: Kind) {
    self.file = file
    self.line = line
    self.key = key
    self.kind = kind
  }

  public var description: String {
    let place = line > 0 ? "\(file):\(line): " : "\(file): "
    return place + (key.isEmpty ? "" : "\(key): ") + explanation
  }

  private var explanation: String {
    switch kind {
    case .syntax(let problem): "not YAML: \(problem)"
    case .unknownKey(let nearest, let allowed):
      "unknown key" + (nearest.map { "; did you mean '\($0)'?" } ?? ";")
        + " allowed here: \(allowed.joined(separator: ", "))"
    case .duplicateKey: "the key stands here twice; keep one"
    case .missing(let allowed): "missing; it takes \(allowed)"
    case .badValue(let given, let allowed): "'\(given)' given; it takes \(allowed)"
    case .unknownWord(let given, let nearest, let allowed):
      "unknown '\(given)'" + (nearest.map { "; did you mean '\($0)'?" } ?? ";")
        + " allowed here: \(allowed.joined(separator: ", "))"
    case .conflict(let problem): problem
    case .prompt(let error): "\(error)"
    case .unknownPrompt(let nearest, let allowed):
      "no prompt has this name" + (nearest.map { "; did you mean '\($0)'?" } ?? ";")
        + " allowed are: \(allowed.joined(separator: ", "))"
    case .unreadable(let reason): "cannot be read: \(reason)"
    case .notFound(let path): "there is no file or folder '\(path)'"
    }
  }
}

/// Everything that is wrong in a settings file, in the order of its lines.
public struct SettingsError: Error, Hashable, Sendable, CustomStringConvertible {
  public var problems: [SettingsProblem]

  public init(problems: [SettingsProblem]) {
    self.problems = problems.sorted { ($0.line, $0.key) < ($1.line, $1.key) }
  }

  public var description: String { problems.map(\.description).joined(separator: "\n") }
}
