import Foundation

/// SEED-Bench's questions about pictures: `SEED-Bench.json`, dimensions 1 to 9.
///
/// A question is asked with its four choices; columns are those of the paper's Table 2.
///
/// - Parameter path: the file, or the folder that holds it. Pictures are looked for in the folder
///   `SEED-Bench-image` beside it.
/// - Source: Li et al. 2023 (SEED-Bench), section 3.
public func readSEEDBench(at path: String) throws(DataProblem) -> EvaluationSet {
  struct Question: Decodable {
    var question_id: RecordName
    var data_type: String
    var data_id: String
    var question: String
    var choice_a: String
    var choice_b: String
    var choice_c: String
    var choice_d: String
    var answer: String
    var question_type_id: Int
  }
  struct File: Decodable {
    var questions: [Question]
  }
  let file = isFolder(path) ? path + "/SEED-Bench.json" : path
  let asked = try readJSON(file, as: File.self).questions.filter { $0.data_type == "image" }
  guard !asked.isEmpty else { throw DataProblem(file: file, .noRecords) }
  var items: [EvaluationItem] = []
  for question in asked {
    guard (1...seedBenchColumns.count).contains(question.question_type_id) else {
      throw DataProblem(
        file: file,
        .unexpected(
          "question_type_id \(question.question_type_id) of question \(question.question_id.text)",
          "1…\(seedBenchColumns.count) for a picture"))
    }
    let choices = [question.choice_a, question.choice_b, question.choice_c, question.choice_d]
    guard letters.prefix(choices.count).contains(question.answer) else {
      throw DataProblem(
        file: file,
        .unexpected("answer of question \(question.question_id.text)", "A, B, C or D"))
    }
    items.append(
      EvaluationItem(
        name: question.question_id.text, image: question.data_id,
        question: withChoices(question.question, choices)
          + "\nReply with the letter of the right choice.",
        expected: .choice(letter: question.answer, choices: choices),
        categories: [seedBenchColumns[question.question_type_id - 1]]))
  }
  return EvaluationSet(imageFolder: folder(of: file) + "/SEED-Bench-image", items: items)
}

/// Scene understanding, instance identity, attributes, location, counting, spatial relations,
/// interaction, visual reasoning, text recognition: dimensions 1 to 9.
public let seedBenchColumns = ["SUG", "IIY", "IAS", "ILN", "ICG", "SRS", "IIN", "VRG", "TRN"]
