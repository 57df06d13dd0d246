import Distillation
import Domain
import Scheduling

/// What a simulated run is about: small, and different for every seed.
struct World: Sendable {
  var settings: RunSettings
  var input: RunInput
  var pool: [Instruction]
  /// Caption pairs of stage 1.
  var captions: Int

  init(seed: UInt64) {
    var random = SeededRandom(seed: seed, "world")
    let pictures = (0..<(2 + random.below(3))).map { simulatedDigest("picture", UInt64($0)) }
    // Some phases have to last, so that a worker that was away comes back into the same one.
    let count = random.below(10) == 0 ? 24 + random.below(16) : 4 + random.below(7)
    pool = (1...count).map { number in
      let isPoisoned = random.below(25) == 0
      let isDeadly = random.below(60) == 0
      return Instruction(
        id: InstructionID(Int64(number)),
        image: random.below(8) == 0 ? nil : pictures[random.below(pictures.count)],
        text: isDeadly
          ? "\(deadly) \(number)"
          : isPoisoned ? "\(poison) \(number)" : "imported question number \(number) here ?",
        task: .conversation, lineage: .imported(record: "r\(number)", turn: 0))
    }
    let items = (0..<(1 + random.below(3))).map { item in
      EvaluationItem(
        image: random.below(3) == 0 ? nil : pictures[random.below(pictures.count)],
        text: "examination \(item)")
    }
    captions = random.below(4) == 0 ? 0 : 4 + random.below(6)
    input = RunInput(
      teacher: simulatedDigest("teacher"), student: simulatedDigest("student"),
      hasCaptions: captions > 0,
      evaluationSets: [
        EvaluationSet(
          name: "examination", items: items,
          sampling: RoleSampling(temperature: 0, tokensMax: SimulatedRole.evaluation.rawValue))
      ])
    settings = World.settings(seed: seed, random: &random)
  }

  private static func settings(seed: UInt64, random: inout SeededRandom) -> RunSettings {
    func role(_ role: SimulatedRole) -> RoleSampling {
      RoleSampling(temperature: 0.5, tokensMax: role.rawValue)
    }
    func recipe(_ part: TrainedPart) -> TrainingRecipe {
      TrainingRecipe(
        batch: 3, learningRate: 1, epochs: 2, trained: part, virtualRanks: 3 + random.below(6),
        checkpointEvery: 2 + random.below(3), seed: 0)
    }
    var settings = RunSettings(
      run: "simulated",
      method: Method(iterations: 2, judgeAttempts: 2, seed: seed), prompts: shortPrompts(),
      teacherTemplate: .plain, studentTemplate: .plain, teacher: role(.teacher),
      student: role(.student), judge: role(.judge), augmentor: role(.augmentor),
      pretrain: recipe(.projector), tune: recipe(.projectorAndLanguage))
    var draw = SeededRandom(seed: seed, "wire")
    for part in [\RunSettings.pretrain, \.tune] where draw.below(3) == 0 {
      settings[keyPath: part].wire = .bf16
    }
    settings.reuse = random.below(2) == 0
    settings.limits.creditMax = 1 + random.below(5)
    settings.limits.askedAheadMax = 1 + random.below(12)
    settings.timing.suspectAfter = .seconds(3)
    settings.timing.goneAfter = .seconds(6)
    settings.timing.leaseDuration = .seconds(8)
    settings.timing.stuckAfter = .seconds(6)
    settings.timing.speculateAfter = .milliseconds(700)
    settings.timing.resendAfter = .seconds(2)
    settings.timing.gatherPatience = .seconds(6)
    settings.timing.statePatience = .seconds(10)
    settings.timing.firstStepPatience = .seconds(15)
    settings.timing.stepPatienceMin = .seconds(4)
    settings.timing.uploadPatience = .seconds(10)
    settings.timing.joinPatience = .seconds(10)
    return settings
  }

  /// The texts are short because every request is hashed and no simulated model reads it.
  private static func shortPrompts() -> PromptSet {
    do {
      return try PromptSet(replacing: [
        .system: "s", .judge: "{question} 1: {answer_1} 2: {answer_2}",
        .augmentor: "{question} {task}", .captions: "caption", .tasks: "conversation: c",
      ])
    } catch {
      preconditionFailure("the simulation's own prompts are sound: \(error)")
    }
  }
}
