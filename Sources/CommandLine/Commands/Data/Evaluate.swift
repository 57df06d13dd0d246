import ArgumentParser
import Datasets
import Domain
import Evaluation
import Foundation
import Settings

/// The name of an examination as an argument.
struct Examination: ExpressibleByArgument {
  static var allValueStrings: [String] { EvaluationName.allCases.map(\.rawValue) }

  var name: EvaluationName

  init?(argument: String) {
    guard let name = EvaluationName(rawValue: argument) else { return nil }
    self.name = name
  }
}

struct Evaluate: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "eval",
    abstract: "Score answers to an examination, in the paper's columns.",
    discussion: """
      Predictions are JSON Lines, a record for each question: its id (id or question_id) and the \
      answer (answer or text). A question without one counts as wrong. Within a run, examinations \
      are asked as its settings say under `evaluate`.

      Example:
        comd eval scienceqa --data data/scienceqa --predictions answers.jsonl
      """)

  @Argument(help: "The examination.")
  var examination: Examination
  @Option(help: "Its questions: a file, or the folder that holds them.")
  var data: String?
  @Option(help: "Answers made elsewhere.")
  var predictions: String?
  @Option(help: "The name of the row.")
  var method = "predictions"
  @OptionGroup var facts: FactOptions

  func validate() throws {
    if predictions != nil, data == nil {
      throw ValidationError("--predictions needs --data, the questions that they answer.")
    }
    if let data { try requireFile("--data", data) }
    if let predictions { try requireFile("--predictions", predictions) }
  }

  func run() throws {
    guard let data, let predictions else {
      throw CommandError.notAvailable("eval without --predictions, outside of a run")
    }
    let questions = try readEvaluation(examination.name.form, at: data)
    let answers = try readPredictions(predictions)
    let score = score(
      questions.items.map { answers[$0.name] }, to: questions.items, subject: .student, set: 0,
      iteration: 0)
    if score.items == 0 {
      throw CommandError.failed(
        "\(data): only a judge can score these questions, not --predictions")
    }
    let unanswered = questions.items.filter { answers[$0.name] == nil }.count
    if unanswered > 0 { log("comd: \(unanswered) questions have no prediction and count as wrong") }
    if facts.json {
      try printJSON(Scored(name: examination.name.rawValue, score))
    } else {
      let table = accuracyTable([(method, score)], columns: paperColumns(of: examination.name.form))
      printFact(String(table.dropLast()))
    }
  }

  private struct Scored: Encodable {
    var name: String
    var items: Int
    var correct: Int
    var accuracy: Double
    var byCategory: [String: Double]

    init(name: String, _ score: EvaluationScore) {
      self.name = name
      items = score.items
      correct = score.correct
      accuracy = Double(score.correct) / Double(max(1, score.items))
      byCategory = Dictionary(
        score.categories.map { ($0.name, Double($0.correct) / Double(max(1, $0.items))) },
        uniquingKeysWith: { first, _ in first })
    }
  }
}

/// Answers by the name of their question.
///
/// - Throws: `CommandError` with the line of the first record that is none.
func readPredictions(_ file: String) throws -> [String: String] {
  struct Record: Decodable {
    enum Name: Decodable {
      case text(String)
      case number(Int)
      init(from decoder: any Decoder) throws {
        let value = try decoder.singleValueContainer()
        if let number = try? value.decode(Int.self) {
          self = .number(number)
        } else {
          self = .text(try value.decode(String.self))
        }
      }
      var text: String {
        switch self {
        case .text(let text): text
        case .number(let number): "\(number)"
        }
      }
    }
    var id: Name?
    var questionID: Name?
    var answer: String?
    var text: String?
    enum CodingKeys: String, CodingKey {
      case id, answer, text
      case questionID = "question_id"
    }
  }
  var answers: [String: String] = [:]
  let text = String(decoding: try bytes(of: file), as: UTF8.self)
  let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
  for (index, line) in lines.enumerated() where line.contains(where: { !$0.isWhitespace }) {
    guard let record = try? JSONDecoder().decode(Record.self, from: Data(line.utf8)),
      let name = record.id ?? record.questionID, let answer = record.answer ?? record.text
    else {
      throw CommandError.failed(
        "\(file), line \(index + 1): id (or question_id) and answer (or text) expected"
      )
    }
    answers[name.text] = answer
  }
  return answers
}
