import Formats
import Kernels
import TestSupport
import Testing
import Transformer

@Suite("A model in a GGUF file")
struct GGUFModelTests {
  static let names = ["llama", "llama3", "qwen2", "gemma3"]

  @Test(
    "cuts text as llama.cpp does, has transformers' logits, and goes on as llama.cpp goes on",
    arguments: GGUFModelTests.names)
  func logits(name: String) throws {
    let model = try Model.load("\(fixtures)/gguf/\(name).gguf")
    let golden = try TensorStore(safetensors: "\(fixtures)/gguf/\(name)-golden.safetensors")
    let tokens = try golden.floats("input_ids").map { Int32($0) }
    let greedy = try golden.floats("greedy").map { Int32($0) }
    let tokenizer = try #require(model.tokenizer)
    #expect(tokenizer.encodeWithControl("the cat<|sep|> that the hat") == tokens)
    #expect(model.endTokens == [0] && tokenizer.endToken == 0)

    let sample = try model.trainingInput(tokens: tokens + greedy)
    let logits = try model.logits(of: sample, on: Compute()).array
    let expected = try golden.floats("logits")
    #expect(relativeDifference(Array(logits.prefix(expected.count)), expected) < 1e-4)
    let columns = model.text.vocabularySize
    for (place, token) in greedy.enumerated() {
      let row = logits[((tokens.count - 1 + place) * columns)...].prefix(columns)
      // llama.cpp was told not to end.
      let likeliest = row.indices.dropFirst().max { row[$0] < row[$1] }
      #expect(likeliest.map { Int32($0 - row.startIndex) } == token)
    }
  }

  @Test(
    "generates the same tokens from its codes as decoded, in less memory",
    arguments: GGUFModelTests.names)
  func codes(name: String) throws {
    let compute = try Compute()
    let path = "\(fixtures)/gguf/\(name).gguf"
    let decoded = try Model.load(path)
    let coded = try Model.load(path, for: .generation(.f32, on: compute))
    #expect(decoded.isTrainable && !coded.isTrainable)
    #expect(coded.parameters.count < decoded.parameters.count)
    let requests = (1...5).map { first in
      GenerationInput(
        ModelInput(tokens: (0..<Int32(first)).map { 3 + $0 }),
        sampling: SamplingParameters(temperature: 0.7, topP: 1, seed: UInt64(first)), tokensMax: 12)
    }
    let expected = try Generator(model: decoded, compute: compute).run(requests)
    let found = try Generator(model: coded, compute: compute).run(requests)
    #expect(found == expected)
  }

  @Test("is the same model when it is saved as a folder", arguments: GGUFModelTests.names)
  func saved(name: String) throws {
    let model = try Model.load("\(fixtures)/gguf/\(name).gguf")
    try withTemporaryFolder { folder in
      try model.save(folder: folder)
      let again = try Model.load(folder)
      #expect(again.config == model.config)
      #expect(again.parameters.array == model.parameters.array)
      let text = "the cat<|sep|> that"
      #expect(
        again.tokenizer?.encodeWithControl(text) == model.tokenizer?.encodeWithControl(text))
    }
  }
}
