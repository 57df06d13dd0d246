import Domain
import Formats
import Foundation
import Kernels
import Shapes
import TestSupport
import Testing
import Transformer

/// Runs the program and gives what it printed.
private func comd(_ arguments: [String], in folder: String) async throws -> String {
  let process = try ComdProcess(arguments, in: folder)
  let (status, output) = await process.end()
  let said = await process.said().joined(separator: "\n")
  #expect(status == 0, "\(arguments): \(said)")
  return output
}

private func decoded<Value: Decodable>(_ output: String, _ type: Value.Type) throws -> Value {
  let decoder = JSONDecoder()
  decoder.keyDecodingStrategy = .convertFromSnakeCase
  return try decoder.decode(type, from: Data(output.utf8))
}

private let transformers = fixture("Transformer")
private let world = repository.appending(path: "Models/shapes").path

private func list(_ values: [Float]) -> String {
  values.map { "\(Int($0))" }.joined(separator: ",")
}

/// A scene of the embedded world, its picture in a folder, and what is asked about it.
private struct Sight {
  let scene: Scene
  let exercise: Exercise
  let picture: String

  init(_ seed: UInt64, in folder: TemporaryFolder) throws {
    var random = SeededRandom(seed: seed, "sight")
    scene = Scene.sample(from: .evaluation, using: &random)
    exercise = try #require(scene.exercises(1, of: [.sceneName], using: &random).first)
    let drawing = Picture(
      width: Drawing.side, height: Drawing.side, pixels: scene.drawing().bytes)
    picture = try folder.write("scene.png", drawing.png())
  }
}

@Suite("comd parity")
struct ParityCommandTests {
  private let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  @Test("precision says how far generation in int8 is from that in f32: not the same, and near")
  func precision() async throws {
    struct Loss: Decodable {
      var positions: Int
      var divergenceMean: Double
      var divergenceMax: Double
      var sameChoice: Double
      var perplexity: Double
      var perplexityThere: Double
    }
    let output = try await comd(
      [
        "parity", "precision", "--model", world + "/student", "--threads", "1", "--json", "--text",
        "there is a red circle above a blue square and a green triangle",
      ], in: folder.path)
    let loss = try decoded(output, Loss.self)
    #expect(loss.positions > 5)
    #expect(0 < loss.divergenceMean && loss.divergenceMean <= loss.divergenceMax)
    #expect(loss.divergenceMean < 0.05 && loss.sameChoice > 0.8)
    #expect(loss.perplexity != loss.perplexityThere)
    #expect(abs(loss.perplexity / loss.perplexityThere - 1) < 0.2)
    let half = try decoded(
      try await comd(
        [
          "parity", "precision", "--model", world + "/student", "--precision", "bf16", "--json",
          "--text", "there is a red circle above a blue square and a green triangle",
        ], in: folder.path), Loss.self)
    #expect(0 < half.divergenceMean && half.divergenceMean < loss.divergenceMean)
  }

  @Test("logits writes those of transformers")
  func logits() async throws {
    struct Written: Decodable { var shape: [Int] }
    let golden = try TensorStore(safetensors: transformers + "/llama-bias/golden.safetensors")
    let out = folder.path("logits.safetensors")
    let output = try await comd(
      [
        "parity", "logits", "--model", transformers + "/llama-bias", "--tokens",
        list(golden.floats("input_ids")), "--out", out, "--json",
      ], in: folder.path)
    let found = try TensorStore(safetensors: out)
    #expect(try decoded(output, Written.self).shape == golden.shape(of: "logits"))
    #expect(try found.shape(of: "logits") == golden.shape(of: "logits"))
    #expect(try relativeDifference(found.floats("logits"), golden.floats("logits")) < 1e-4)
  }

