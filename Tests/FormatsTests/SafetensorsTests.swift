import Foundation
import TestSupport
import Testing

@testable import Formats

@Suite("A safetensors file")
struct SafetensorsTests {
  let names = ["a.noise", "b.values", "c.scalar", "d.empty"]

  @Test("gives its tensors in f32 whatever their width, as PyTorch widens them")
  func widths() throws {
    let full = try TensorStore(safetensors: fixture("plain-f32.safetensors"))
    #expect(full.names == names)
    #expect(try full.shape(of: "a.noise") == [5, 7])
    #expect(try full.shape(of: "c.scalar") == [])
    #expect(try full.floats("c.scalar") == [0.1])
    #expect(try full.floats("d.empty") == [])
    let values = try full.floats("b.values")
    #expect(values[1].sign == .minus && values[8] == 3.0e38 && values[15] == .infinity)
    let half = try TensorStore(safetensors: fixture("plain-f16.safetensors"))
    #expect(try bits(half.floats("b.values")) == bits(values.map { Float(Float16($0)) }))
    let brain = try TensorStore(safetensors: fixture("plain-bf16.safetensors"))
    #expect(
      try bits(brain.floats("b.values")) == values.map { UInt32(bfloat16($0)) << 16 })
  }

  @Test(
    "is written byte for byte as the reference implementation writes it",
    arguments: [(StoredPrecision.f32, "f32"), (.f16, "f16"), (.bf16, "bf16")])
  func sameBytes(_ precision: StoredPrecision, _ name: String) throws {
    let source = try TensorStore(safetensors: fixture("plain-f32.safetensors"))
    let tensors = try source.names.reversed().map {
      TensorShape(name: $0, shape: try source.shape(of: $0))
    }
    let values = try Dictionary(uniqueKeysWithValues: names.map { ($0, try source.floats($0)) })
    let written = try withTemporaryFolder { folder in
      let path = folder + "/model.safetensors"
      try writeSafetensors(tensors, precision: precision, to: path) { name, range, target in
        for (index, element) in range.enumerated() {
          target[index] = values[name]?[element] ?? .nan
        }
      }
      #expect(try FileManager.default.contentsOfDirectory(atPath: folder) == ["model.safetensors"])
      return [UInt8](try Data(contentsOf: URL(fileURLWithPath: path)))
    }
    #expect(try written == fixtureBytes("plain-\(name).safetensors"))
  }

  @Test("is written in chunks that come out as one tensor")
  func chunks() throws {
    let count = 3 * 65_537
    try withTemporaryFolder { folder in
      let path = folder + "/big.safetensors"
      try writeSafetensors(
        [TensorShape(name: "x", shape: [3, 65_537])], precision: .f32, to: path
      ) { _, range, target in
        #expect(range.count == target.count && range.count <= 65_536)
        for index in 0..<range.count { target[index] = Float(range.lowerBound + index) }
      }
      #expect(try TensorStore(safetensors: path).floats("x") == (0..<count).map { Float($0) })
    }
  }

  @Test("that cannot be written says where")
  func unwritable() {
    let error = formatError {
      try writeSafetensors([], precision: .f32, to: "/nonexistent/x.safetensors") { _, _, _ in }
    }
    #expect(error?.file == "/nonexistent/x.safetensors.part")
  }

  @Test("in shards is one store")
  func sharded() throws {
    let store = try TensorStore(folder: fixture("sharded"))
    #expect(store.names == ["a", "b", "ids"])
    #expect(try store.floats("a") == [0, 1, 2, 3, 4, 5])
    #expect(try store.floats("b") == [0, 1, 2, 3])
    let error = formatError { _ = try store.floats("ids") }
    #expect(error?.problem == .unsupported(found: "I64"))
    #expect(error?.subject == "tensor ids")
  }

  @Test("whose shards and index disagree is refused")
  func brokenShards() throws {
    try withTemporaryFolder { folder in
      let shard = try fixtureBytes("sharded/model-00001-of-00002.safetensors")
      _ = try write(shard, folder, "one.safetensors")
      func problem(_ map: String) throws -> FormatError? {
        _ = try write("{\"weight_map\": \(map)}".utf8, folder, "model.safetensors.index.json")
        return formatError { _ = try TensorStore(folder: folder) }
      }
      #expect(try problem("{\"a\": \"one.safetensors\"}") == nil)
      #expect(try problem("{\"z\": \"one.safetensors\"}")?.problem == .missing)
      #expect(try problem("{\"a\": \"../one.safetensors\"}")?.subject == "key weight_map.a")
      #expect(try problem("{\"a\": \"two.safetensors\"}")?.file == folder + "/two.safetensors")
      #expect(try problem("[]")?.subject == "key weight_map")
    }
  }

  @Test("names tensor, shape found and shape expected when they differ")
  func wrongShape() throws {
    let store = try TensorStore(safetensors: fixture("plain-f32.safetensors"))
    var values = [Float](repeating: 0, count: 35)
    let error = formatError {
      var span = values.mutableSpan
      try store.read("a.noise", shape: [7, 5], into: &span)
    }
    #expect(error?.problem == .wrongShape(found: [5, 7]))
    #expect(error?.expected == "shape [7, 5]")
    #expect(formatError { _ = try store.floats("nothing") }?.problem == .missing)
  }

  @Test("can be renamed and thinned out, but not to two tensors of one name")
  func renamed() throws {
    let store = try TensorStore(safetensors: fixture("plain-f32.safetensors"))
    let renamed = try store.renamed { $0.hasPrefix("a.") ? "model." + $0 : nil }
    #expect(renamed.names == ["model.a.noise"])
    #expect(try renamed.floats("model.a.noise") == store.floats("a.noise"))
    #expect(throws: FormatError.self) { try store.renamed { _ in "x" } }
  }

  /// A file with this header and so many bytes of data.
  func file(_ header: String, data: Int) -> [UInt8] {
    let text = Array(header.utf8)
    return (0..<8).map { UInt8(truncatingIfNeeded: text.count >> (8 * $0)) } + text
      + [UInt8](repeating: 0, count: data)
  }

  @Test(
    "with an unsound header is refused",
    arguments: [
      ("[]", 0),
      (#"{"a":1}"#, 0),
      (#"{"a":{"dtype":"F99","shape":[1],"data_offsets":[0,4]}}"#, 4),
      (#"{"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}}"#, 4),
      (#"{"a":{"dtype":"F32","shape":[1.5],"data_offsets":[0,4]}}"#, 4),
      (#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}}"#, 4),
      (#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#, 3),
      (#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#, 5),
      (#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}"#, 8),
      (#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[-4,0]}}"#, 8),
      (#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[8,4]}}"#, 8),
      (#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0]}}"#, 4),
      (#"{"a":{"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,0]}}"#, 0),
      (#"{"a":{"dtype":"F32","shape":[4611686018427387904],"data_offsets":[0,0]}}"#, 0),
      (
        #"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"b":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#,
        4
      ),
      (
        #"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}"#,
        8
      ),
    ])
  func unsound(_ header: String, _ data: Int) {
    #expect(throws: FormatError.self) {
      try TensorStore(safetensors: file(header, data: data), name: "x")
    }
  }

  @Test("with a header longer than the file or the limit is refused")
  func headerLength() {
    let long = [UInt8](repeating: 0xFF, count: 8) + Array("{}".utf8)
    guard
      case .overLimit = formatError({ _ = try TensorStore(safetensors: long, name: "x") })?.problem
    else {
      Issue.record("an endless header was believed")
      return
    }
    let cut = [UInt8]([9, 0, 0, 0, 0, 0, 0, 0]) + Array("{}".utf8)
    #expect(
      formatError { _ = try TensorStore(safetensors: cut, name: "x") }?.problem
        == .truncated(needsBytes: 17, hasBytes: 10))
  }

  @Test("cut off anywhere is refused")
  func truncated() throws {
    for name in ["plain-f32.safetensors", "sharded/model-00002-of-00002.safetensors"] {
      let whole = try fixtureBytes(name)
      _ = try TensorStore(safetensors: whole, name: name)
      for count in 0..<whole.count {
        #expect(throws: FormatError.self, "\(name) cut to \(count)") {
          try TensorStore(safetensors: Array(whole[..<count]), name: name)
        }
      }
    }
  }

  @Test("that is a folder or not there says so")
  func noFile() {
    #expect(
      formatError { _ = try TensorStore(safetensors: "/tmp") }?.problem
        == .unreadable("not a regular file"))
    #expect(
      formatError { _ = try TensorStore(safetensors: "/nonexistent") }?.file == "/nonexistent")
  }
}
