import Formats
import Foundation
import Kernels
import TestSupport
import Testing
import Transformer

/// See `make_curves.py`.
@Suite("Fifty steps on conversations of odd lengths, packed without padding")
struct CurveTests {
  private static let folder = "\(fixtures)/llama"
  private static let (steps, batch) = (50, 4)

  private func samples(_ store: TensorStore) throws -> [TrainingInput] {
    let tokens = try store.floats("tokens").map { Int32($0) }
    let masks = try store.floats("masks").map { $0 != 0 }
    var start = 0
    return try store.floats("lengths").map { length in
      let range = start..<start + Int(length)
      start = range.upperBound
      return TrainingInput(
        prefix: range.map { TrainingPiece(.token(tokens[$0]), trained: masks[$0]) })
    }
  }

  /// The mean losses, with each step's gradient summed over virtual ranks of one sample.
  private func losses(_ store: TensorStore, _ products: ProductPrecision) throws -> [Double] {
    let samples = try samples(store)
    let model = try Model.load(Self.folder).multiplying(products)
    let compute = try Compute(threads: 2)
    let trainer = Trainer(model: model, trained: .all, compute: compute)
    let gradient = Floats(zeros: trainer.trainedRange.count)
    var optimizer = AdamWOptimizer(
      count: gradient.count, settings: .init(weightDecay: 0.01, clipNorm: 1))
    let schedule = LearningRateSchedule(base: 2e-3, warmupRatio: 0.1, stepsTotal: Self.steps)
    return try (0..<Self.steps).map { step in
      let chosen = (0..<Self.batch).map { samples[(Self.batch * step + $0) % samples.count] }
      let sum = try trainer.gradient(of: chosen, into: gradient)
      _ = optimizer.step(
        parameters: model.parameters[trainer.trainedRange], gradient: gradient,
        tokens: sum.tokens, learningRate: schedule.rate(step: step), on: compute)
      return sum.mean
    }
  }

  @Test("have PyTorch's losses within 1e-4 of them in f32")
  func f32() throws {
    let store = try TensorStore(safetensors: Self.folder + "/curves.safetensors")
    let expected = try store.floats("f32").map { Double($0) }
    let found = try losses(store, .f32)
    #expect(expected.count == Self.steps && expected[49] < expected[0] / 4)
    for (step, (mine, theirs)) in zip(found, expected).enumerated() {
      #expect(abs(mine - theirs) < 1e-4 * theirs, "step \(step)")
    }
  }

  @Test("are as near to f32 in bf16 as PyTorch's own bf16 is")
  func bf16() throws {
    let store = try TensorStore(safetensors: Self.folder + "/curves.safetensors")
    let exact = try store.floats("f32").map { Double($0) }
    let theirs = try store.floats("bf16").map { Double($0) }
    let spread = zip(exact, theirs).map { abs($0 - $1) }.max() ?? 0
    let found = try losses(store, .bf16)
    let mine = zip(exact, found).map { abs($0 - $1) }.max() ?? 0
    #expect(mine > 1e-5, "nothing was rounded")
    #expect(mine <= spread, "\(mine) is more than \(spread)")
  }

  @Test("are those that PyTorch gives today", .needs(.python))
  func generator() throws {
    try withTemporaryFolder { folder in
      let process = Process()
      process.executableURL = URL(fileURLWithPath: try Provision.python.path())
      process.arguments = [
        "\(fixtures)/make_curves.py", Self.folder, folder + "/again.safetensors",
      ]
      process.standardOutput = FileHandle.nullDevice
      process.standardError = FileHandle.nullDevice
      try process.run()
      process.waitUntilExit()
      #expect(process.terminationStatus == 0)
      let again = try TensorStore(safetensors: folder + "/again.safetensors")
      let kept = try TensorStore(safetensors: Self.folder + "/curves.safetensors")
      for name in ["tokens", "masks", "lengths"] {
        #expect(try again.floats(name) == kept.floats(name))
      }
      for (name, near) in [("f32", Float(1e-4)), ("bf16", 2e-2)] {
        for (new, old) in zip(try again.floats(name), try kept.floats(name)) {
          #expect(abs(new - old) < near * old)
        }
      }
    }
  }
}
