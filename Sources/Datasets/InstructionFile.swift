public import Domain
import Foundation

/// The questions of one record of an instruction file; answers in it are left out (eq. 4).
public struct InstructionRecord: Hashable, Sendable {
  /// From 1, in the order of the file.
  public var number: Int
  public var line: Int
  /// The record's own id, or its number where it has none.
  public var name: String
  /// The picture's name below the folder of pictures; nil for a record without one.
  public var image: String?
  public var task: TaskType
  /// One per turn, placeholders taken out; never empty, none of them blank.
  public var questions: [String]
}

/// Reads instructions in LLaVA's JSON form, an array or JSON Lines: `{"id", "image",
/// "conversations": [{"from": "human", "value": "<image>\n…"}, {"from": "gpt", …}]}`.
///
/// Several turns become several single-turn questions. `<image>` is taken out and its place not
/// kept, because the place is drawn anew for every training. Also read is the flat form with one
/// `question` (or `text`, or `instruction`) in the record. The task type is the record's `type`,
/// `task` or `category`, else the beginning of its id, else conversation.
///
/// One record is in memory at a time. Each bad one is a `DataProblem` with file, record and line.
public struct InstructionFile: Sequence, IteratorProtocol {
  private let file: String
  private var records: JSONRecords<LLaVARecord>

  public init(_ file: String) {
    self.file = file
    records = JSONRecords(file, of: LLaVARecord.self)
  }

  public mutating func next() -> Result<InstructionRecord, DataProblem>? {
    guard let next = records.next() else { return nil }
    return next.flatMap { numbered in
      do throws(DataProblem.Kind) {
        return .success(
          try instructions(numbered.record, number: numbered.number, line: numbered.line))
      } catch {
        return .failure(
          DataProblem(file: file, record: numbered.number, line: numbered.line, error))
      }
    }
  }
}

/// A record as LLaVA and its relatives write it.
struct LLaVARecord: Decodable {
  struct Message: Decodable {
    var from: String
    var value: String
  }
  var id: RecordName?
  var questionID: RecordName?
  var image: String?
  var conversations: [Message]?
  var question: String?
  var text: String?
  var instruction: String?
  var type: String?
  var task: String?
  var category: String?

  enum CodingKeys: String, CodingKey {
    case id, image, conversations, question, text, instruction, type, task, category
    case questionID = "question_id"
  }

  var name: String? { (id ?? questionID)?.text }

  /// What people said, or nil where the record is of another form.
  func questions() throws(DataProblem.Kind) -> [String] {
    guard let conversations else {
      guard let flat = question ?? text ?? instruction else { throw .missing("conversations") }
      return [flat]
    }
    var questions: [String] = []
    for (index, message) in conversations.enumerated() {
      switch message.from {
      case "human", "user": questions.append(message.value)
      case "gpt", "assistant", "system": continue
      default:
        throw .unexpected("conversations[\(index)].from \"\(message.from)\"", "human or gpt")
      }
    }
    guard !questions.isEmpty else { throw .missing("a question in conversations") }
    return questions
  }

  /// The answers of the conversation, in order.
  var answers: [String] {
    (conversations ?? []).filter { ["gpt", "assistant"].contains($0.from) }.map(\.value)
  }

  var taskType: TaskType {
    if let named = type ?? task ?? category, !named.isEmpty {
      return knownTask(startingWith: named) ?? TaskType(named)
    }
    return name.flatMap(knownTask(startingWith:)) ?? .conversation
  }
}

/// LLaVA's three types under the names that its files use: `conv`, `detail_23k`, `complex_…`.
private func knownTask(startingWith name: String) -> TaskType? {
  let name = name.lowercased()
  if name == "conv" || name.hasPrefix("conversation") { return .conversation }
  if name.hasPrefix("detail") { return .detail }
  if name.hasPrefix("complex") { return .complexReasoning }
  return nil
}

private func instructions(
  _ record: LLaVARecord, number: Int, line: Int
) throws(DataProblem.Kind) -> InstructionRecord {
  let image = record.image.flatMap { $0.isEmpty ? nil : $0 }
  var questions: [String] = []
  for (turn, raw) in try record.questions().enumerated() {
    let question = withoutPlaceholder(raw)
    if image == nil, question != trimmed(raw) { throw .placeholderWithoutImage }
    guard !question.isEmpty else { throw .emptyQuestion(turn: turn + 1) }
    questions.append(question)
  }
  return InstructionRecord(
    number: number, line: line, name: record.name ?? String(number), image: image,
    task: record.taskType, questions: questions)
}

/// The text without `<image>` and without white space at its ends.
func withoutPlaceholder(_ text: String) -> String {
  guard text.contains("<image>") else { return trimmed(text) }
  return trimmed(
    text.replacing("\n<image>", with: "").replacing("<image>\n", with: "")
      .replacing("<image>", with: ""))
}

func trimmed(_ text: some StringProtocol) -> String {
  text.trimmingCharacters(in: .whitespacesAndNewlines)
}
