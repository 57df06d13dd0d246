import Formats
import Foundation
import Kernels
import TestSupport
import Testing

@testable import Transformer

private let smollm2 = "SmolLM2-135M-Instruct.Q4_1.gguf"

/// What llama.cpp answered; see `make_smollm2.py`.
private struct LlamaGolden: Decodable {
  struct Case: Decodable {
    var prompt: String
    var promptTokens: Int
    var tokens: [Int32]
    var text: String

    enum CodingKeys: String, CodingKey {
      case prompt, tokens, text
      case promptTokens = "prompt_tokens"
    }
  }
  var cases: [Case]
}

@Suite("SmolLM2-135M with real weights", .serialized)
struct RealModelTests {
  @Test(
    "continues 5 prompts greedily with the same 64 tokens as llama.cpp, decoded and in its codes",
    .needs(.models), arguments: [false, true])
  func greedy(inCodes: Bool) throws {
    let compute = try Compute()
    let model = try Model.load(
      Provision.models.path(smollm2), for: inCodes ? .generation(.f32, on: compute) : .anything)
    let tokenizer = try #require(model.tokenizer)
    let golden = try JSONDecoder().decode(
      LlamaGolden.self, from: Data(contentsOf: URL(fileURLWithPath: fixtures + "/smollm2.json")))
    #expect(golden.cases.count == 5)
    let requests = golden.cases.map { example in
      GenerationInput(
        ModelInput(tokens: tokenizer.encodeWithControl(example.prompt)), tokensMax: 64,
        stops: model.endTokens)
    }
    let answers = try Generator(model: model, compute: compute).run(requests)
    for (answer, example) in zip(answers, golden.cases) {
      #expect(answer.promptTokens == example.promptTokens)
      #expect(answer.tokens == example.tokens, "\(tokenizer.decode(answer.tokens))")
      #expect(tokenizer.decode(answer.tokens) == example.text)
    }
  }

  @Test(
    "is assembled with a DINOv2 tower, cut, saved and loaded as the same model",
    .needs(.models))
  func assembled() throws {
    let folder = try Provision.models.path()
    let language = try Model.load("\(folder)/\(smollm2)").cut(layers: 2)
    let processor = ImageProcessor(
      kind: .bit, resize: .shortestEdge(256), crop: .init(height: 224, width: 224),
      normalization: .imageNet)
    func assemble(_ token: String) throws -> Model {
      try Model.assemble(
        language: language, tower: folder + "/dinov2-vit-s14", imageToken: token,
        imageProcessor: processor, imageTokenCount: 256, seed: 7)
    }
    #expect(throws: AssemblyError.unknownImageToken("<picture>")) { try assemble("<picture>") }
    #expect(throws: AssemblyError.noImageProcessor(folder: folder + "/dinov2-vit-s14")) {
      try Model.assemble(
        language: language, tower: folder + "/dinov2-vit-s14", imageToken: "<empty_output>",
        seed: 7)
    }
    let model = try assemble("<empty_output>")
    let imageToken = try #require(model.imageToken)
    let image = ModelImage(
      PixelValues(channels: 3, height: 224, width: 224, values: values(3 * 224 * 224)))
    try withTemporaryFolder { saved in
      try model.save(folder: saved)
      let again = try Model.load(saved)
      #expect(again.config == model.config)
      #expect(again.parameters.count == model.parameters.count)
      #expect(again.imageProcessor == processor)
      let compute = try Compute()
      let tokens = [1, imageToken, 100, 200]
      let logits = try model.logits(
        of: model.trainingInput(tokens: tokens, images: [image]), on: compute)
      #expect(logits.count == (256 + 3) * model.text.vocabularySize)
      let logitsAgain = try again.logits(
        of: again.trainingInput(tokens: tokens, images: [image]), on: compute)
      #expect(logitsAgain.array == logits.array)
    }
  }
}
