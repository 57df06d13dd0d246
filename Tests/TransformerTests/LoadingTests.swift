import Formats
import Foundation
import Kernels
import TestSupport
import Testing

@testable import Transformer

@Suite("A model on disk")
struct LoadingTests {
  @Test("is the same model after saving and loading", arguments: Golden.cases.map(\.name))
  func roundTrip(name: String) throws {
    let model = try Golden(name).model
    try withTemporaryFolder { folder in
      try model.save(folder: folder)
      let again = try Model.load(folder)
      #expect(again.config == model.config)
      #expect(again.parameters.array == model.parameters.array)
      try model.save(folder: folder + "/half", precision: .bf16)
      let half = try Model.load(folder + "/half").parameters.array
      #expect(relativeDifference(half, model.parameters.array) < 1 / 256)
      #expect(half != model.parameters.array)
    }
  }

  @Test("answers the same when it was loaded to generate only, its matrices in memory once")
  func generatingOnly() throws {
    let compute = try Compute()
    for (name, _) in Golden.cases {
      let golden = try Golden(name)
      let model = try Model.load("\(fixtures)/\(name)", for: .generation(.f32, on: compute))
      #expect(!model.isTrainable && model.parameters.count < golden.model.parameters.count / 2)
      let images = try golden.images
      let pieces = [Piece.token(6)] + images.indices.map { .image($0) } + [.token(9), .token(7)]
      let request = GenerationInput(ModelInput(pieces: pieces, images: images), tokensMax: 6)
      let answers = try [golden.model, model].map {
        try Generator(model: $0, compute: compute).run([request])
      }
      #expect(answers[0] == answers[1], "\(name)")
    }
  }

  @Test("with a projector of one layer is saved as two layers, the second of which does nothing")
  func linearProjector() throws {
    let golden = try Golden("llava-clip")
    var llava = try #require(golden.model.llava)
    llava.projector = .linear
    let model = Model.random(.llava(llava), RandomInitialisation(seed: 1))
    try withTemporaryFolder { folder in
      try model.save(folder: folder)
      let again = try Model.load(folder)
      #expect(again.config == model.config)
      #expect(again.parameters.array == model.parameters.array)
      let store = try TensorStore(folder: folder)
      let columns = llava.text.hiddenSize
      let second = try store.floats("multi_modal_projector.linear_2.weight")
      #expect(second.indices.allSatisfy { second[$0] == ($0 % (columns + 1) == 0 ? 1 : 0) })
    }
  }

  @Test("has the tensors and the keys of the folder that transformers wrote for it")
  func sameFolder() throws {
    let golden = try Golden("llava-linear")
    let expected = try TensorStore(folder: "\(fixtures)/llava-linear")
    try withTemporaryFolder { folder in
      try golden.model.save(folder: folder)
      let found = try TensorStore(folder: folder)
      #expect(found.names == expected.names)
      for name in expected.names {
        #expect(try found.shape(of: name) == expected.shape(of: name), "\(name)")
        #expect(try found.floats(name) == expected.floats(name), "\(name)")
      }
      let keys = try String(contentsOfFile: folder + "/config.json", encoding: .utf8)
      #expect(keys.contains(#""projector_hidden_act": "linear""#))
      #expect(keys.contains(#""use_mask_token": false"#))
    }
  }

  @Test("with a projector of one layer is refused when its second layer does something")
  func secondLayer() throws {
    let model = try Golden("llava-linear").model
    try withTemporaryFolder { folder in
      try model.config.save(folder: folder)
      let second = TensorShape(name: "multi_modal_projector.linear_2.weight", shape: [36, 36])
      let shapes = model.layout.parameters.map { TensorShape(name: $0.name, shape: $0.shape) }
      try writeSafetensors(
        shapes + [second], precision: .f32, to: folder + "/model.safetensors"
      ) { _, range, target in
        for place in 0..<range.count { target[place] = 1 }
      }
      let error = #expect(throws: FormatError.self) { try Model.load(folder) }
      #expect(error?.subject == "tensor \(second.name)")
    }
  }

