import Domain
import Hashing
import Kernels
import Logging
import Scheduling
import TestSupport
import Testing
import Transformer
import Transport

@testable import Worker

extension HeldFile {
  fileprivate var bytes: [UInt8] {
    get throws { try read(offset: 0, length: Int(size)) }
  }
}

extension Floats {
  fileprivate var bytes: [UInt8] { Array(payload.bytes) }
}

@Suite("The state of a training")
struct TrainingStateTests {
  let student: Model
  let compute: Compute

  init() throws {
    student = try Model.load(fixture("Transformer/llama-bias"))
    compute = try Compute()
  }

  func plan(
    _ adapters: LowRankAdapters?, wire: WirePrecision = .f32, seed: UInt64 = 3
  ) -> TrainingPlan {
    var recipe = TrainingRecipe(
      batch: 2, learningRate: 1e-2, warmupRatio: 0, trained: .projectorAndLanguage,
      virtualRanks: 1, seed: seed)
    recipe.adapters = adapters
    recipe.recompute = adapters != nil
    recipe.wire = wire
    return TrainingPlan(
      training: TrainingID(iteration: 1), model: Digest(words: (1, 0, 0, 0)),
      dataset: Digest(words: (2, 0, 0, 0)),
      recipe: recipe, stepsTotal: 3, checkpoint: nil)
  }

  func state(_ plan: TrainingPlan) -> TrainingState {
    let inputs = (0..<6).map { (sample: Int) -> TrainingInput in
      let tokens = (0..<9).map { (place: Int) -> Int32 in Int32(6 + (7 * sample + 5 * place) % 50) }
      return TrainingInput(prefix: tokens.map { TrainingPiece(.token($0), trained: true) })
    }
    return TrainingState(
      plan: plan, model: TrainingState.begin(student.copy(), plan.recipe), inputs: inputs,
      compute: compute)
  }

  /// One step alone; `moments` are of the whole vector.
  /// - Returns: what it added to the weights, where that is sent.
  @discardableResult
  func advance(_ state: inout TrainingState, _ moments: Moments, step: Int) throws -> [Float] {
    let gradient = Floats(zeros: state.weights.count)
    let sum = try state.gradient(step: step, rank: 0, into: gradient)
    state.plan.recipe.wire.round(gradient, on: compute)
    let totals = StepTotals(
      loss: sum.mean, tokens: Int64(sum.tokens),
      sumOfSquares: sumOfSquares(gradient, on: compute))
    let count = gradient.count
    return [0..<count / 3, count / 3..<count].flatMap { range in
      state.apply(
        CellUpdate(
          cell: 0, range: range, gradient: gradient[range], moments: moments[range]),
        step: step, totals, on: compute)?.array ?? []
    }
  }

  @Test("follows its master weights by changes that are bf16, each with what the last left out")
  func changes() throws {
    var first = state(plan(nil, wire: .bf16))
    var exact = state(plan(nil))
    let before = first.weights.array
    let moments = Moments(from: first.weights, .bf16)
    let plain = Moments(from: exact.weights, .f32)
    #expect(plain.master == nil)
    var weights = before
    for step in 0..<3 {
      let last = try #require(moments.master?.array)
      let behind = zip(last, weights).map { $0 - $1 }
      let changes = try advance(&first, moments, step: step)
      try advance(&exact, plain, step: step)
      #expect(changes.count == weights.count)
      #expect(changes.allSatisfy { $0.bitPattern & 0xffff == 0 })
      let master = try #require(moments.master?.array)
      for place in weights.indices {
        // The change is the nearest bf16 of what the master is ahead.
        let wanted = master[place] - weights[place]
        #expect(abs(changes[place] - wanted) <= abs(wanted) / 256)
        weights[place] += changes[place]
      }
      #expect(first.weights.array == weights)
      // Something was left out, and it comes later.
      #expect(step == 0 || behind.contains { $0 != 0 })
    }
    // Where rounded once and for all, a step would be wrong by up to 1/512 of a weight, which is
    // more than it changes: here what is lacking is a part of the last change.
    let master = try #require(moments.master?.array)
    let distance = zip(weights, master).map { abs($0 - $1) }.max() ?? 1
    let moved = zip(before, master).map { abs($0 - $1) }.max() ?? 0
    #expect(moved > 0.01 && distance < moved / 256)
    let apart = zip(weights, exact.weights.array).map { abs($0 - $1) }.max() ?? 1
    #expect(apart > 0 && apart < moved / 4)
  }

  /// Where blobs are that this worker has; nobody else has any.
  private func blobs(_ folder: TemporaryFolder) throws -> (client: BlobClient, cache: BlobCache) {
    let log = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
    let cache = try BlobCache(path: folder.path + "/blobs", log: log)
    let client = BlobClient(
      client: try MessageClient(endpoint: "tcp://127.0.0.1:1", security: .plainForBenchmarks),
      cache: cache,
      peering: BlobPeering(
        name: "w0", endpoint: "tcp://127.0.0.1:1", keys: try .generate(), guests: AllowList()),
      log: log)
    return (client, cache)
  }

