public import Domain
public import Transformer

/// What each step of a training computes, for who computes it elsewhere: samples as token ids, in
/// the order of the virtual ranks, and the learning rate.
public struct StepListing {
  public struct Sample: Hashable, Sendable {
    /// Where a picture stands: the model's image token, once.
    public var tokens: [Int32]
    /// (tokens): whether the loss of predicting each is counted.
    public var mask: [Bool]
  }

  private let inputs: [Sample]
  private var order: SampleOrder
  private let schedule: LearningRateSchedule

  public init(_ plan: TrainingPlan, samples: [TrainingSample], model: Model) throws {
    let reader = try PromptReader(model)
    inputs = try samples.map { sample in
      let pieces = try reader.read(sample).pieces
      return Sample(
        tokens: pieces.map { piece in
          switch piece.piece {
          case .token(let token): token
          case .image: model.imageToken ?? -1
          }
        }, mask: pieces.map(\.trained))
    }
    order = SampleOrder(samples: samples.count, recipe: plan.recipe)
    schedule = LearningRateSchedule(
      base: plan.recipe.learningRate, warmupRatio: plan.recipe.warmupRatio,
      stepsTotal: plan.stepsTotal)
  }

  public mutating func samples(step: Int) -> [Sample] {
    order.batch(step: step).map { inputs[$0] }
  }

  public func learningRate(step: Int) -> Double { schedule.rate(step: step) }
}