  @Test("is found under the names of older and other writers")
  func olderNames() throws {
    let golden = try Golden("llava-clip")
    let layout = golden.model.layout
    let renames: [(String) -> String] = [
      { $0.replacing("vision_tower.", with: "vision_tower.vision_model.") },
      {
        $0.replacing("language_model.lm_head", with: "lm_head")
          .replacing("language_model.model.", with: "model.language_model.")
          .replacing("vision_tower.", with: "model.vision_tower.")
          .replacing("multi_modal", with: "model.multi_modal")
      },
    ]
    for rename in renames {
      try withTemporaryFolder { folder in
        try golden.model.config.save(folder: folder)
        let names = Dictionary(
          uniqueKeysWithValues: layout.parameters.map { (rename($0.name), $0.name) })
        try writeSafetensors(
          layout.parameters.map { TensorShape(name: rename($0.name), shape: $0.shape) },
          precision: .f32, to: folder + "/model.safetensors"
        ) { name, range, target in
          guard let tensor = names[name].flatMap({ golden.model.tensor($0) }) else { return }
          for (place, index) in range.enumerated() { target[place] = tensor[index] }
        }
        let again = try Model.load(folder)
        #expect(again.parameters.array == golden.model.parameters.array)
      }
    }
  }

  @Test(
    "of Gemma-3 is found as the text half of a model that sees",
    arguments: ["model.language_model.", "language_model.model."])
  func textHalf(prefix: String) throws {
    let golden = try Golden("gemma3")
    try withTemporaryFolder { folder in
      let text = String(decoding: golden.model.config.encoded(), as: UTF8.self)
      let whole = #"{"model_type": "gemma3", "text_config": \#(text)}"#
      try Data(whole.utf8).write(to: URL(fileURLWithPath: folder + "/config.json"))
      let shapes = golden.model.layout.parameters.map {
        TensorShape(
          name: $0.name.replacing("model.", with: prefix, maxReplacements: 1), shape: $0.shape)
      }
      let tower = TensorShape(name: "vision_tower.embeddings.patch_embedding.bias", shape: [3])
      try writeSafetensors(
        shapes + [tower], precision: .f32, to: folder + "/model.safetensors"
      ) { name, range, target in
        let own = name.replacing(prefix, with: "model.", maxReplacements: 1)
        guard let tensor = golden.model.tensor(own) else { return }
        for (place, index) in range.enumerated() { target[place] = tensor[index] }
      }
      let again = try Model.load(folder)
      #expect(again.config == golden.model.config)
      #expect(again.parameters.array == golden.model.parameters.array)
    }
  }

  /// Saves a model with one tensor left out, or given another shape, and says how loading failed.
  func failure(without missing: String? = nil, reshaping wrong: String? = nil) throws
    -> FormatError?
  {
    let golden = try Golden("qwen2")
    return try withTemporaryFolder { folder -> FormatError? in
      try golden.model.config.save(folder: folder)
      let shapes = golden.model.layout.parameters.filter { $0.name != missing }.map {
        TensorShape(name: $0.name, shape: $0.name == wrong ? $0.shape.reversed() : $0.shape)
      }
      try writeSafetensors(shapes, precision: .f32, to: folder + "/model.safetensors") { _, _, _ in
      }
      do throws(FormatError) {
        _ = try Model.load(folder)
        return nil
      } catch { return error }
    }
  }

  @Test("is refused when a tensor is missing or has another shape, naming file and tensor")
  func wrongTensors() throws {
    let name = "model.layers.1.mlp.down_proj.weight"
    let missing = try #require(try failure(without: name))
    #expect(missing.problem == .missing && missing.subject.contains(name))
    #expect(missing.file.contains("comd-test-"))
    let wrong = try #require(try failure(reshaping: name))
    #expect(wrong.problem == .wrongShape(found: [36, 40]) && wrong.subject.contains(name))
    #expect(wrong.expected.contains("40"))
    #expect(try failure() == nil)
  }

  @Test("is refused when it is of no known kind, is not there, or is a tower alone")
  func unknown() throws {
    func problem(_ config: String) throws -> FormatError.Problem? {
      try withTemporaryFolder { folder -> FormatError.Problem? in
        try Data(config.utf8).write(to: URL(fileURLWithPath: folder + "/config.json"))
        do throws(FormatError) {
          _ = try Model.load(folder)
          return nil
        } catch { return error.problem }
      }
    }
    #expect(try problem(#"{"model_type": "mamba"}"#) == .unsupported(found: "\"mamba\""))
    let tower = #"{"model_type": "dinov2"}"#
    #expect(try problem(tower) == .unsupported(found: "a vision tower alone"))
    let stretched = #"{"model_type": "llama", "rope_scaling": {"type": "yarn", "factor": 2}}"#
    #expect(try problem(stretched) == .unsupported(found: "\"yarn\""))
    #expect(throws: FormatError.self) { try Model.load("/nowhere/at/all") }
  }

