import Foundation
import TestSupport
import Testing

@testable import Formats

@Suite("A GGUF file")
struct GGUFTests {
  @Test("is dequantised bit for bit as the gguf package does it")
  func dequantised() throws {
    let file = try GGUFFile(path: fixture("quantised.gguf"))
    let expected = try TensorStore(safetensors: fixture("quantised-expected.safetensors"))
    #expect(file.tensors.names == expected.names)
    #expect(expected.names.count == 11)
    for name in expected.names {
      #expect(try file.tensors.shape(of: name) == expected.shape(of: name))
      #expect(try bits(file.tensors.floats(name)) == bits(expected.floats(name)), "\(name)")
    }
  }

  @Test("hands out codes that make, by their definition, the bits that it is dequantised to")
  func codes() throws {
    let tensors = try GGUFFile(path: fixture("quantised.gguf")).tensors
    var seen: Set<TensorEncoding> = []
    for name in tensors.names {
      let encoding = try tensors.encoding(of: name)
      guard let form = encoding.codeForm else { continue }
      seen.insert(encoding)
      let shape = try tensors.shape(of: name)
      var made: [Float] = []
      try tensors.readCodes(name, shape: shape) { row, codes in
        #expect(made.count == row * codes.codes.count)
        for (column, byte) in codes.codes.enumerated() {
          let (scale, offset) = (codes.scale(at: column), codes.offset(at: column))
          if form.bits < 8 { #expect(byte < 1 << form.bits) }
          // Without offsets, codes of fewer bits count from their middle.
          let middle: Float = form.hasOffsets || form.bits == 8 ? 0 : [8, 16, 32][form.bits - 4]
          let code =
            form.bits == 8 ? Float(Int8(bitPattern: byte)) : Float(byte) - middle
          made.append(form.hasOffsets ? offset.addingProduct(scale, code) : scale * code)
        }
      }
      #expect(try bits(made) == bits(tensors.floats(name)), "\(name)")
    }
    #expect(seen == [.q40, .q41, .q50, .q51, .q80, .q4K, .q5K, .q6K])
  }

  @Test("hands out single rows of a matrix as the whole has them, also after they were let go")
  func rows() throws {
    let tensors = try GGUFFile(path: fixture("quantised.gguf")).tensors
    for name in tensors.names {
      let shape = try tensors.shape(of: name)
      guard shape.count == 2 else { continue }
      let whole = try tensors.floats(name)
      let rows = try tensors.rows(name, shape: (shape[0], shape[1]))
      for row in [0, shape[0] / 2, shape[0] - 1, 0] {
        var values = [Float](repeating: .nan, count: rows.columns)
        values.withUnsafeMutableBufferPointer { rows.read(row, into: $0) }
        #expect(bits(values) == bits(Array(whole[row * shape[1]..<(row + 1) * shape[1]])))
        rows.release()
      }
      #expect(throws: FormatError.self) { try tensors.rows(name, shape: (shape[0] + 1, shape[1])) }
    }
  }

  @Test("has its metadata read in every type")
  func metadata() throws {
    let file = try GGUFFile(path: fixture("quantised.gguf"))
    #expect(file.version == 3)
    #expect(file.metadata["general.architecture"] == .string("llama"))
    #expect(file.metadata["test.unsigned"] == .integer(4_000_000_000))
    #expect(file.metadata["test.signed"] == .integer(-5))
    #expect(try file.float("test.float", default: nil) == 1e-5)
    #expect(file.metadata["test.bool"] == .bool(true))
    #expect(file.metadata["test.text"] == .string("grüße 你好"))
    #expect(file.metadata["test.strings"] == .strings(["a", "", "ж"]))
    #expect(file.metadata["test.integers"] == .integers([1, -2, 3]))
  }

  @Test("of a Llama gives Hugging Face's names, and q and k rows in its order")
  func huggingFaceTensors() throws {
    let file = try GGUFFile(path: fixture("llama.gguf"))
    let expected = try TensorStore(safetensors: fixture("llama-expected.safetensors"))
    let tensors = try file.huggingFaceTensors()
    #expect(tensors.names == expected.names)
    for name in expected.names {
      #expect(try tensors.shape(of: name) == expected.shape(of: name))
      #expect(try bits(tensors.floats(name)) == bits(expected.floats(name)), "\(name)")
    }
    let query = try file.tensors.floats("blk.0.attn_q.weight")
    #expect(try query != expected.floats("model.layers.0.self_attn.q_proj.weight"))
  }

  @Test("of a Llama gives the decoder's shape")
  func config() throws {
    let config = try GGUFFile(path: fixture("llama.gguf")).decoderConfig()
    #expect(
      config
        == DecoderConfig(
          architecture: .llama, vocabularySize: 11, hiddenSize: 24, intermediateSize: 10,
          layerCount: 1, headCount: 4, keyValueHeadCount: 2, headSize: 6, contextLength: 64,
          normEpsilon: 1e-5, ropeBase: 100_000, ropeStyle: .interleaved, queryKeyValueBias: false,
          tiedEmbedding: true, beginToken: 1, endTokens: [2]))
  }

  /// Writes GGUF by hand, to build what no converter writes.
  struct Builder {
    var bytes: [UInt8] = Array("GGUF".utf8)

    init(version: UInt32 = 3, tensors: UInt64 = 0, keys: UInt64 = 0) {
      add(version)
      add(tensors)
      add(keys)
    }

    mutating func add(_ value: some FixedWidthInteger) {
      for shift in stride(from: 0, to: value.bitWidth, by: 8) {
        bytes.append(UInt8(truncatingIfNeeded: value >> shift))
      }
    }

