import Domain
import Formats
import Foundation
import Shapes
import Transformer

/// Everything a cluster needs to run, in a folder of its own and as small as it gets: pictures and
/// questions of the embedded world, and models with random weights that have learned nothing.
///
/// What such models say is noise, but deterministic noise: enough to test everything but learning.
public struct TinyCluster: Sendable {
  public let folder: String
  public var config: String { folder + "/cluster.yaml" }

  /// - Parameters:
  ///   - instructions: in the tuning pool; two about each picture.
  ///   - extra: lines of YAML that go below the defaults of the fixture, whole sections.
  public init(
    instructions: Int = 12, iterations: Int = 1, extra: String = ""
  ) throws {
    folder = NSTemporaryDirectory() + "tiny-cluster-\(UUID().uuidString)"
    try FileManager.default.createDirectory(
      atPath: folder + "/images", withIntermediateDirectories: true)
    try writeData(instructions: instructions)
    try Self.model(seed: 1, layers: 2).save(folder: made("teacher"))
    try Self.model(seed: 2, layers: 1).save(folder: made("student"))
    let text = """
      run: tiny
      coordinator:
        control: "\(Self.anyPort)"
        bulk: "\(Self.anyPort)"
        dashboard: none
      models:
        teacher: { path: teacher, conversation: plain }
        student: { path: student, conversation: plain }
      data: { instructions: instructions.json, images: images, captions: captions.json }
      method: { iterations: \(iterations), judge_attempts: 2, seed: 7 }
      tokens_max: { answer: 6, judge: 6, instruction: 6 }
      pretrain: { batch: 8, learning_rate: 1e-2, virtual_ranks: 6, checkpoint_every: 2 }
      tune: { batch: 4, learning_rate: 1e-2, virtual_ranks: 6, checkpoint_every: 2 }
      evaluate: [ { name: exact-match, path: evaluation.jsonl } ]
      \(extra)
      """
    try Data(text.utf8).write(to: URL(filePath: config))
  }

  private static let anyPort = "tcp://127.0.0.1:0"

  /// Puts the coordinator at ports of its own choosing no longer, but at these.
  public func listen(control: Int, bulk: Int) throws {
    var text = try String(contentsOfFile: config, encoding: .utf8)
    for (name, port) in [("control", control), ("bulk", bulk)] {
      text = text.replacingOccurrences(
        of: "\(name): \"\(Self.anyPort)\"", with: "\(name): \"tcp://127.0.0.1:\(port)\"")
    }
    try Data(text.utf8).write(to: URL(filePath: config))
  }

  public func remove() { try? FileManager.default.removeItem(atPath: folder) }

  private func made(_ name: String) throws -> String {
    let path = folder + "/" + name
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    return path
  }

  private struct Record: Encodable {
    struct Message: Encodable {
      var from: String
      var value: String
    }
    var id: String
    var image: String
    var conversations: [Message]
  }
  private struct Caption: Encodable {
    var image: String
    var caption: String
  }
  private struct Item: Encodable {
    var image: String
    var question: String
    var answer: String
    var category: String
  }

