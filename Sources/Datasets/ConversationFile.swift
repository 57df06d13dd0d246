public import Domain

/// A dialogue with its answers.
public struct ConversationRecord: Hashable, Sendable {
  /// From 1, in the order of the file.
  public var number: Int
  public var line: Int
  /// The picture's name below the folder of pictures; nil for a record without one.
  public var image: String?
  public var placement: ImagePlacement
  /// Never empty, none of them blank.
  public var turns: [Turn]
}

/// Reads dialogues in LLaVA's JSON form, an array or JSON Lines, one record at a time: `{"image",
/// "conversations": [{"from": "human", "value": "<image>\n…"}, {"from": "gpt", …}, …]}`.
///
/// People and model speak in turn, a person first; what is said by `system` is left out. `<image>`
/// stands before or after the first question, as in the file.
public struct ConversationFile: Sequence, IteratorProtocol {
  private let file: String
  private var records: JSONRecords<LLaVARecord>

  public init(_ file: String) {
    self.file = file
    records = JSONRecords(file, of: LLaVARecord.self)
  }

  public mutating func next() -> Result<ConversationRecord, DataProblem>? {
    guard let next = records.next() else { return nil }
    return next.flatMap { numbered in
      do throws(DataProblem.Kind) {
        let image = numbered.record.image.flatMap { $0.isEmpty ? nil : $0 }
        let (placement, turns) = try numbered.record.dialogue(hasPicture: image != nil)
        return .success(
          ConversationRecord(
            number: numbered.number, line: numbered.line, image: image, placement: placement,
            turns: turns))
      } catch {
        return .failure(
          DataProblem(file: file, record: numbered.number, line: numbered.line, error))
      }
    }
  }
}

extension LLaVARecord {
  fileprivate func dialogue(
    hasPicture: Bool
  ) throws(DataProblem.Kind) -> (ImagePlacement, [Turn]) {
    guard let conversations else { throw .missing("conversations") }
    var placement = ImagePlacement.beforeQuestion
    var turns: [Turn] = []
    var question: String?
    for (index, message) in conversations.enumerated() where message.from != "system" {
      let text = withoutPlaceholder(message.value)
      switch (message.from, question) {
      case ("human", nil), ("user", nil):
        if !hasPicture, message.value.contains("<image>") { throw .placeholderWithoutImage }
        if text.isEmpty { throw .emptyQuestion(turn: turns.count + 1) }
        if turns.isEmpty, trimmed(message.value).hasSuffix("<image>") { placement = .afterQuestion }
        question = text
      case ("gpt", let asked?), ("assistant", let asked?):
        if text.isEmpty { throw .emptyAnswer(turn: turns.count + 1) }
        turns.append(Turn(question: asked, answer: text))
        question = nil
      default:
        throw .unexpected(
          "conversations[\(index)].from \"\(message.from)\"", question == nil ? "human" : "gpt")
      }
    }
    if question != nil { throw .missing("the last answer in conversations") }
    if turns.isEmpty { throw .missing("a question in conversations") }
    return (placement, turns)
  }
}
