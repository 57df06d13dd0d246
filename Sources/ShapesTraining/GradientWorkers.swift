import Kernels
import Transformer

/// Computes gradients, on a thread of its own.
protocol GradientWorker: Actor {
  /// The gradient of the summed loss of the samples with these numbers, in memory that the next
  /// call overwrites.
  func gradient(of samples: Range<UInt64>) throws -> (gradient: Floats, sum: LossSum)
}

/// The gradient of what a model should have said.
actor LanguageWorker: GradientWorker {
  private let trainer: Trainer
  private let gradient: Floats
  private let sample: @Sendable (UInt64) -> TrainingInput

  init(
    model: Model, trained: TrainedParts, sample: @escaping @Sendable (UInt64) -> TrainingInput
  ) throws(KernelError) {
    trainer = Trainer(model: model, trained: trained, compute: try Compute(threads: 1))
    gradient = Floats(zeros: trainer.trainedRange.count)
    self.sample = sample
  }

  func gradient(of samples: Range<UInt64>) throws -> (gradient: Floats, sum: LossSum) {
    let sum = try trainer.gradient(of: samples.map(sample), into: gradient)
    return (gradient, sum)
  }
}