  @Test(
    "goes on from a checkpoint's segments as if it had never stopped",
    arguments: [nil, LowRankAdapters(rank: 3, alpha: 6, targets: [.query, .up, .down])],
    WirePrecision.allCases)
  func checkpoint(adapters: LowRankAdapters?, wire: WirePrecision) async throws {
    let folder = try TemporaryFolder()
    let (blobs, cache) = try blobs(folder)
    var first = state(plan(adapters, wire: wire))
    let count = first.weights.count
    let moments = Moments(from: first.weights, wire)
    for step in 0..<2 { try advance(&first, moments, step: step) }
    let saved = try (0..<8).map { segment in
      let range = segmentRange(segment, of: count, segments: 8)
      let copy = try SegmentCopy(first.weights[range], moments[range])
      return SavedSegment(
        segment: segment, weights: try cache.put(copy.weights.bytes),
        moments: try cache.put(copy.moments.bytes))
    }
    let manifest = CheckpointManifest(first.plan, step: 2, saved)
    #expect(try CheckpointManifest(parsing: manifest.bytes) == manifest)
    let stored = try await SavedState(
      TrainingCheckpoint(step: 2, state: cache.put(manifest.bytes)), blobs)

    var second = state(plan(adapters, wire: wire))
    #expect(second.weightsDigest != first.weightsDigest)
    try await stored.restore(second.weights, blobs, cache)
    #expect(second.weightsDigest == first.weightsDigest)
    let exported = try Worker.student(
      of: first.plan, at: stored.checkpoint, base: student, read: { try cache.read($0) })
    #expect(exported.adapters == nil)
    #expect(exported.parameters.array == first.student(on: compute).parameters.array)
    let restored = Moments(zeros: count, wire)
    for segment in 0..<8 {
      let range = segmentRange(segment, of: count, segments: 8)
      let part = try await stored.moments(of: segment, segments: 8, count: count, wire, blobs)
      if let master = part.master { restored.master?[range].copy(from: master) }
      restored.first[range].copy(from: part.first)
      restored.second[range].copy(from: part.second)
    }
    try advance(&first, moments, step: 2)
    try advance(&second, restored, step: 2)
    #expect(second.weightsDigest == first.weightsDigest)
    #expect(
      second.student(on: compute).parameters.array == first.student(on: compute).parameters.array)

    // The blob of before there were segments, which was of f32.
    if wire == .bf16 { return }
    var whole = Array("comd-state-1".utf8) + [UInt8](repeating: 0, count: 16)
    whole += first.weights.bytes + moments.first.bytes + moments.second.bytes
    let old = try await SavedState(TrainingCheckpoint(step: 3, state: cache.put(whole)), blobs)
    let third = state(plan(adapters))
    try await old.restore(third.weights, blobs, cache)
    #expect(third.weightsDigest == first.weightsDigest)
    let range = segmentRange(5, of: count, segments: 8)
    let part = try await old.moments(of: 5, segments: 8, count: count, .f32, blobs)
    #expect(part.second.array == moments.second[range].array)
  }

  @Test("with adapters trains these alone and hands over a plain student that has learned")
  func adapters() throws {
    let adapters = LowRankAdapters(rank: 3, alpha: 6, targets: [.query, .up, .down])
    var state = state(plan(adapters))
    #expect(state.weights.count == 2 * 3 * ((36 + 48) + 2 * (36 + 44)))
    let moments = Moments(zeros: state.weights.count, .f32)
    for step in 0..<3 { try advance(&state, moments, step: step) }
    let result = state.student(on: compute)
    #expect(result.adapters == nil)
    for parameter in student.layout.parameters {
      let isTarget = adapters.targets.contains { parameter.name.contains($0.rawValue + ".weight") }
      let values = result.parameters[parameter.range].array
      #expect(
        (values != student.parameters[parameter.range].array) == isTarget, "\(parameter.name)")
    }
    // The model that the adapters stand beside is another's, too.
    let untouched = try Model.load(fixture("Transformer/llama-bias"))
    #expect(student.parameters.array == untouched.parameters.array)
  }

  @Test("begins with adapters drawn from the training's own seed")
  func seed() {
    let adapters = LowRankAdapters(rank: 3)
    let one = state(plan(adapters))
    #expect(one.weightsDigest == state(plan(adapters)).weightsDigest)
    #expect(one.weightsDigest != state(plan(adapters, seed: 4)).weightsDigest)
  }

  @Test("refuses a checkpoint of another shape")
  func foreign() async throws {
    let folder = try TemporaryFolder()
    let (blobs, cache) = try blobs(folder)
    let first = state(plan(LowRankAdapters(rank: 3)))
    let part = SavedSegment(
      segment: 0, weights: try cache.put(first.weights.bytes), moments: try cache.put([1, 2]))
    let manifest = CheckpointManifest(first.plan, step: 2, [part])
    let stored = try await SavedState(
      TrainingCheckpoint(step: 2, state: cache.put(manifest.bytes)), blobs)
    for other in [nil, LowRankAdapters(rank: 4)] {
      let state = state(plan(other))
      await #expect(throws: TrainingStateError.self) {
        try await stored.restore(state.weights, blobs, cache)
      }
    }
    await #expect(throws: TrainingStateError.self) {
      _ = try await stored.moments(of: 0, segments: 1, count: first.weights.count, .f32, blobs)
    }
    let nonsense = TrainingCheckpoint(step: 2, state: try cache.put([1, 2, 3]))
    await #expect(throws: ManifestError.self) { _ = try await SavedState(nonsense, blobs) }
  }
}
