import Domain
import Hashing
import TestSupport

/// Draws turns of a run: changes as the machines would emit them, late and repeated ones too.
struct RandomRun: RandomValues {
  var random: SeededRandom
  private(set) var model = ModelRun()
  private var workers: [WorkerID] = []

  init(seed: UInt64) { random = SeededRandom(seed: seed) }

  mutating func request() -> GenerationRequest {
    // Few different ones, so that addresses meet.
    GenerationRequest(
      model: Digest(hashing: [UInt8(random.below(2))]),
      prompt: Prompt([
        .control("<s>"), .text(pick(["why?", "what\0?"])),
        .image(Digest(hashing: [UInt8(random.below(8))])),
      ]),
      sampling: Sampling(
        temperature: 0.5, topP: 0.9, tokensMax: 64, seed: UInt64(random.below(4)),
        stops: pick([[], ["</s>"]])),
      precision: pick([.f32, .int8]))
  }

  mutating func result() -> GenerationResult {
    GenerationResult(
      text: text(), tokens: (0..<random.below(9)).map { _ in Int32(random.below(1000)) - 500 },
      stop: pick([.stopToken, .tokensMax, .contextFull]), promptTokens: random.below(99))
  }

  mutating func worker() -> WorkerID {
    if workers.isEmpty || random.below(10) == 0 {
      workers.append(WorkerID(name: pick(["a", "b", "c"]), boot: random.next()))
    }
    return pick(workers)
  }

  mutating func job() -> ModelRun.ModelJob? {
    model.jobs.isEmpty ? nil : model.jobs[pick(model.jobs.keys.sorted())]
  }

  mutating func purpose() -> Purpose {
    let instruction = InstructionID(Int64(1 + random.below(9)))
    let iteration = 1 + random.below(3)
    return switch random.below(5) {
    case 0: .teacherAnswer(instruction)
    case 1: .studentAnswer(instruction, iteration: iteration)
    case 2:
      .judgement(
        instruction, iteration: iteration, order: pick(PresentationOrder.allCases), attempt: 2)
    case 3: .newInstruction(from: instruction, iteration: iteration)
    default:
      .evaluation(
        pick(EvaluationSubject.allCases), set: 1, item: random.below(50), iteration: iteration)
    }
  }

  mutating func training() -> TrainingID { TrainingID(iteration: random.below(3)) }

  mutating func failure() -> JobFailure {
    pick([
      .blobUnavailable(digest(), text()), .imageUnreadable(digest(), text()),
      .modelUnusable(digest(), text()), .promptTooLong(tokens: 9, limit: 8), .outOfMemory(text()),
    ])
  }

  /// A turn's changes, applied to the model.
  mutating func turn() -> [Change] {
    var turn: [Change] = []
    for _ in 0..<1 + random.below(6) {
      for change in changes() {
        model.apply(change)
        turn.append(change)
      }
    }
    return turn
  }

  private mutating func changes() -> [Change] {
    switch random.below(4) {
    case 0: [bookkeeping()]
    case 1: [learning()]
    default: working()
    }
  }

  private mutating func working() -> [Change] {
    let worker = worker()
    guard let entry = job(), random.below(4) > 0 else {
      let request = request()
      return [
        .jobsCreated([
          Job(
            id: JobID(Int64(model.jobs.count + 1)), purpose: purpose(),
            address: Digest(of: request), request: request)
        ])
      ]
    }
    let (id, address) = (entry.job.id, entry.job.address)
    func report(_ outcome: JobOutcome, attempt: Int) -> JobReport {
      JobReport(job: id, attempt: attempt, address: address, outcome: outcome)
    }
    let attempt = entry.attempts == 0 ? 1 : 1 + random.below(entry.attempts)
    switch random.below(6) {
    case 0, 1: return [.leased(id, attempt: entry.attempts + 1, to: worker)]
    case 2:
      guard entry.attempts > 0, !entry.ended.contains(attempt) else { return [] }
      return [.accepted(report(.success(result()), attempt: attempt), from: worker)]
    case 3:
      guard entry.attempts > 0 else { return [] }
      return [.failed(report(.failure(failure()), attempt: attempt), from: worker)]
    case 4:
      if model.results[address] != nil { return [.reused(id, address: address)] }
      return [.quarantined(id)]
    default:
      return [
        .duplicate(report(.success(result()), attempt: attempt), from: worker, equal: false)
      ]
    }
  }