  @Test("gradients writes those of transformers, and their loss")
  func gradients() async throws {
    let golden = try TensorStore(safetensors: transformers + "/qwen2/golden.safetensors")
    let out = folder.path("gradients.safetensors")
    let output = try await comd(
      [
        "parity", "gradients", "--model", transformers + "/qwen2", "--tokens",
        list(golden.floats("input_ids")), "--mask", list(golden.floats("mask")), "--out", out,
      ], in: folder.path)
    let found = try TensorStore(safetensors: out)
    let loss = try found.floats("loss")
    #expect(try abs(loss[0] - golden.floats("loss")[0]) < 1e-4)
    #expect(output.hasPrefix("loss \(loss[0])".prefix(10)))
    let names = golden.names.filter { $0.hasPrefix("gradient/") }
    #expect(Set(found.names) == Set(names.map { String($0.dropFirst(9)) } + ["loss"]))
    for name in names {
      let gradient = try found.floats(String(name.dropFirst(9)))
      #expect(try relativeDifference(gradient, golden.floats(name)) < 1e-3, "\(name)")
    }
  }

  @Test("gradients of a conversation about a picture are those of the tokens that it tells")
  func conversation() async throws {
    struct Facts: Decodable {
      var loss: Double
      var tokens: [[Int32]]
      var mask: [[Int]]
    }
    let sight = try Sight(3, in: folder)
    let conversations = try folder.write(
      "conversations.json",
      """
      [{"image": "scene.png", "conversations": [
        {"from": "human", "value": "<image>\\n\(sight.exercise.question.text)"},
        {"from": "gpt", "value": "\(sight.exercise.answer.text)"}]}]
      """)
    let words = [
      "parity", "gradients", "--model", world + "/student", "--image", sight.picture, "--train",
      "projector", "--json",
    ]
    let told = try decoded(
      await comd(
        words + ["--conversation", "plain", "--conversations", conversations]
          + ["--out", folder.path("told")], in: folder.path), Facts.self)
    #expect(told.tokens.count == 1 && told.mask.count == 1 && told.loss > 0)
    let model = try Model.load(world + "/student")
    let image = try #require(model.imageToken)
    let trained = zip(told.tokens[0], told.mask[0]).filter { $0.1 == 1 }.map(\.0)
    let tokenizer = try #require(model.tokenizer)
    #expect(tokenizer.decode(trained) == sight.exercise.answer.text)
    #expect(told.tokens[0].count { $0 == image } == 1)

    let again = try decoded(
      await comd(
        words + ["--tokens", list(told.tokens[0].map(Float.init))]
          + ["--mask", list(told.mask[0].map(Float.init)), "--out", folder.path("again")],
        in: folder.path), Facts.self)
    #expect(again.loss == told.loss && again.tokens == told.tokens)
    let (one, other) = try (
      TensorStore(safetensors: folder.path("told")), TensorStore(safetensors: folder.path("again"))
    )
    #expect(one.names == other.names && one.names.count > 1)
    for name in one.names {
      #expect(name == "loss" || name.hasPrefix("multi_modal_projector."))
      let values = try one.floats(name)
      #expect(try bits(values) == bits(other.floats(name)), "\(name)")
      #expect(values.contains { $0 != 0 }, "\(name)")
    }
  }

  @Test("tokens prints the ids of a text, control tokens parsed", arguments: ["llama", "qwen2"])
  func tokens(_ name: String) async throws {
    let golden = try TensorStore(
      safetensors: "\(transformers)/gguf/\(name)-golden.safetensors")
    let output = try await comd(
      [
        "parity", "tokens", "--model", "\(transformers)/gguf/\(name).gguf", "--text",
        "the cat<|sep|> that the hat",
      ], in: folder.path)
    #expect(output == (try list(golden.floats("input_ids"))) + "\n")
  }

  @Test("image writes the pixels that transformers and Pillow make of a picture")
  func image() async throws {
    let pictures = fixture("Formats/images")
    let golden = try TensorStore(safetensors: pictures + "/processed.safetensors")
    let out = folder.path("pixels.safetensors")
    _ = try await comd(
      [
        "parity", "image", "--model", pictures + "/processor-padded", "--image",
        pictures + "/wide.png", "--out", out,
      ], in: folder.path)
    let found = try TensorStore(safetensors: out)
    #expect(try found.shape(of: "pixel_values") == golden.shape(of: "padded wide.png"))
    #expect(
      try relativeDifference(found.floats("pixel_values"), golden.floats("padded wide.png")) == 0)
  }
}

