public import Distillation
public import Domain
import Formats
public import Kernels
public import Shapes
public import Transformer

/// How often a model was right, and how often it was asked.
public struct Tally: Hashable, Sendable {
  public var right = 0
  public var asked = 0
  /// Percent.
  public var accuracy: Double { asked == 0 ? 0 : 100 * Double(right) / Double(asked) }
}

/// Accuracies of one examination.
public struct ExaminationResult: Sendable {
  public var byKind: [QuestionKind: Tally] = [:]

  public subscript(dimension: Dimension) -> Tally {
    byKind.reduce(into: Tally()) { sum, entry in
      guard entry.key.dimension == dimension else { return }
      sum.right += entry.value.right
      sum.asked += entry.value.asked
    }
  }

  /// Mean of the nine dimensions, in percent.
  public var mean: Double {
    Dimension.allCases.reduce(0) { $0 + self[$1].accuracy } / Double(Dimension.allCases.count)
  }
}

/// A question of an examination.
public struct ExaminationItem: Hashable, Sendable {
  public var scene: Scene
  public var exercise: Exercise
}

/// `count` questions for each kind about scenes of a split, a new scene for every question.
public func examination(
  from split: Split, perKind count: Int, kinds: [QuestionKind] = QuestionKind.allCases,
  seed: UInt64
) -> [ExaminationItem] {
  var random = SeededRandom(seed: seed, "examination")
  return kinds.flatMap { kind in
    var items: [ExaminationItem] = []
    while items.count < count {
      let scene = Scene.sample(from: split, using: &random)
      if let exercise = scene.exercise(of: kind, using: &random) {
        items.append(ExaminationItem(scene: scene, exercise: exercise))
      }
    }
    return items
  }
}

/// Lets a model answer prompts about scenes.
public struct Examinee {
  let encoder: LessonEncoder
  private let generator: Generator

  public init(model: Model, encoder: LessonEncoder, threads: Int = 2) throws(KernelError) {
    self.encoder = encoder
    generator = Generator(
      model: model, compute: try Compute(threads: threads),
      limits: GenerationLimits(batchMax: 64, contextMax: 256))
  }

  /// Greedy unless a temperature is given.
  public func answers(
    to prompts: [(prompt: Prompt, scene: Scene)], tokensMax: Int = 90, temperature: Double = 0,
    seed: UInt64 = 1
  ) throws -> [String] {
    let requests = prompts.enumerated().map { index, item in
      GenerationInput(
        encoder.prompt(item.prompt, scene: item.scene),
        sampling: SamplingParameters(
          temperature: temperature, topP: 1, seed: seed &+ UInt64(index)),
        tokensMax: tokensMax,
        stops: encoder.template.stops.compactMap(encoder.tokenizer.controlToken))
    }
    return try generator.run(requests).map { encoder.tokenizer.decode($0.tokens) }
  }

  /// The answers to the questions of an examination.
  public func answers(
    to items: [ExaminationItem], _ prompts: PromptSet, temperature: Double = 0
  ) throws -> [String] {
    try answers(
      to: items.map { item in
        (
          prompts.answer(
            item.exercise.question.text, image: placeholder, in: encoder.template), item.scene
        )
      }, temperature: temperature)
  }
}

/// Right is what the oracle gives full marks.
public func graded(_ items: [ExaminationItem], _ answers: [String]) -> ExaminationResult {
  var result = ExaminationResult()
  for (item, answer) in zip(items, answers) {
    let isRight = item.scene.score(answer, truth: item.exercise.answer) == 10
    result.byKind[item.exercise.question.query.kind, default: Tally()].asked += 1
    if isRight { result.byKind[item.exercise.question.query.kind, default: Tally()].right += 1 }
  }
  return result
}
