import Foundation

/// SEED-Bench's questions about pictures: `SEED-Bench.json`, dimensions 1 to 9.
///
/// A question is asked with its four choices; columns are those of the paper's Table 2.
///
/// - Parameter path: the file, or the folder that holds it. Pictures are looked for in the folder
///   `SEED-Bench-image` beside it.
/// - Source: Li et al. 2023 (SEED-Bench), section 3.
public func readSEEDBench(at path: String) throws(DataProblem) -> EvaluationSet {
  struct File: Decodable {
    var questions: [SEEDQuestion]
  }
  let file = isFolder(path) ? path + "/SEED-Bench.json" : path
  let asked = try readJSON(file, as: File.self).questions.filter { $0.kind == "image" }
  guard !asked.isEmpty else { throw DataProblem(file: file, .noRecords) }
  var items: [EvaluationItem] = []
  for question in asked {
    guard (1...seedBenchColumns.count).contains(question.dimension) else {
      throw DataProblem(
        file: file,
        .unexpected(
          "question_type_id \(question.dimension) of question \(question.id.text)",
          "1…\(seedBenchColumns.count) for a picture"))
    }
    let choices = [question.a, question.b, question.c, question.d]
    guard letters.prefix(choices.count).contains(question.answer) else {
      throw DataProblem(
        file: file,
        .unexpected("answer of question \(question.id.text)", "A, B, C or D"))
    }
    items.append(
      EvaluationItem(
        name: question.id.text, image: question.image,
        question: withChoices(question.question, choices)
          + "\nReply with the letter of the right choice.",
        expected: .choice(letter: question.answer, choices: choices),
        categories: [seedBenchColumns[question.dimension - 1]]))
  }
  return EvaluationSet(imageFolder: folder(of: file) + "/SEED-Bench-image", items: items)
}

/// Scene understanding, instance identity, attributes, location, counting, spatial relations,
/// interaction, visual reasoning, text recognition: dimensions 1 to 9.
public let seedBenchColumns = ["SUG", "IIY", "IAS", "ILN", "ICG", "SRS", "IIN", "VRG", "TRN"]

private struct SEEDQuestion: Decodable {
  var id: RecordName
  /// `image` or `video`.
  var kind: String
  var image: String
  var question: String
  var a: String
  var b: String
  var c: String
  var d: String
  var answer: String
  var dimension: Int

  enum CodingKeys: String, CodingKey {
    case question, answer
    case id = "question_id"
    case kind = "data_type"
    case image = "data_id"
    case a = "choice_a"
    case b = "choice_b"
    case c = "choice_c"
    case d = "choice_d"
    case dimension = "question_type_id"
  }
}