  private mutating func bookkeeping() -> Change {
    let instruction = InstructionID(Int64(1 + random.below(9)))
    let iteration = 1 + random.below(3)
    switch random.below(6) {
    case 0:
      return .phase(
        pick([
          .pretraining, .answering(iteration: iteration), .tuning(iteration: iteration),
          .evaluating(iteration: iteration), .assessing(iteration: iteration),
          .augmenting(iteration: iteration), .finished,
        ]))
    case 1:
      let lineage: Lineage = pick([
        .imported(record: text(), turn: 3), .augmented(from: instruction, iteration: iteration),
      ])
      return .instructionsAdded(
        [
          Instruction(
            id: instruction, image: pick([nil, digest()]), text: text(),
            task: pick([.detail, TaskType("other")]), lineage: lineage)
        ], iteration: iteration)
    case 2:
      let judged = Assessment.judged(
        teacherFirst: ScorePair(teacher: 9, student: 3.5),
        studentFirst: ScorePair(teacher: 8, student: 4), difficulty: 0.5, difficult: true)
      return .assessed(
        instruction, iteration: iteration, pick([judged, .unjudged(lastText: text())]))
    case 3:
      return .proposed(
        from: instruction, iteration: iteration,
        pick([
          .admitted(instruction), .rejected(.empty), .rejected(.form(text())),
          .rejected(.tooSimilar(to: instruction, rougeL: 0.75)), .rejected(.failed),
        ]))
    case 4:
      return pick([
        .workerJoined(worker(), kernelSet: "avx512"), .workerLeft(worker(), reason: text()),
        .workerBusy(worker(), milliseconds: 5),
      ])
    default:
      return .evaluated(
        EvaluationScore(
          subject: "student", set: 0, iteration: iteration, items: 9, correct: random.below(9),
          categories: [
            CategoryScore(name: "a", items: 4, correct: 2),
            CategoryScore(name: text(), items: 5, correct: 1),
          ]))
    }
  }

  private mutating func learning() -> Change {
    let training = training()
    guard let known = model.trainings[training] else {
      var recipe = TrainingRecipe(
        learningRate: 2e-3, trained: pick(TrainedPart.allCases), seed: random.next(),
        precision: pick([.f32, .bf16]))
      recipe.recompute = pick([false, true])
      recipe.replication = pick([0, 1, 2])
      recipe.wire = pick(WirePrecision.allCases)
      recipe.adapters = pick([
        nil, LowRankAdapters(),
        LowRankAdapters(rank: 3, alpha: 0.5, targets: [pick(AdaptedLayer.allCases), .up]),
      ])
      return .trainingPlanned(
        TrainingPlan(
          training: training, model: digest(), dataset: digest(),
          recipe: recipe, stepsTotal: 100,
          checkpoint: pick([nil, TrainingCheckpoint(step: 0, state: digest())])))
    }
    return switch random.below(5) {
    case 4:
      .segmentSaved(
        training, step: known.stepsCommitted,
        SavedSegment(segment: random.below(8), weights: digest(), moments: digest()))
    case 0: .epochOpened(training, epoch: known.epoch + 1)
    case 1:
      .stepCommitted(
        training, step: max(0, known.stepsCommitted - random.below(2)), epoch: known.epoch,
        StepTotals(loss: random.unit(), tokens: 5, sumOfSquares: random.unit()))
    case 2:
      .checkpointed(
        training, TrainingCheckpoint(step: known.stepsCommitted, state: digest(of: known)))
    default:
      .trainingFinished(
        TrainingExport(training: training, model: digest(), weights: digest()))
    }
  }

  /// The state after some steps is one and the same whoever uploads it.
  private func digest(of training: RestoredTraining) -> Digest {
    Digest(hashing: "\(training.plan.training) \(training.stepsCommitted)".utf8)
  }
}
