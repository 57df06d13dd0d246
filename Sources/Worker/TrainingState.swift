import Domain
import Formats
import Foundation
import Hashing
import Kernels
import Transformer

/// What a worker computes a training's steps with: model, samples, and the rules of the recipe.
/// The moments, and what is whose, are the exchange's.
struct TrainingState {
  let plan: TrainingPlan
  let model: Model
  /// (N): what is trained, of the model's own memory.
  let weights: Floats
  private let trainer: Trainer
  private let inputs: [TrainingInput]
  private var order: SampleOrder
  private let schedule: LearningRateSchedule
  private let adamW: AdamWOptimizer.Settings

  /// What a training begins with: the student, with new adapters where the recipe has some.
  /// - Parameter student: nobody else may use its memory from now on.
  static func begin(_ student: Model, _ recipe: TrainingRecipe) -> Model {
    recipe.adapters.map { student.withAdapters(AdapterShape($0), seed: recipe.seed) } ?? student
  }

  /// - Parameter model: of `begin`; this training's own, nobody else may use its memory.
  init(plan: TrainingPlan, model: Model, inputs: [TrainingInput], compute: Compute) {
    let recipe = plan.recipe
    let model = model.multiplying(ProductPrecision(recipe.precision))
    self.plan = plan
    self.model = model
    self.inputs = inputs
    trainer = Trainer(
      model: model, trained: TrainedParts(recipe), compute: compute,
      recomputes: recipe.recompute)
    weights = model.parameters[trainer.trainedRange]
    order = SampleOrder(samples: inputs.count, recipe: recipe)
    schedule = LearningRateSchedule(
      base: recipe.learningRate, warmupRatio: recipe.warmupRatio, stepsTotal: plan.stepsTotal)
    adamW = AdamWOptimizer.Settings(
      beta1: recipe.beta1, beta2: recipe.beta2, epsilon: recipe.epsilon,
      weightDecay: recipe.weightDecay, clipNorm: recipe.clipNorm)
  }

  /// SHA-256 of the trained weights: equal on every worker after the same step.
  var weightsDigest: Digest { digest(of: weights) }

  /// The student as it is now, without adapters, on a parameter vector of its own.
  func student(on compute: Compute) -> Model {
    model.adapters == nil ? model.copy() : model.merged(on: compute)
  }

  /// The gradient of the sum of the token losses of one virtual rank's samples: zeros when the rank
  /// has none in this step. See `Trainer.gradient`.
  mutating func gradient(
    step: Int, rank: Int, into gradient: Floats?,
    finished: ((Range<Int>, Floats, LossSum) -> Void)? = nil
  ) throws -> LossSum {
    let samples = order.samples(step: step, rank: rank).map { inputs[$0] }
    return try trainer.gradient(of: samples, into: gradient, finished: finished)
  }

  /// Applies a cell of the summed gradient of a step.
  /// - Returns: what that added to the weights, where they follow master weights; see `follow`.
  func apply(
    _ update: CellUpdate, step: Int, _ totals: StepTotals, on compute: Compute
  ) -> Floats? {
    let (scale, _) = AdamWOptimizer.gradientScale(
      sumOfSquares: totals.sumOfSquares, tokens: Int(totals.tokens), clipNorm: adamW.clipNorm)
    let weights = weights[update.range]
    Kernels.adamW(
      update.moments.master ?? weights, firstMoments: update.moments.first,
      secondMoments: update.moments.second, gradients: update.gradient,
      adamW.step(
        index: step + 1, learningRate: schedule.rate(step: step), gradientScale: scale),
      on: compute)
    return update.moments.master.map { follow(weights, master: $0, on: compute) }
  }
}

enum TrainingStateError: Error, CustomStringConvertible {
  case foreign(bytes: Int, expected: Int)

  var description: String {
    switch self {
    case .foreign(let bytes, let expected):
      "a checkpoint's blob of \(bytes) bytes does not fit this model, which needs \(expected)"
    }
  }
}

/// SHA-256 of f32 values in little-endian order.
func digest(of values: Floats) -> Digest {
  values.withUnsafeMutableBufferPointer { buffer in
    var hash = IncrementalHash()
    hash.update(UnsafeRawBufferPointer(buffer))
    return hash.finish()
  }
}

extension ProductPrecision {
  init(_ precision: Precision) {
    self =
      switch precision {
      case .f32, .int8: .f32
      case .bf16: .bf16
      }
  }
}

extension TrainedParts {
  init(_ recipe: TrainingRecipe) {
    self =
      switch recipe.trained {
      case _ where recipe.adapters != nil: .projectorAndAdapters
      case .projector: .projector
      case .projectorAndLanguage: .projectorAndLanguage
      case .all: .all
      }
  }
}

extension AdapterShape {
  init(_ adapters: LowRankAdapters) {
    self.init(
      rank: adapters.rank, alpha: adapters.alpha,
      targets: Set(adapters.orderedTargets.map { AdapterTarget($0) }))
  }
}

extension AdapterTarget {
  fileprivate init(_ layer: AdaptedLayer) {
    self =
      switch layer {
      case .query: .query
      case .key: .key
      case .value: .value
      case .output: .output
      case .gate: .gate
      case .up: .up
      case .down: .down
      }
  }
}
