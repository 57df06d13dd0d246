import Formats
import Kernels
import TestSupport
import Testing

@testable import Transformer

@Suite("Low-rank adapters")
struct AdapterTests {
  static let names = ["llava-clip", "llama-bias", "gemma3"]

  static func shape(_ name: String) -> AdapterShape {
    switch name {
    case "llava-clip": AdapterShape(rank: 3, alpha: 5)
    case "llama-bias": AdapterShape(rank: 5, alpha: 4)
    default: AdapterShape(rank: 2, alpha: 3, targets: [.query, .value, .down])
    }
  }

  /// A golden model with the adapters that PyTorch had, and what it computed with them.
  func adapted(_ name: String) throws -> (golden: Golden, model: Model, store: TensorStore) {
    let golden = try Golden(name)
    let store = try TensorStore(safetensors: "\(fixtures)/\(name)/lora.safetensors")
    let model = golden.model.withAdapters(Self.shape(name), seed: 1)
    for parameter in model.layout.parameters where parameter.part == .adapters {
      #expect(try store.shape(of: parameter.name) == parameter.shape)
      let values = try store.floats(parameter.name)
      for (place, index) in parameter.range.enumerated() { model.parameters[index] = values[place] }
    }
    return (golden, model, store)
  }

  /// The samples with branches behind a picture where the model sees.
  func samples(_ golden: Golden) throws -> [TrainingInput] {
    let images = try golden.images
    let picture = images.isEmpty ? [] : [TrainingPiece(.image(0), trained: false)]
    func text(_ tokens: ClosedRange<Int32>) -> [TrainingPiece] {
      tokens.map { TrainingPiece(.token($0), trained: true) }
    }
    return [
      try golden.sample,
      TrainingInput(
        images: images, prefix: text(7...9) + picture, branches: [text(11...13), text(14...18)]),
    ]
  }

  func gradient(
    _ model: Model, _ samples: [TrainingInput], _ trained: TrainedParts = .projectorAndAdapters,
    threads: Int = 1, recomputes: Bool = false
  ) throws -> (sum: LossSum, gradient: [Float]) {
    let trainer = Trainer(
      model: model, trained: trained, compute: try Compute(threads: threads), rowsPerPass: 30,
      recomputes: recomputes)
    let gradient = Floats(zeros: trainer.trainedRange.count)
    return (try trainer.gradient(of: samples, into: gradient), gradient.array)
  }

  @Test(
    "give PyTorch's logits within 1e-4, loss within 1e-4 and gradients within 1e-3",
    arguments: names)
  func reference(name: String) throws {
    let (golden, model, store) = try adapted(name)
    let logits = try model.logits(of: golden.sample, on: Compute())
    #expect(relativeDifference(logits.array, try store.floats("logits")) < 1e-4)
    let (loss, _, gradients) = try model.gradients(
      of: [golden.sample], trained: .projectorAndAdapters, on: Compute())
    #expect(abs(loss - Double(try store.floats("loss")[0])) < 1e-4)
    let expected = store.names.filter { $0.hasPrefix("gradient/") }
    #expect(Set(gradients.map { "gradient/" + $0.name }) == Set(expected))
    for gradient in gradients {
      let reference = try store.floats("gradient/" + gradient.name)
      #expect(relativeDifference(gradient.values.array, reference) < 1e-3, "\(gradient.name)")
    }
  }

  @Test(
    "follow PyTorch's loss over 20 AdamW steps within 1e-4; nothing else moves", arguments: names)
  func curve(name: String) throws {
    let (golden, model, store) = try adapted(name)
    let compute = try Compute()
    let trainer = Trainer(model: model, trained: .projectorAndAdapters, compute: compute)
    let before = model.copy()
    let gradient = Floats(zeros: trainer.trainedRange.count)
    var optimizer = AdamWOptimizer(
      count: gradient.count, settings: .init(weightDecay: 0.01, clipNorm: 1))
    let (curve, rates) = (try store.floats("curve"), try store.floats("rates"))
    for step in 0..<20 {
      let sum = try trainer.gradient(of: [golden.sample], into: gradient)
      #expect(abs(sum.mean - Double(curve[step])) < 1e-4, "step \(step)")
      _ = optimizer.step(
        parameters: model.parameters[trainer.trainedRange], gradient: gradient,
        tokens: sum.tokens, learningRate: Double(rates[step]), on: compute)
    }
    for parameter in model.layout.parameters {
      let values = model.parameters[parameter.range].array
      if TrainedParts.projectorAndAdapters.contains(parameter.part) {
        let reference = try store.floats("after/" + parameter.name)
        #expect(relativeDifference(values, reference) < 2e-3, "\(parameter.name)")
      } else {
        #expect(values == before.parameters[parameter.range].array, "\(parameter.name)")
      }
    }
  }