    mutating func add(_ text: String) {
      add(UInt64(text.utf8.count))
      bytes += text.utf8
    }

    mutating func addTensor(_ name: String, _ shape: [UInt64], type: UInt32, offset: UInt64) {
      add(name)
      add(UInt32(shape.count))
      for dimension in shape { add(dimension) }
      add(type)
      add(offset)
    }

    func error() -> FormatError? { formatError { _ = try GGUFFile(bytes: bytes, name: "x.gguf") } }
  }

  @Test("of another kind, version or size is refused")
  func header() {
    #expect(formatError { _ = try GGUFFile(bytes: Array("GGML".utf8), name: "x") } != nil)
    #expect(Builder(version: 1).error()?.problem == .unsupported(found: "1"))
    #expect(Builder(version: 2).error() == nil)
    guard case .overLimit = Builder(keys: .max).error()?.problem else {
      Issue.record("2⁶⁴ keys were believed")
      return
    }
  }

  @Test("whose metadata lies about lengths and types is refused")
  func lyingMetadata() {
    var endless = Builder(keys: 1)
    endless.add(UInt64.max)
    #expect(endless.error()?.subject == "name of key 0")

    var array = Builder(keys: 1)
    array.add("k")
    array.add(UInt32(9))
    array.add(UInt32(0))
    array.add(UInt64(1) << 62)
    #expect(array.error()?.subject == "key k")

    var nested = Builder(keys: 1)
    nested.add("k")
    nested.add(UInt32(9))
    nested.add(UInt32(9))
    nested.add(UInt64(1))
    #expect(nested.error()?.problem == .unsupported(found: "an array of type 9"))

    var type = Builder(keys: 1)
    type.add("k")
    type.add(UInt32(77))
    #expect(type.error()?.problem == .unsupported(found: "type 77"))

    var twice = Builder(keys: 2)
    for _ in 0..<2 {
      twice.add("k")
      twice.add(UInt32(7))
      twice.add(UInt8(1))
    }
    #expect(twice.error()?.problem == .malformed(found: "a second of that name"))
  }

  @Test("whose tensors lie outside the file or in no whole blocks is refused")
  func lyingTensors() {
    func error(_ shape: [UInt64], type: UInt32 = 0, offset: UInt64 = 0) -> FormatError? {
      var builder = Builder(tensors: 1)
      builder.addTensor("t", shape, type: type, offset: offset)
      builder.bytes += [UInt8](repeating: 0, count: 128)
      return builder.error()
    }
    #expect(error([8]) == nil)
    #expect(error([64])?.subject == "tensor t")
    #expect(error([8], offset: 1)?.problem == .malformed(found: "offset 1"))
    #expect(error([8], offset: 0xFFFF_FFFF_FFFF_FFE0) != nil)
    #expect(error([1 << 40, 1 << 40]) != nil)
    #expect(error([.max]) != nil)
    #expect(error([31], type: 2)?.problem == .malformed(found: "shape [31]"))
    #expect(error([8], type: 5)?.problem == .unsupported(found: "ggml type 5"))
    #expect(error([1, 1, 1, 1, 1, 1, 1, 1, 1])?.problem == .malformed(found: "9 dimensions"))
  }

  @Test("with a quantisation that is not decoded opens, and says so for that tensor alone")
  func otherQuantisation() throws {
    var builder = Builder(tensors: 2)
    builder.addTensor("a", [256], type: 10, offset: 0)
    builder.addTensor("b", [1], type: 0, offset: 96)
    builder.bytes += [UInt8](repeating: 0, count: 160)
    let tensors = try GGUFFile(bytes: builder.bytes, name: "x").tensors
    #expect(formatError { _ = try tensors.floats("a") }?.problem == .unsupported(found: "Q2_K"))
    #expect(try tensors.floats("b") == [0])
  }

  @Test("cut off anywhere is refused")
  func truncated() throws {
    for name in ["llama.gguf", "quantised.gguf"] {
      let whole = try fixtureBytes(name)
      let end = whole.lastIndex { $0 != 0 } ?? 0
      for count in 0..<end {
        #expect(throws: FormatError.self, "\(name) cut to \(count)") {
          try GGUFFile(bytes: Array(whole[..<count]), name: name)
        }
      }
    }
  }

  @Test(
    "of the real Qwen2.5 and SmolLM2 models gives their shapes and every tensor that they need",
    .needs(.models))
  func realModels() throws {
    let folder = try Provision.models.path()
    let small = try GGUFFile(path: folder + "/SmolLM2-135M-Instruct.Q4_1.gguf")
    let config = try small.decoderConfig()
    #expect(config.layerCount == 30 && config.hiddenSize == 576 && config.intermediateSize == 1536)
    #expect(config.headCount == 9 && config.keyValueHeadCount == 3 && config.ropeBase == 100_000)
    #expect(config.normEpsilon == 1e-5 && config.tiedEmbedding && config.vocabularySize == 49_152)
    #expect(try small.huggingFaceTensors().names.count == 272)
    let qwen = try GGUFFile(path: folder + "/Qwen2.5-Coder-0.5B-Instruct.Q4_K_M.gguf")
    let qwenConfig = try qwen.decoderConfig()
    #expect(qwenConfig.architecture == .qwen2 && qwenConfig.queryKeyValueBias)
    #expect(!qwenConfig.tiedEmbedding && qwenConfig.ropeStyle == .halfSplit)
    let tensors = try qwen.huggingFaceTensors()
    #expect(tensors.names.count == 291)
    #expect(try tensors.shape(of: "model.layers.23.mlp.down_proj.weight") == [896, 4864])
    #expect(try tensors.floats("lm_head.weight").allSatisfy { $0.isFinite })
  }
}
