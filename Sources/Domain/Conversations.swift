/// A kind of task, as LLaVA names its three: conversation, detail, complex. Others are allowed.
public struct TaskType: Hashable, Comparable, Codable, Sendable, CustomStringConvertible {
  public var name: String
  public init(_ name: String) { self.name = name }
  public static let conversation = TaskType("conversation")
  public static let detail = TaskType("detail")
  public static let complexReasoning = TaskType("complex")
  public static func < (a: TaskType, b: TaskType) -> Bool { a.name < b.name }
  public var description: String { name }
}

/// Where an instruction came from.
public enum Lineage: Hashable, Sendable {
  /// From the imported pool: the record's id in its file and the turn, counted from 0.
  case imported(record: String, turn: Int)
  /// Written by the augmentor from another instruction, in an iteration (from 1).
  case augmented(from: InstructionID, iteration: Int)
}

/// One element of the pools: a picture and a question about it, without an answer (eq. 4).
public struct Instruction: Hashable, Sendable {
  public var id: InstructionID
  /// The picture's digest; nil for a question without a picture.
  public var image: Digest?
  public var text: String
  public var task: TaskType
  public var lineage: Lineage

  public init(
    id: InstructionID, image: Digest?, text: String, task: TaskType, lineage: Lineage
  ) {
    self.id = id
    self.image = image
    self.text = text
    self.task = task
    self.lineage = lineage
  }
}

/// One turn of a dialogue: `(Q_t, A_t)` of eq. 1.
public struct Turn: Hashable, Sendable {
  public var question: String
  public var answer: String
  public init(question: String, answer: String) {
    self.question = question
    self.answer = answer
  }
}

/// Whether the picture stands before or after the first question: the two forms of eq. 2.
public enum ImagePlacement: Hashable, Sendable { case beforeQuestion, afterQuestion }

/// A dialogue about a picture, single- or multi-turn in one form: `(V_i, C_i)` of eq. 1.
public struct Conversation: Hashable, Sendable {
  public var image: Digest?
  public var placement: ImagePlacement
  public var turns: [Turn]
  public init(image: Digest?, placement: ImagePlacement, turns: [Turn]) {
    self.image = image
    self.placement = placement
    self.turns = turns
  }
}

/// A picture with the sentence that describes it: the material of stage 1.
public struct CaptionPair: Hashable, Sendable {
  public var image: Digest
  public var caption: String
  public init(image: Digest, caption: String) {
    self.image = image
    self.caption = caption
  }
}