  @Test(
    "merged into the weights give a plain model with the same logits within 1e-5", arguments: names)
  func merged(name: String) throws {
    let (golden, model, _) = try adapted(name)
    let compute = try Compute()
    let merged = model.merged(on: compute)
    #expect(merged.adapters == nil && merged.parameters.count == golden.model.parameters.count)
    let logits = try model.logits(of: golden.sample, on: compute).array
    #expect(
      relativeDifference(try merged.logits(of: golden.sample, on: compute).array, logits) < 1e-5)
    #expect(
      relativeDifference(try golden.model.logits(of: golden.sample, on: compute).array, logits)
        > 1e-2)
    let two = model.merged(on: try Compute(threads: 2))
    #expect(two.parameters.array == merged.parameters.array)
  }

  @Test("that are new change nothing, and are drawn as peft draws them")
  func new() throws {
    let golden = try Golden("llava-clip")
    let shape = AdapterShape(rank: 16, alpha: 32)
    let model = golden.model.withAdapters(shape, seed: 5)
    let compute = try Compute()
    #expect(
      try model.logits(of: golden.sample, on: compute).array
        == golden.model.logits(of: golden.sample, on: compute).array)
    #expect(model.merged(on: compute).parameters.array == golden.model.parameters.array)
    let name = "language_model.model.layers.1.mlp.down_proj"
    let a = try #require(model.layout[name + ".lora_A.weight"])
    let b = try #require(model.layout[name + ".lora_B.weight"])
    #expect(a.shape == [16, 44] && b.shape == [36, 16] && a.part == .adapters)
    let drawn = model.parameters[a.range].array
    let bound = 1 / Float(44).squareRoot()
    #expect(drawn.allSatisfy { abs($0) <= bound } && drawn.contains { abs($0) > 0.98 * bound })
    #expect(abs(drawn.reduce(0, +) / Float(drawn.count)) < 0.05 * bound)
    #expect(model.parameters[b.range].array.allSatisfy { $0 == 0 })
    let again = golden.model.withAdapters(shape, seed: 5)
    #expect(again.parameters.array == model.parameters.array)
    let other = golden.model.withAdapters(shape, seed: 6)
    #expect(other.parameters[a.range].array != drawn)
    let (_, gradient) = try gradient(model, [golden.sample])
    let start = model.layout.range(of: .projectorAndAdapters).lowerBound
    func part(_ range: Range<Int>) -> ArraySlice<Float> {
      gradient[range.lowerBound - start..<range.upperBound - start]
    }
    // B is 0, so that nothing comes to A in the first step.
    #expect(part(a.range).allSatisfy { $0 == 0 } && part(b.range).contains { $0 != 0 })
  }

  @Test("have the same gradient bits with any threads, and when layers run again", arguments: names)
  func bits(name: String) throws {
    let (golden, model, _) = try adapted(name)
    let samples = try samples(golden)
    let one = try gradient(model, samples)
    let two = try gradient(model, samples, threads: 2)
    let again = try gradient(model, samples, threads: 2, recomputes: true)
    #expect(one.sum == two.sum && one.gradient == two.gradient)
    #expect(one.sum == again.sum && one.gradient == again.gradient)
    // Beside trained weights they get the same; beside a projector alone they pass it on.
    let layout = model.layout
    let all = try gradient(model, samples, .all)
    let start = layout.range(of: TrainedParts.all).lowerBound
    let range = layout.range(of: TrainedParts.projectorAndAdapters)
    #expect(
      one.gradient == Array(all.gradient[range.lowerBound - start..<range.upperBound - start]))
    let projector = try gradient(model, samples, .projector).gradient
    #expect(projector == Array(one.gradient.prefix(projector.count)))
  }

  @Test("cost 16 bytes a trained parameter, and 4 for each that is frozen")
  func plan() throws {
    let model = try adapted("llava-clip").model
    let outline = ModelOutline(model.config)
    let compute = try Compute()
    let plan = outline.trainingMemory(
      .projectorAndAdapters, rows: 10, adapters: Self.shape("llava-clip"), on: compute)
    let trained = model.layout.range(of: .projectorAndAdapters).count
    #expect(plan.state == 4 * model.parameters.count + 12 * trained)
    #expect(trained < outline.layout.range(of: .language).count / 2)
    let arena = Arena()
    let tower = try #require(VisionTower(model, isFixed: true, compute: compute, arena: arena))
    let seen = tower.weights.layers.flatMap {
      [$0.query, $0.key, $0.value, $0.output, $0.first, $0.second]
    }
    let decoder = Decoder(model, positions: 8, isFixed: true, compute: compute, arena: arena)
    let read = decoder.weights.layers.flatMap { layer in
      AdapterTarget.allCases.map { layer[$0] }
    }
    let packed = (seen + read + [tower.weights.patches, decoder.weights.head]).compactMap(\.packed)
    #expect(packed.count > 16 && plan.packed == packed.reduce(0) { $0 + $1.bytes })
    #expect(plan.perWorker(shards: 2) == (plan.state + 1) / 2 + plan.packed + plan.activations)
    #expect(outline.partSizes.map(\.part) == [.unused, .vision, .projector, .language])
    #expect(
      model.layout.partSizes.map(\.part) == [.unused, .vision, .projector, .adapters, .language])
  }
}
