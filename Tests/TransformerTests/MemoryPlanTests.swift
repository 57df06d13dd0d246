import Formats
import Foundation
import Kernels
import TestSupport
import Testing

@testable import Transformer

@Suite("A plan of memory")
struct MemoryPlanTests {
  /// LLaVA-1.5 on Vicuna-13B, as its config.json has it.
  static let large = ModelConfig.llava(
    LlavaConfig(
      text: DecoderConfig(
        architecture: .llama, vocabularySize: 32_064, hiddenSize: 5_120, intermediateSize: 13_824,
        layerCount: 40, headCount: 40, keyValueHeadCount: 40, headSize: 128, contextLength: 4_096,
        normEpsilon: 1e-5, ropeBase: 1e4, queryKeyValueBias: false, tiedEmbedding: false),
      vision: VisionConfig(
        family: .clip, hiddenSize: 1_024, intermediateSize: 4_096, layerCount: 24, headCount: 16,
        imageSize: 336, patchSize: 14, normEpsilon: 1e-5, activation: .quickGELU),
      imageToken: 32_000, imageTokenCount: 576))

  @Test(
    "counts exactly the weights that loading takes",
    arguments: ["llama", "qwen2", "llava-clip", "llava-dinov2", "llava-linear"])
  func weights(name: String) throws {
    let compute = try Compute()
    let path = "\(fixtures)/\(name)"
    let model = try Model.load(path, for: .generation(.f32, on: compute))
    let plan = try ModelOutline(path).generationMemory(GenerationLimits(), on: compute)
    let packed = model.coded.values.reduce(0) { $0 + $1.bytes }
    #expect(packed > 0 && plan.weights == 4 * model.parameters.count + packed)
    #expect(try ModelOutline(path).parameterCount == Model.load(path).parameters.count)
  }

  @Test("counts the codes of a GGUF file as they will lie in memory")
  func codes() throws {
    let compute = try Compute()
    let folder = "\(fixtures)/gguf"
    for name in try FileManager.default.contentsOfDirectory(atPath: folder)
    where name.hasSuffix(".gguf") {
      let file = folder + "/" + name
      let model = try Model.load(file, for: .generation(.f32, on: compute))
      let plan = try ModelOutline(file).generationMemory(GenerationLimits(), on: compute)
      let packed = model.coded.values.reduce(0) { $0 + $1.bytes }
      // Codes are kept in whole f32 words.
      #expect(abs(plan.weights - 4 * model.parameters.count - packed) < 4 * model.coded.count + 4)
    }
  }

  @Test("has a 13B teacher in 4 bits under 10 GiB")
  func thirteenBillion() throws {
    let outline = ModelOutline(.decoder(ModelOutline(Self.large).text))
    #expect(outline.parameterCount > 13_000_000_000)
    let compute = try Compute()
    let limits = outline.limits(batch: 1, context: 1_024)
    for encoding in [TensorEncoding.q40, .q4K] {
      let plan = outline.quantised(encoding).generationMemory(limits, on: compute)
      #expect(plan.total < 10 << 30 && plan.weights > 13 << 29, "\(plan)")
      // 40 layers, keys and values of 5120 columns, 4 bytes.
      #expect(plan.keyValuesPerToken == 40 * 2 * 5_120 * 4)
      #expect(plan.keyValues == 1_024 * plan.keyValuesPerToken)
    }
    // With its tower in f32 there is room for fewer tokens.
    let seeing = ModelOutline(Self.large).quantised(.q40)
    let few = seeing.limits(batch: 1, context: 640)
    #expect(seeing.generationMemory(few, on: compute).total < 11 << 30)
    #expect(outline.generationMemory(limits, on: compute).weights > 47 << 30)
  }

  @Test("counts keys and values of bf16 as 2 bytes, heads filled up to whole groups of 32")
  func halfKeyValues() throws {
    for precision in [GenerationPrecision.bf16, .int8] {
      let outline = try ModelOutline("\(fixtures)/llama", precision)
      let text = outline.text
      let numbers = 2 * text.layerCount * text.keyValueHeadCount * ((text.headSize + 31) / 32 * 32)
      let plan = try outline.generationMemory(GenerationLimits(), on: Compute())
      #expect(plan.keyValuesPerToken == 2 * numbers)
    }
  }

  @Test("of a training is 16 bytes for each trained parameter over the shards, and a pass")
  func training() throws {
    let outline = ModelOutline(Self.large)
    let compute = try Compute()
    let all = outline.trainingMemory(.all, rows: 1_024, on: compute)
    let unused = 4 * (outline.parameterCount - outline.layout.range(of: .all).count)
    #expect(all.state - unused == 16 * outline.layout.range(of: .all).count)
    #expect(all.perWorker(shards: 1) == all.state + all.activations)
    #expect(all.perWorker(shards: 8) == (all.state + 7) / 8 + all.activations)
    let some = outline.trainingMemory(.projectorAndLanguage, rows: 2_048, on: compute)
    #expect(some.state < all.state && some.activations > all.activations)
  }

  @Test("gives keys and values what is left, and refuses what cannot fit, with what it needs")
  func fitting() throws {
    let outline = ModelOutline(Self.large).quantised(.q40)
    let compute = try Compute()
    let limits = GenerationLimits(keyValueBytesMax: 8 << 30)
    let whole = outline.generationMemory(limits, on: compute)
    #expect(try outline.fitting(limits, into: nil, on: compute) == limits)
    #expect(try outline.fitting(limits, into: whole.total, on: compute) == limits)
    let tight = try outline.fitting(limits, into: whole.total - (3 << 30), on: compute)
    #expect(tight.keyValueBytesMax < 6 << 30 && tight.keyValueBytesMax > 4 << 30)
    #expect(outline.generationMemory(tight, on: compute).total <= whole.total - (3 << 30))
    let shortage = #expect(throws: MemoryShortage.self) {
      try outline.fitting(limits, into: 8 << 30, on: compute)
    }
    #expect(shortage?.needed.keyValues == 1_024 * whole.keyValuesPerToken)
    #expect(shortage?.description.contains("8.0 GiB may be used") == true)
  }

  @Test("knows what this machine has available")
  func machine() throws {
    #expect(try #require(availableMemoryBytes()) > 1 << 20)
  }
}
