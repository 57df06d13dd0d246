import Datasets
import Distillation
import Domain
import Evaluation
import Hashing
import Logging
import Protocol
import Scheduling
import Settings
import Store

/// Does the work that the machine asks of its shell and that takes long: data sets and scores.
struct RunClerk: Sendable {
  let settings: ClusterSettings
  let run: RunSettings
  let store: RunStore
  let inventory: Inventory
  let examinations: [Datasets.EvaluationSet]
  let log: Logger

  /// Stores the manifest of a checkpoint whose segments are stored.
  func manifest(_ training: TrainingID, step: Int, _ segments: [SavedSegment]) throws -> Event {
    guard let plan = try store.trainings().first(where: { $0.plan.training == training })?.plan
    else { preconditionFailure("\(training) was planned before it was begun") }
    let manifest = CheckpointManifest(plan, step: step, segments)
    let checkpoint = TrainingCheckpoint(step: step, state: try store.blobs.put(manifest.bytes))
    log.info("\(training): checkpoint after step \(step)")
    return .manifestWritten(training, checkpoint)
  }

  /// Builds the samples of a training as a blob and says what came of it.
  func dataset(_ training: TrainingID) throws -> Event {
    let samples = try training == .pretraining ? stage1Samples() : tuningSamples(training)
    log.info("\(training): \(samples.count) samples")
    if training == .pretraining { try store.setFact(Fact.pairs, "\(samples.count)") }
    let blob = try store.blobs.put(encode(samples))
    return .datasetBuilt(training, dataset: blob, samples: samples.count)
  }

  /// Stage 1: dialogues as they are, or each caption that the filter took, as an answer to a
  /// request for a description.
  private func stage1Samples() throws -> [TrainingSample] {
    if let file = settings.data.conversations {
      return try ConversationReader(inventory: inventory, log: log)
        .conversations(of: file, pictures: settings.data.images)
        .map { run.studentTemplate.trainingSample($0, system: run.prompts.system) }
    }
    let seeds = Seeds(run: settings.method.seed)
    let pairs = try CaptionReader(settings: settings, inventory: inventory, log: log).pairs()
    return pairs.enumerated().map { number, pair in
      let conversation = run.prompts.conversation(
        captioned: pair, seed: seeds.captionInstruction(pair: number))
      return run.studentTemplate.trainingSample(conversation, system: run.prompts.system)
    }
  }

  /// Tuning: the pool of this iteration with the teacher's answers, grouped by picture (eq. 1).
  private func tuningSamples(_ training: TrainingID) throws -> [TrainingSample] {
    let answered = try store.answered(iteration: training.iteration).map {
      AnsweredInstruction($0.0, answer: $0.answer)
    }
    return groupIntoConversations(
      answered, turnsMax: settings.method.turnsMax, iteration: training.iteration,
      seeds: Seeds(run: settings.method.seed)
    ).map { run.studentTemplate.trainingSample($0, system: run.prompts.system) }
  }

  /// Scores one subject's answers to one examination.
  func score(_ subject: EvaluationSubject, set: Int, iteration: Int) throws -> Event {
    let items = examinations[set].items
    let known = try store.answers(of: subject, set: set, iteration: iteration)
    let answers = items.indices.map { known[$0] }
    return .evaluationScored(
      Evaluation.score(answers, to: items, subject: subject, set: set, iteration: iteration))
  }
}