@Suite("comd model")
struct ModelCommandTests {
  private let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  @Test("info tells the sizes of a model")
  func info() async throws {
    struct Facts: Decodable {
      struct Part: Decodable {
        var name: String
        var parameters: Int
      }
      var architecture: String
      var parts: [Part]
      var parameters: Int
      var layers: Int
      var vocabulary: Int
      var imageTokens: Int
      var hasTokenizer: Bool
    }
    let path = transformers + "/llava-full"
    let facts = try decoded(
      await comd(["model", "info", path, "--json"], in: folder.path), Facts.self)
    #expect(facts.architecture == "llava (dinov2, llama)")
    #expect(facts.parts.map(\.name) == ["unused", "vision", "projector", "language"])
    // Weights and biases of 24 × 36 and of 36 × 36.
    #expect(facts.parts[2].parameters == 36 * 25 + 36 * 37)
    #expect(facts.parts.reduce(0) { $0 + $1.parameters } == facts.parameters)
    #expect(facts.parameters == (try Model.load(path).parameters.count))
    #expect(facts.layers == 2 && facts.vocabulary == 61 && facts.imageTokens == 17)
    #expect(!facts.hasTokenizer)
    let text = try await comd(["model", "info", path], in: folder.path)
    #expect(text.contains("vocabulary 61, context 128, 17 embeddings a picture"))
    #expect(text.contains("tokenizer: none"))
  }

