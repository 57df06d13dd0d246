import Formats
import Kernels
import TestSupport
import Testing

@testable import Transformer

@Suite("Layers that are run forward again")
struct RecomputationTests {
  func text(_ tokens: ClosedRange<Int32>) -> [TrainingPiece] {
    tokens.map { TrainingPiece(.token($0), trained: true) }
  }

  /// The golden sample, one with branches behind a picture where the model sees, and one of words.
  func samples(_ golden: Golden) throws -> [TrainingInput] {
    let images = try golden.images
    let picture = images.isEmpty ? [] : [TrainingPiece(.image(0), trained: false)]
    return [
      try golden.sample,
      TrainingInput(
        images: images.isEmpty ? [] : [images[0]], prefix: text(7...9) + picture + text(8...8),
        branches: [text(11...13), text(14...14), text(15...19)]),
      TrainingInput(prefix: text(20...36)),
    ]
  }

  @Test(
    "give the bits of loss and gradient that kept ones give",
    arguments: ["llama-bias", "gemma3", "qwen2-window", "llava-dinov2", "llava-next"],
    [TrainedParts.projector, .projectorAndLanguage, .all])
  func bits(name: String, trained: TrainedParts) throws {
    let golden = try Golden(name)
    let samples = try samples(golden)
    func gradient(recomputes: Bool) throws -> (sum: LossSum, gradient: [Float]) {
      let trainer = Trainer(
        model: golden.model, trained: trained, compute: try Compute(threads: 2), rowsPerPass: 70,
        recomputes: recomputes)
      let gradient = Floats(zeros: trainer.trainedRange.count)
      return (try trainer.gradient(of: samples, into: gradient), gradient.array)
    }
    let kept = try gradient(recomputes: false)
    let again = try gradient(recomputes: true)
    #expect(kept.sum == again.sum && kept.gradient == again.gradient)
    #expect(
      golden.model.llava == nil && trained == .projector || kept.gradient.contains { $0 != 0 })
  }

  @Test("take the memory that is planned", arguments: ["qwen2", "gemma3"], [false, true])
  func memory(name: String, recomputes: Bool) throws {
    var text = try Golden(name).model.text
    text.hiddenSize = 96
    text.intermediateSize = 208
    text.layerCount = 9
    text.vocabularySize = 3_000
    let model = Model.random(.decoder(text), RandomInitialisation(seed: 1))
    let trainer = Trainer(
      model: model, trained: .all, compute: try Compute(), recomputes: recomputes)
    let sample = TrainingInput(prefix: self.text(1...120))
    _ = try trainer.gradient(of: [sample], into: Floats(zeros: trainer.trainedRange.count))
    let outline = ModelOutline(model.config)
    let compute = try Compute()
    let plan = outline.trainingMemory(.all, rows: 120, recomputes: recomputes, on: compute)
    // The arena grows by doubling, and what does not fit at the end of a block is lost.
    let taken = 4 * trainer.scratchPeak
    #expect(plan.activations <= taken + taken / 20 && plan.activations >= taken / 2)
    let other = outline.trainingMemory(.all, rows: 120, recomputes: !recomputes, on: compute)
    #expect(recomputes == (plan.activations < other.activations))
  }
}
