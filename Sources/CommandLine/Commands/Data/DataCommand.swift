import ArgumentParser
import Datasets
import Settings

struct DataCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "data",
    abstract: "Check a run's inputs; filter captions.",
    discussion: """
      Example:
        comd data check --config cluster.yaml
      """,
    subcommands: [DataCheck.self, DataCaptions.self])
}

struct DataCheck: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "check",
    abstract: "Read every input once and say what is wrong, with file and record.",
    discussion: """
      Example:
        comd data check --config cluster.yaml
      """)

  @Option(help: "The settings of the run.")
  var config: String
  @OptionGroup var facts: FactOptions

  func run() throws {
    let settings = try ClusterSettings.load(file: config, inputs: .mustExist)
    let found = checkData(
      DataInputs(
        instructions: settings.data.instructions, captions: settings.data.captions,
        conversations: settings.data.conversations, images: settings.data.images,
        evaluations: settings.evaluate.map { .init($0.name.form, path: $0.path) }))
    if facts.json {
      try printJSON(Found(found))
    } else {
      for problem in found.problems { printFact("\(problem)") }
      printFact(
        "\(found.instructionRecords) records with \(found.questions) questions, "
          + "\(found.captions) captions, \(found.conversations) conversations, "
          + "\(found.evaluationItems) questions of examinations, "
          + "\(found.pictures) pictures; \(found.problemCount) problems")
    }
    if found.fatalCount > 0 {
      throw CommandError.failed("\(found.fatalCount) problems that a run cannot begin with")
    }
  }

  private struct Found: Encodable {
    var instructionRecords: Int
    var questions: Int
    var captions: Int
    var conversations: Int
    var evaluationItems: Int
    var pictures: Int
    var problemCount: Int
    var fatalCount: Int
    var problems: [String]

    init(_ report: DataReport) {
      instructionRecords = report.instructionRecords
      questions = report.questions
      captions = report.captions
      conversations = report.conversations
      evaluationItems = report.evaluationItems
      pictures = report.pictures
      problemCount = report.problemCount
      fatalCount = report.fatalCount
      problems = report.problems.map(\.description)
    }
  }
}

extension EvaluationName {
  /// How the files of such an examination are read.
  var form: EvaluationForm {
    switch self {
    case .scienceqa: .scienceQA
    case .seedBench: .seedBench
    case .llava: .llavaTest
    case .shapes, .exactMatch: .exactMatch
    }
  }
}