  @Test("info plans the memory of a model from its config alone")
  func plan() async throws {
    struct Facts: Decodable {
      struct Generation: Decodable {
        var batch: Int
        var context: Int
        var weightBytes: Int
        var keyValueBytes: Int
        var totalBytes: Int
      }
      struct Training: Decodable {
        struct Share: Decodable {
          var shards: Int
          var bytesPerWorker: Int
        }
        var stateBytes: Int
        var activationBytes: Int
        var workers: [Share]
      }
      var parameters: Int
      var generation: Generation
      var training: Training
      var keyValueBytesPerToken: Int
    }
    let config = try String(contentsOfFile: transformers + "/llama/config.json", encoding: .utf8)
    _ = try folder.write("outline/config.json", config)
    let path = folder.path("outline")
    let words = ["model", "info", path, "--batch", "3", "--context", "70", "--rows", "100"]
    let facts = try decoded(await comd(words + ["--json"], in: folder.path), Facts.self)
    #expect(facts.generation.batch == 3 && facts.generation.context == 70)
    // 70 positions are two pages of 64.
    #expect(facts.generation.keyValueBytes == 3 * 128 * facts.keyValueBytesPerToken)
    #expect(facts.generation.weightBytes >= 4 * facts.parameters)
    #expect(facts.training.stateBytes == 16 * facts.parameters)
    #expect(facts.training.workers.map(\.shards) == [1, 2, 4, 8])
    #expect(
      facts.training.workers[2].bytesPerWorker
        == (facts.training.stateBytes + 3) / 4 + facts.training.activationBytes)
    #expect(try await comd(words, in: folder.path).contains("MiB a worker"))
    let lora = ["--train", "lora", "--rank", "5", "--recompute", "--json"]
    let small = try decoded(await comd(words + lora, in: folder.path), Facts.self).training
    // In each of 2 blocks A and B of 5 on every side: queries and outputs of 48, keys and values of
    // 16, three of 44, all beside 36 columns. 16 bytes for each of them, 4 for what is frozen.
    let trained = 2 * 5 * (2 * (36 + 48) + 2 * (36 + 16) + 3 * (36 + 44))
    #expect(small.stateBytes == 4 * facts.parameters + 16 * trained)
    #expect(small.activationBytes < facts.training.activationBytes)
    let refused = try ComdProcess(words + ["--memory", "1KiB"], in: folder.path)
    #expect(await refused.end().status == 1)
    #expect(await refused.said().joined().contains("weights"))
  }

  @Test("generate lets the world's teacher name the scene that it is shown")
  func generate() async throws {
    struct Answer: Decodable {
      var text: String
      var promptTokens: Int
      var tokens: [Int32]
      var stop: String
    }
    let sight = try Sight(4, in: folder)
    let words = [
      "generate", "--model", world + "/teacher", "--image", sight.picture, "--prompt",
      sight.exercise.question.text, "--conversation", "plain",
    ]
    let text = try await comd(words, in: folder.path)
    #expect(text == sight.exercise.answer.text + "\n")
    let answer = try decoded(
      await comd(["model"] + words + ["--json"], in: folder.path), Answer.self)
    #expect(answer.text + "\n" == text && answer.stop == "stopToken")
    let cut = try decoded(
      await comd(words + ["--max-tokens", "1", "--json"], in: folder.path), Answer.self)
    #expect(cut.stop == "tokensMax" && cut.tokens == Array(answer.tokens.prefix(1)))
    #expect(cut.promptTokens == answer.promptTokens)
  }

  @Test("convert writes a GGUF file as a folder, in the precision asked for")
  func convert() async throws {
    let source = transformers + "/gguf/qwen2.gguf"
    let model = try Model.load(source)
    let out = folder.path("whole")
    let output = try await comd(["convert", source, "--out", out], in: folder.path)
    #expect(output == out + "\n")
    let whole = try Model.load(out)
    #expect(whole.config == model.config && whole.tokenizer != nil)
    #expect(whole.parameters.array == model.parameters.array)
    _ = try await comd(
      ["model", "convert", source, "--precision", "bf16", "--out", folder.path("half")],
      in: folder.path)
    let half = try Model.load(folder.path("half")).parameters.array
    #expect(half != model.parameters.array)
    #expect(relativeDifference(half, model.parameters.array) < 1 / 256)
  }

  @Test("assemble puts a language model behind a tower, and a projector from the seed between")
  func assemble() async throws {
    let seeing = try Model.load(transformers + "/llava-dinov2")
    let tower = try #require(seeing.llava).vision
    let towerFolder = folder.path("tower")
    try FileManager.default.createDirectory(
      atPath: towerFolder, withIntermediateDirectories: true)
    try ModelConfig.vision(tower).save(folder: towerFolder)
    let prefix = "vision_tower."
    try writeSafetensors(
      seeing.layout.parameters.filter { $0.name.hasPrefix(prefix) }.map {
        TensorShape(name: String($0.name.dropFirst(prefix.count)), shape: $0.shape)
      }, precision: .f32, to: towerFolder + "/model.safetensors"
    ) { name, range, target in
      guard let tensor = seeing.tensor(prefix + name) else { return }
      for (place, index) in range.enumerated() { target[place] = tensor[index] }
    }
    let language = transformers + "/gguf/llama.gguf"
    func assembled(_ name: String, seed: Int) async throws -> Model {
      _ = try await comd(
        [
          "model", "assemble", "--language", language, "--vision", towerFolder, "--image-token",
          "<|sep|>", "--layers", "1", "--image-size", "24", "--feature-layer=-1", "--seed",
          "\(seed)", "--out", folder.path(name),
        ], in: folder.path)
      return try Model.load(folder.path(name))
    }
    let model = try await assembled("one", seed: 5)
    #expect(model.imageToken == 1 && model.text.layerCount == 1)
    let llava = try #require(model.llava)
    #expect(llava.imageTokenCount == 16 && llava.featureLayer == -1)
    let source = try Model.load(language)
    for parameter in model.layout.parameters {
      let found = try #require(model.tensor(parameter.name)).array
      if parameter.name.hasPrefix("language_model.") {
        let name = String(parameter.name.dropFirst("language_model.".count))
        #expect(found == source.tensor(name)?.array, "\(name)")
      } else if parameter.name.hasPrefix(prefix) {
        #expect(found == seeing.tensor(parameter.name)?.array, "\(parameter.name)")
      }
    }
    let projector = "multi_modal_projector.linear_1.weight"
    let drawn = try #require(model.tensor(projector)).array
    let same = try await assembled("same", seed: 5)
    #expect(same.tensor(projector)?.array == drawn)
    let other = try await assembled("other", seed: 6)
    #expect(other.tensor(projector)?.array != drawn)
  }
}