  @Test("assembled around a tower without class token reads all of its patches")
  func assembledSigLIP() throws {
    let golden = try Golden("llava-siglip")
    let vision = try #require(golden.model.llava?.vision)
    let edge = vision.imageSize
    let model = try withTemporaryFolder { folder in
      try ModelConfig.vision(vision).save(folder: folder)
      let prefix = "vision_tower."
      let tensors = golden.model.layout.parameters.filter { $0.name.hasPrefix(prefix) }
      try writeSafetensors(
        tensors.map { TensorShape(name: String($0.name.dropFirst(prefix.count)), shape: $0.shape) },
        precision: .f32, to: folder + "/model.safetensors"
      ) { name, range, target in
        guard let tensor = golden.model.tensor(prefix + name) else { return }
        for (place, index) in range.enumerated() { target[place] = tensor[index] }
      }
      return try Model.assemble(
        language: Model.load("\(fixtures)/gguf/llama.gguf"), tower: folder, imageToken: "<|sep|>",
        imageProcessor: ImageProcessor(
          kind: .siglip, resize: .exact(ImageProcessor.Size(height: edge, width: edge)), crop: nil),
        featureLayer: -1, seed: 1)
    }
    #expect(model.llava?.featureSelection == .all && model.llava?.imageTokenCount == 16)
    let name = "vision_tower.embeddings.position_embedding.weight"
    #expect(model.tensor(name)?.array == golden.model.tensor(name)?.array)
    let picture = PixelValues(
      channels: 3, height: edge, width: edge, values: values(3 * edge * edge))
    let sample = try model.trainingInput(
      tokens: [4, try #require(model.imageToken), 7], images: [ModelImage(picture)])
    let logits = try model.logits(of: sample, on: Compute())
    #expect(logits.count == (2 + 16) * model.text.vocabularySize)
  }

  @Test("drawn from a seed is the same every time, tensor by tensor, and another from another")
  func random() throws {
    let llava = try #require(try Golden("llava-dinov2").model.llava)
    func draw(_ seed: UInt64) -> Model {
      Model.random(.llava(llava), RandomInitialisation(seed: seed, positionDeviation: 0.5))
    }
    let model = draw(4)
    #expect(model.parameters.array == draw(4).parameters.array)
    #expect(model.parameters.array != draw(5).parameters.array)
    func deviation(_ name: String) throws -> Float {
      let values = try #require(model.tensor(name)).array
      return (values.reduce(0) { $0 + $1 * $1 } / Float(values.count)).squareRoot()
    }
    #expect(abs(try deviation("language_model.model.embed_tokens.weight") - 0.02) < 0.002)
    #expect(abs(try deviation("vision_tower.embeddings.position_embeddings") - 0.5) < 0.05)
    #expect(try deviation("vision_tower.encoder.layer.0.norm1.weight") == 1)
    #expect(try deviation("vision_tower.encoder.layer.0.layer_scale1.lambda1") == 1)
    #expect(try deviation("vision_tower.encoder.layer.0.mlp.fc1.bias") == 0)
  }

  @Test("tells its sizes")
  func info() throws {
    let golden = try Golden("llava-clip")
    let outline = ModelOutline(golden.model.config)
    #expect(outline.partSizes.map(\.part) == [.unused, .vision, .projector, .language])
    #expect(outline.partSizes.reduce(0) { $0 + $1.parameters } == outline.parameterCount)
    #expect(outline.parameterCount == golden.model.parameters.count && outline.imageTokens == 9)
    // 36 × 21 + 36, then 36 × 36 + 36; gradient and two moments of 4 bytes each.
    let state = try outline.trainingMemory(.projector, rows: 10, on: Compute()).state
    #expect(state == 4 * outline.parameterCount + 12 * (36 * 22 + 36 * 37))
    // 2 layers × keys and values × 2 heads × 8 columns × 4 bytes.
    let limits = GenerationLimits(pageRows: 16)
    #expect(outline.keyValueBytes(sequences: 1, positions: 16, limits: limits) == 16 * 256)
  }

  @Test("cut to its first layers computes what those layers compute")
  func cut() throws {
    let golden = try Golden("llama")
    let cut = golden.model.cut(layers: 1)
    #expect(cut.text.layerCount == 1)
    #expect(cut.tensor("model.layers.1.mlp.up_proj.weight") == nil)
    let whole = golden.model.copy()
    for name in ["self_attn.o_proj.weight", "mlp.down_proj.weight"] {
      whole.tensor("model.layers.1.\(name)")?.fill(0)
    }
    let compute = try Compute()
    let expected = try whole.logits(of: golden.sample, on: compute)
    #expect(try cut.logits(of: golden.sample, on: compute).array == expected.array)
    #expect(golden.model.tensor("model.layers.1.mlp.down_proj.weight")?[0] != 0)
  }
}
