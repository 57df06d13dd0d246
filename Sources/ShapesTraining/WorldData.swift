import Domain
import Formats
import Foundation
public import Shapes

/// Names of the files that `writeWorldData` writes.
public enum WorldFile {
  public static let images = "images"
  public static let instructions = "instructions.json"
  public static let captions = "captions.json"
  public static let evaluation = "evaluation.jsonl"
}

/// Writes pictures with questions and captions in the forms in which a run reads them: LLaVA's JSON
/// for the instructions (one record for each picture and task type), pairs for stage 1, and an
/// examination with exact answers whose categories are the nine dimensions. Every picture's scene
/// stands beside it as its code, for the oracle.
///
/// - Parameters:
///   - scenes: pictures of instructions, as many of captions, of `split`; and as many of the
///     evaluation split.
///   - questions: for each picture, at most.
/// - Throws: when a file cannot be written.
public func writeWorldData(
  folder: String, split: Split, scenes count: Int, captions captionCount: Int,
  evaluation evaluationPerKind: Int, questions: Int, seed: UInt64
) throws {
  let images = URL(fileURLWithPath: folder).appendingPathComponent(WorldFile.images)
  try FileManager.default.createDirectory(at: images, withIntermediateDirectories: true)
  var random = SeededRandom(seed: seed, "world data")

  var instructions: [InstructionRecord] = []
  for number in 0..<count {
    let scene = Scene.sample(from: split, using: &random)
    let name = String(format: "run-%05d.png", number)
    try write(scene, images.appendingPathComponent(name))
    let exercises = scene.exercises(questions, of: QuestionKind.allCases, using: &random)
    instructions += records(exercises, scene: scene, image: name)
  }
  try write(instructions, folder + "/" + WorldFile.instructions)

  var captions: [CaptionRecord] = []
  for number in 0..<captionCount {
    let scene = Scene.sample(from: split, using: &random)
    let name = String(format: "caption-%05d.png", number)
    try write(scene, images.appendingPathComponent(name))
    captions.append(CaptionRecord(image: name, caption: scene.caption, scene: scene.code))
  }
  try write(captions, folder + "/" + WorldFile.captions)

  var lines: [ExaminationRecord] = []
  for item in examination(from: .evaluation, perKind: evaluationPerKind, seed: seed) {
    let name = String(format: "evaluation-%05d.png", lines.count)
    try write(item.scene, images.appendingPathComponent(name))
    let question = item.exercise.question
    lines.append(
      ExaminationRecord(
        id: String(lines.count + 1), image: WorldFile.images + "/" + name, question: question.text,
        answer: item.exercise.answer.text, category: question.query.kind.dimension.name,
        scene: item.scene.code))
  }
  let encoder = jsonEncoder()
  var text = Data()
  for line in lines {
    text.append(try encoder.encode(line))
    text.append(UInt8(ascii: "\n"))
  }
  try text.write(to: URL(fileURLWithPath: folder + "/" + WorldFile.evaluation), options: .atomic)
}

extension Drawing {
  /// The drawing as a PNG file.
  public var png: [UInt8] {
    Picture(width: Drawing.side, height: Drawing.side, pixels: bytes).png()
  }
}

private struct InstructionRecord: Encodable {
  struct Message: Encodable {
    var from: String
    var value: String
  }
  var id: String
  var image: String
  var type: String
  var scene: String
  var conversations: [Message]
}

private struct CaptionRecord: Encodable {
  var image: String
  var caption: String
  var scene: String
}

private struct ExaminationRecord: Encodable {
  var id: String
  var image: String
  var question: String
  var answer: String
  var category: String
  var scene: String
}

/// A record for each task type, with the true answers: a run leaves them out.
private func records(
  _ exercises: [Exercise], scene: Scene, image: String
) -> [InstructionRecord] {
  let tasks: [TaskType] = [.conversation, .detail, .complexReasoning]
  return tasks.compactMap { task in
    let turns = exercises.filter { $0.question.query.kind.task == task }
    guard !turns.isEmpty else { return nil }
    var messages: [InstructionRecord.Message] = []
    for (number, turn) in turns.enumerated() {
      let mark = number == 0 ? "<image>\n" : ""
      messages.append(.init(from: "human", value: mark + turn.question.text))
      messages.append(.init(from: "gpt", value: turn.answer.text))
    }
    let id = image.prefix { $0 != "." } + "-" + task.name
    return InstructionRecord(
      id: String(id), image: image, type: task.name, scene: scene.code, conversations: messages)
  }
}

private func write(_ scene: Scene, _ url: URL) throws {
  try Data(scene.drawing().png).write(to: url, options: .atomic)
}

private func write(_ records: some Encodable, _ path: String) throws {
  try jsonEncoder().encode(records).write(to: URL(fileURLWithPath: path), options: .atomic)
}

private func jsonEncoder() -> JSONEncoder {
  let encoder = JSONEncoder()
  encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
  return encoder
}
