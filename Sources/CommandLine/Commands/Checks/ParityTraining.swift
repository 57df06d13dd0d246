import ArgumentParser
import Domain
import Hashing
import Protocol
import Store
import Transformer
import Worker

struct ParityTraining: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "training",
    abstract: "What a training of a run computes, step by step, as JSON Lines.",
    discussion: """
      The first line has the recipe; each further one a step: its samples as token ids with the \
      mask of those whose loss is counted, its learning rate, and the loss that the run got, where \
      it has got one. The loss of a step is the mean over all counted tokens of its samples.

      Example:
        comd parity training --dir runs/tune --model models/smollm2 --iteration 0 > steps.jsonl
      """)

  @Option(help: "The run's folder.")
  var dir: String
  @Option(help: "0 is stage 1, others the tuning of that iteration.")
  var iteration = 0
  @OptionGroup var model: ModelOptions

  private struct Recipe: Encodable {
    var steps: Int
    var betas: [Double]
    var epsilon: Double
    var weightDecay: Double
    var clipNorm: Double
  }
  private struct Step: Encodable {
    struct Sample: Encodable {
      var tokens: [Int32]
      var mask: [Int]
    }
    var step: Int
    var learningRate: Double
    var loss: Double?
    var samples: [Sample]
  }

  func run() throws {
    let view = try StoreView(runFolder: dir)
    let training = TrainingID(iteration: iteration)
    guard let plan = try view.trainings().first(where: { $0.plan.training == training })?.plan
    else { throw CommandError.failed("\(dir) has not begun \(training)") }
    let losses = try view.losses(of: training)
    let samples = try decodeTrainingSamples(
      BlobFolder(reading: view.blobFolder).read(plan.dataset))
    var listing = try StepListing(plan, samples: samples, model: try Model.load(model.model))
    let recipe = plan.recipe
    try printJSON(
      Recipe(
        steps: plan.stepsTotal, betas: [recipe.beta1, recipe.beta2], epsilon: recipe.epsilon,
        weightDecay: recipe.weightDecay, clipNorm: recipe.clipNorm))
    for step in 0..<plan.stepsTotal {
      try printJSON(
        Step(
          step: step, learningRate: listing.learningRate(step: step), loss: losses[step],
          samples: listing.samples(step: step).map {
            Step.Sample(tokens: $0.tokens, mask: $0.mask.map { $0 ? 1 : 0 })
          }))
    }
  }
}
