import Domain
import Formats
import Foundation
import Hashing
import Kernels
import Scheduling
import Transformer

/// Everything a worker holds of a training: model, moments, samples, and how many steps are done.
struct TrainingState {
  let plan: TrainingPlan
  let model: Model
  private let trainer: Trainer
  private var optimizer: AdamWOptimizer
  private let inputs: [TrainingInput]
  private var order: SampleOrder
  private let schedule: LearningRateSchedule
  /// Committed steps whose updates are in the weights.
  private(set) var step = 0

  /// What a training begins with: the student with new adapters, or a copy of it.
  static func begin(_ student: Model, _ recipe: TrainingRecipe) -> Model {
    recipe.adapters.map { student.withAdapters(AdapterShape($0), seed: recipe.seed) }
      ?? student.copy()
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
    optimizer = AdamWOptimizer(
      count: trainer.trainedRange.count,
      settings: AdamWOptimizer.Settings(
        beta1: recipe.beta1, beta2: recipe.beta2, epsilon: recipe.epsilon,
        weightDecay: recipe.weightDecay, clipNorm: recipe.clipNorm))
    order = SampleOrder(samples: inputs.count, recipe: recipe)
    schedule = LearningRateSchedule(
      base: recipe.learningRate, warmupRatio: recipe.warmupRatio, stepsTotal: plan.stepsTotal)
  }

  var trainedCount: Int { trainer.trainedRange.count }
  private var trained: Floats { model.parameters[trainer.trainedRange] }

  /// SHA-256 of the trained weights: equal on every worker after the same step.
  var weightsDigest: Digest { digest(of: trained) }

  /// The student as it is now, without adapters, on a parameter vector of its own.
  func student(on compute: Compute) -> Model {
    model.adapters == nil ? model.copy() : model.merged(on: compute)
  }

  /// The gradient of the sum of the token losses of one virtual rank's samples; `gradient` is
  /// overwritten, with zeros when the rank has no samples in this step.
  mutating func gradient(step: Int, rank: Int, into gradient: Floats) throws -> LossSum {
    let samples = order.samples(step: step, rank: rank).map { inputs[$0] }
    guard !samples.isEmpty else {
      gradient.fill(0)
      return LossSum(loss: 0, tokens: 0)
    }
    return try trainer.gradient(of: samples, into: gradient)
  }

  /// Applies the summed gradient of the whole batch as the next step.
  mutating func apply(_ summed: SummedStep, on compute: Compute) {
    let squares = summed.sums.reduce(0) { $0 + sumOfSquares($1, on: compute) }
    let (scale, _) = AdamWOptimizer.gradientScale(
      sumOfSquares: squares, tokens: Int(summed.loss.tokens), clipNorm: plan.recipe.clipNorm)
    for (range, sum) in zip(summed.grid.cells, summed.sums) {
      optimizer.step(
        range, parameters: trained, gradient: sum, gradientScale: scale,
        learningRate: schedule.rate(step: step), on: compute)
    }
    step += 1
    optimizer.stepsDone = step
  }

  private static let magic = Array("comd-state-1".utf8)

  /// Weights and moments with the number of steps, for another worker or another day.
  func encoded() -> [UInt8] {
    var bytes = Self.magic
    withUnsafeBytes(of: UInt64(step).littleEndian) { bytes += $0 }
    withUnsafeBytes(of: UInt64(trainedCount).littleEndian) { bytes += $0 }
    bytes.reserveCapacity(bytes.count + 12 * trainedCount)
    for vector in [trained, optimizer.firstMoments, optimizer.secondMoments] {
      vector.withUnsafeMutableBufferPointer { bytes += UnsafeRawBufferPointer($0) }
    }
    return bytes
  }

  /// Takes over what `encoded` gave. Throws when the bytes are not of this training's shape.
  mutating func restore(_ bytes: [UInt8]) throws {
    let head = Self.magic.count + 16
    let expected = head + 12 * trainedCount
    guard bytes.count == expected, Array(bytes.prefix(Self.magic.count)) == Self.magic else {
      throw TrainingStateError.foreign(bytes: bytes.count, expected: expected)
    }
    step = Int(
      (0..<8).reduce(0 as UInt64) { $0 | UInt64(bytes[Self.magic.count + $1]) << (8 * UInt64($1)) })
    var offset = head
    for vector in [trained, optimizer.firstMoments, optimizer.secondMoments] {
      let end = offset + 4 * vector.count
      vector.withUnsafeMutableBufferPointer { target in
        bytes[offset..<end].withUnsafeBytes {
          UnsafeMutableRawBufferPointer(target).copyMemory(from: $0)
        }
      }
      offset = end
    }
    optimizer.stepsDone = step
  }
}

enum TrainingStateError: Error, CustomStringConvertible {
  case foreign(bytes: Int, expected: Int)

  var description: String {
    switch self {
    case .foreign(let bytes, let expected):
      "a checkpoint of \(bytes) bytes does not fit this model, which needs \(expected)"
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
