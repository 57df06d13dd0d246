import Foundation

/// What an answer is compared with.
public enum ExpectedAnswer: Hashable, Sendable {
  /// A short text; compared after normalisation.
  case exact(String)
  /// One of lettered choices: its letter, and all choices from A on.
  case choice(letter: String, choices: [String])
  /// A reference for a judge; nothing to compare letter by letter.
  case reference(String)
}

/// One question of an examination.
public struct EvaluationItem: Hashable, Sendable {
  /// The record's own id, or its number.
  public var name: String
  /// The picture's name below the set's folder of pictures; nil for a question without one.
  public var image: String?
  /// As the model is asked.
  public var question: String
  public var expected: ExpectedAnswer
  /// Columns of the result table to which the item counts; may be several.
  public var categories: [String]

  public init(
    name: String, image: String?, question: String, expected: ExpectedAnswer,
    categories: [String]
  ) {
    self.name = name
    self.image = image
    self.question = question
    self.expected = expected
    self.categories = categories
  }
}

/// An examination: its questions in the order of its file.
public struct EvaluationSet: Hashable, Sendable {
  /// The folder below which the items' pictures are found.
  public var imageFolder: String
  public var items: [EvaluationItem]

  public init(imageFolder: String, items: [EvaluationItem]) {
    self.imageFolder = imageFolder
    self.items = items
  }
}

/// The forms of examination that can be read.
public enum EvaluationForm: String, Hashable, Sendable, CaseIterable {
  /// `readScienceQA`.
  case scienceQA = "scienceqa"
  /// `readSEEDBench`.
  case seedBench = "seed-bench"
  /// `readLLaVATest`.
  case llavaTest = "llava"
  /// `readExactMatch`.
  case exactMatch = "exact-match"
}

/// Reads an examination of the given form.
///
/// - Parameters:
///   - path: a file, or for `scienceQA`, `seedBench` and `llavaTest` the folder that holds it.
///   - images: the folder of the pictures; nil takes the one in which the file lies.
/// - Throws: the first problem found, with file and record.
public func readEvaluation(
  _ form: EvaluationForm, at path: String, images: String? = nil
) throws(DataProblem) -> EvaluationSet {
  var set =
    switch form {
    case .scienceQA: try readScienceQA(at: path)
    case .seedBench: try readSEEDBench(at: path)
    case .llavaTest: try readLLaVATest(at: path)
    case .exactMatch: try readExactMatch(at: path)
    }
  if let images { set.imageFolder = images }
  return set
}

/// JSON Lines (or an array) of `{"image", "question", "answer", "category"}`; `image`, `category`
/// and `id` may be left out.
public func readExactMatch(at file: String) throws(DataProblem) -> EvaluationSet {
  struct Record: Decodable {
    var id: RecordName?
    var image: String?
    var question: String
    var answer: String
    var category: String?
  }
  return EvaluationSet(
    imageFolder: folder(of: file),
    items: try readItems(file, of: Record.self) { record, number throws(DataProblem.Kind) in
      let question = withoutPlaceholder(record.question)
      guard !question.isEmpty else { throw .emptyQuestion(turn: 1) }
      guard !trimmed(record.answer).isEmpty else { throw .missing("answer") }
      return EvaluationItem(
        name: record.id?.text ?? String(number), image: record.image, question: question,
        expected: .exact(record.answer), categories: record.category.map { [$0] } ?? [])
    })
}

/// LLaVA's test set: `qa90_questions.jsonl` and GPT-4's answers in `qa90_gpt4_answer.jsonl`, for a
/// judge to compare with.
///
/// - Parameter path: the folder of both files.
/// - Source: Liu et al. 2023, section 5.1; the paper's Table 3.
public func readLLaVATest(at path: String) throws(DataProblem) -> EvaluationSet {
  struct Record: Decodable {
    var questionID: RecordName
    var image: String?
    var text: String
    var category: String

    enum CodingKeys: String, CodingKey {
      case image, text, category
      case questionID = "question_id"
    }
  }
  let answersFile = path + "/qa90_gpt4_answer.jsonl"
  var references: [String: String] = [:]
  for next in JSONRecords(answersFile, of: Record.self) {
    let record = try next.get().record
    references[record.questionID.text] = record.text
  }
  let columns = ["conv": "Con", "complex": "CR", "detail": "DD"]
  return EvaluationSet(
    imageFolder: path,
    items: try readItems(path + "/qa90_questions.jsonl", of: Record.self) {
      record, _ throws(DataProblem.Kind) in
      guard let reference = references[record.questionID.text] else {
        throw .missing("an answer to question \(record.questionID.text) in \(answersFile)")
      }
      return EvaluationItem(
        name: record.questionID.text, image: record.image,
        question: withoutPlaceholder(record.text), expected: .reference(reference),
        categories: [columns[record.category] ?? record.category])
    })
}

/// Every record of a file made an item; the first problem ends it.
func readItems<Record: Decodable>(
  _ file: String, of type: Record.Type,
  item: (Record, Int) throws(DataProblem.Kind) -> EvaluationItem
) throws(DataProblem) -> [EvaluationItem] {
  var items: [EvaluationItem] = []
  for next in JSONRecords(file, of: type) {
    let numbered = try next.get()
    do throws(DataProblem.Kind) {
      items.append(try item(numbered.record, numbered.number))
    } catch {
      throw DataProblem(file: file, record: numbered.number, line: numbered.line, error)
    }
  }
  return items
}

/// A small JSON file, whole.
func readJSON<Value: Decodable>(
  _ file: String, as type: Value.Type
) throws(DataProblem) -> Value {
  let data: Data
  do {
    data = try Data(contentsOf: URL(filePath: file))
  } catch {
    throw DataProblem(file: file, .unreadable(reason(error)))
  }
  do {
    return try JSONDecoder().decode(type, from: data)
  } catch {
    throw DataProblem(file: file, decodingProblem(error))
  }
}

func folder(of file: String) -> String {
  URL(filePath: file).deletingLastPathComponent().path
}

func isFolder(_ path: String) -> Bool {
  var isFolder: ObjCBool = false
  return FileManager.default.fileExists(atPath: path, isDirectory: &isFolder) && isFolder.boolValue
}

/// A question with its lettered choices below it, in the form on which LLaVA was tuned.
func withChoices(_ question: String, _ choices: [String]) -> String {
  ([question] + zip(letters, choices).map { "\($0). \($1)" }).joined(separator: "\n")
}

let letters = (UInt8(ascii: "A")...UInt8(ascii: "Z")).map { String(UnicodeScalar($0)) }
