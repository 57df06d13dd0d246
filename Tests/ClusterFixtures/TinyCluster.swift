import Formats
import Foundation
import Shapes
import ShapesTraining
import Transformer

/// Everything a cluster needs to run, in a folder of its own and as small as it gets: pictures and
/// questions of the embedded world, and models with random weights that have learned nothing.
///
/// What such models say is noise, but deterministic noise: enough to test everything but learning.
public struct TinyCluster: Sendable {
  public let folder: String
  public var config: String { folder + "/cluster.yaml" }
  /// The first of the pictures.
  public var picture: String { folder + "/images/run-00000.png" }

  /// - Parameters:
  ///   - instructions: in the tuning pool; two about each picture, so an even number.
  ///   - precision: of both models.
  ///   - tune: further keys of that section, each with a comma behind it.
  ///   - extra: lines of YAML that go below the defaults of the fixture, whole sections.
  public init(
    instructions: Int = 12, iterations: Int = 1, precision: String = "f32", tune: String = "",
    extra: String = ""
  ) throws {
    folder = NSTemporaryDirectory() + "tiny-cluster-\(UUID().uuidString)"
    try FileManager.default.createDirectory(
      atPath: folder, withIntermediateDirectories: true)
    let pictures = instructions / 2
    try writeWorldData(
      folder: folder, split: .run, scenes: pictures, captions: 3 * pictures, evaluation: 1,
      questions: 2, seed: 1)
    try Self.model(seed: 1, layers: 2).save(folder: made("teacher"))
    try Self.model(seed: 2, layers: 1).save(folder: made("student"))
    let text = """
      run: tiny
      coordinator:
        control: "\(Self.anyPort)"
        bulk: "\(Self.anyPort)"
        dashboard: none
      models:
        teacher: { path: teacher, conversation: plain, precision: \(precision) }
        student: { path: student, conversation: plain, precision: \(precision) }
      data: { instructions: instructions.json, images: images, captions: captions.json }
      method: { iterations: \(iterations), judge_attempts: 2, seed: 7 }
      tokens_max: { answer: 6, judge: 6, instruction: 6 }
      pretrain: { batch: 8, learning_rate: 1e-2, virtual_ranks: 6, checkpoint_every: 2 }
      tune: { \(tune) batch: 4, learning_rate: 1e-2, virtual_ranks: 6, checkpoint_every: 2 }
      evaluate: [ { name: exact-match, path: evaluation.jsonl, limit: \(pictures) } ]
      \(extra)
      """
    try Data(text.utf8).write(to: URL(filePath: config))
  }

  private static let anyPort = "tcp://127.0.0.1:0"

  /// Has the coordinator listen at these ports instead of any that are free.
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
    let tokenizer = try worldTokenizer(prompts: [:])
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
}