  private func writeData(instructions: Int) throws {
    var random = SeededRandom(seed: 1, "tiny cluster")
    var records: [Record] = []
    var captions: [Caption] = []
    var items: [Item] = []
    while records.count * 2 < instructions {
      let scene = Scene.sample(from: .run, using: &random)
      let exercises = scene.exercises(3, of: QuestionKind.allCases, using: &random)
      guard exercises.count == 3 else { continue }
      let name = "\(records.count).png"
      let drawing = Picture(
        width: Drawing.side, height: Drawing.side, pixels: scene.drawing().bytes)
      try Data(drawing.png()).write(to: URL(filePath: "\(folder)/images/\(name)"))
      let turns = exercises.prefix(2).flatMap { exercise in
        [
          Record.Message(from: "human", value: exercise.question.text),
          Record.Message(from: "gpt", value: "this answer is dropped"),
        ]
      }
      records.append(Record(id: "r\(records.count)", image: name, conversations: turns))
      captions += (0..<3).map { _ in Caption(image: name, caption: scene.caption) }
      items.append(
        Item(
          image: "images/" + name, question: exercises[2].question.text,
          answer: exercises[2].answer.text,
          category: exercises[2].question.query.kind.dimension.name))
    }
    let encoder = JSONEncoder()
    try encoder.encode(records).write(to: URL(filePath: folder + "/instructions.json"))
    try encoder.encode(captions).write(to: URL(filePath: folder + "/captions.json"))
    let lines = try items.map { String(decoding: try encoder.encode($0), as: UTF8.self) + "\n" }
    try Data(lines.joined().utf8).write(to: URL(filePath: folder + "/evaluation.jsonl"))
  }

  /// Names of the tensors in which two folders of a model differ.
  public static func tensorsThatDiffer(_ a: String, _ b: String) throws -> Set<String> {
    let (a, b) = (try TensorStore(folder: a), try TensorStore(folder: b))
    let all = Set(a.names).union(b.names)
    return try all.filter { name in
      guard a.contains(name), b.contains(name) else { return true }
      return try a.floats(name) != b.floats(name)
    }
  }

  private static func model(seed: UInt64, layers: Int) throws -> Model {
    let tokenizer = try tokenizer()
    let vision = VisionConfig(
      family: .dinov2, hiddenSize: 16, intermediateSize: 32, layerCount: 1, headCount: 2,
      imageSize: Drawing.side, patchSize: Drawing.cellSide, normEpsilon: 1e-6, activation: .gelu)
    let text = DecoderConfig(
      architecture: .llama, vocabularySize: tokenizer.vocabularyCount, hiddenSize: 24,
      intermediateSize: 48, layerCount: layers, headCount: 2, keyValueHeadCount: 1, headSize: 12,
      contextLength: 256, normEpsilon: 1e-5, ropeBase: 10_000, queryKeyValueBias: false,
      tiedEmbedding: true, beginToken: 2, endTokens: [3], padToken: 0)
    let config = LlavaConfig(
      text: text, vision: vision, imageToken: 4, featureLayer: -1, imageTokenCount: 9)
    let processor = ImageProcessor(
      kind: .bit, resize: .exact(ImageProcessor.Size(height: 48, width: 48)), crop: nil,
      normalization: ImageProcessor.Normalization(
        mean: [0.5, 0.5, 0.5], deviation: [0.25, 0.25, 0.25]))
    return Model.random(
      .llava(config), RandomInitialisation(seed: seed, deviation: 0.2), tokenizer: tokenizer,
      imageProcessor: processor)
  }

  private static func tokenizer() throws -> Tokenizer {
    let controls = ["<pad>", "<unk>", "<s>", "</s>", "<image>"]
    let words = Set(worldWords).union((1...10).map(String.init)).sorted()
    func quoted(_ text: String) -> String { "\"\(text)\"" }
    let vocabulary = (controls + words).enumerated().map { "\(quoted($1)):\($0)" }
    let added = controls.enumerated().map { id, name in
      "{\"id\":\(id),\"content\":\(quoted(name)),\"special\":true}"
    }
    let json = """
      {"added_tokens":[\(added.joined(separator: ","))],"normalizer":null,
      "pre_tokenizer":{"type":"Whitespace"},"post_processor":null,"decoder":null,
      "model":{"type":"WordLevel","vocab":{\(vocabulary.joined(separator: ","))},
      "unk_token":"<unk>"}}
      """
    let config = """
      {"bos_token":"<s>","eos_token":"</s>","unk_token":"<unk>","pad_token":"<pad>"}
      """
    return try Tokenizer(
      json: Array(json.utf8), config: Array(config.utf8), name: "the fixture's tokenizer.json")
  }
}
