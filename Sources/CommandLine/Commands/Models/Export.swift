import ArgumentParser
import Domain
import Hashing
import Store
import Transformer
import Worker

struct Export: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Write the student of a training's newest checkpoint as a folder for transformers.",
    discussion: """
      The run may go on meanwhile. The student of a training that is over lies in the run's folder \
      as it is.

      Example:
        comd export --dir runs/first --model models/student --iteration 2 --out student-so-far
      """)

  @Option(help: ArgumentHelp("The run's folder.", valueName: "run"))
  var dir: String
  @OptionGroup var model: ModelOptions
  @Option(help: "0 is stage 1, others the tuning of that iteration (default: the newest training).")
  var iteration: Int?
  @Option(help: "How the weights are stored.")
  var precision = StoredAs.f32
  @Option(help: "The folder to write.")
  var out: String
  @OptionGroup var facts: FactOptions

  private struct Written: Encodable {
    var folder: String
    var iteration: Int
    var step: Int
    var stepsTotal: Int
  }

  func run() throws {
    let view = try StoreView(runFolder: dir)
    let trainings = try view.trainings()
    let wanted = iteration.map { TrainingID(iteration: $0) } ?? trainings.last?.plan.training
    guard let training = trainings.first(where: { $0.plan.training == wanted }) else {
      throw CommandError.failed("\(dir) has begun no such training; `comd status` tells its phase")
    }
    let plan = training.plan
    if training.export != nil {
      throw CommandError.failed(
        "\(plan.training) is over: its student is in \(dir)/students, or will be at the run's end")
    }
    guard let checkpoint = plan.checkpoint else {
      throw CommandError.failed(
        "\(plan.training) has no checkpoint yet; checkpoint_every says when there is one")
    }
    let blobs = BlobFolder(reading: view.blobFolder)
    let student = try student(
      of: plan, at: checkpoint, base: try Model.load(model.model), read: { try blobs.read($0) })
    try student.save(folder: out, precision: precision.precision)
    if facts.json {
      try printJSON(
        Written(
          folder: out, iteration: plan.training.iteration, step: checkpoint.step,
          stepsTotal: plan.stepsTotal))
    } else {
      printFact("\(out): \(plan.training), step \(checkpoint.step) of \(plan.stepsTotal)")
    }
  }
}
