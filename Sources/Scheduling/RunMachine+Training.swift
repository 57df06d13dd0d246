import Distillation
import Domain

// A training as a phase of the run.

extension RunMachine {
  /// Goes on with a training that was begun before a restart, or asks for a new one's samples.
  mutating func openTraining(_ id: TrainingID, at now: Moment, _ turn: inout Turn) {
    guard let begun = state.begun[id] else {
      state.awaitingDataset = id
      turn.effects.append(.request(.buildDataset(id)))
      return
    }
    if begun.export == nil {
      start(begun, isNew: false, at: now, &turn)
    } else {
      state.trainingDone = true
    }
  }

  mutating func datasetBuilt(
    _ id: TrainingID, _ dataset: Digest, samples: Int, at now: Moment, _ turn: inout Turn
  ) {
    guard state.awaitingDataset == id, let input else { return }
    state.awaitingDataset = nil
    var recipe = id == .pretraining ? settings.pretrain : settings.tune
    recipe.seed = state.seeds.training(id)
    recipe.precision = settings.studentPrecision
    let steps = recipe.steps(samples: samples)
    guard steps > 0 else {
      state.trainingDone = true
      return
    }
    let plan = TrainingPlan(
      training: id, model: state.student(after: id.iteration - 1, base: input.student),
      dataset: dataset, recipe: recipe, stepsTotal: steps, checkpoint: nil)
    turn.persist(.trainingPlanned(plan))
    start(
      RestoredTraining(plan: plan, epoch: 0, stepsCommitted: 0, lastTotals: nil, export: nil),
      isNew: true, at: now, &turn)
  }

  private mutating func start(
    _ restored: RestoredTraining, isNew: Bool, at now: Moment, _ turn: inout Turn
  ) {
    var machine = TrainingMachine(restored, isNew: isNew, timing: settings.timing, at: now)
    for name in membership.names {
      guard let member = membership.members[name] else { continue }
      machine.joined(member.id, member.hello, at: now, &turn)
      if member.draining { machine.drain(member.id) }
    }
    training = machine
  }

  /// Lets the training decide; when it is done, its student is the run's.
  mutating func advanceTraining(at now: Moment, _ turn: inout Turn) {
    guard var present = training, !state.trainingDone else { return }
    training = nil
    present.isAnyoneAway = !away.isEmpty
    let export = present.advance(at: now, isPaused: isPaused, &turn)
    training = present
    guard let export else { return }
    turn.persist(.trainingFinished(export))
    state.exports[export.training.iteration] = export
    state.trainingDone = true
    for worker in membership.ids { turn.send(worker, .endTraining(export.training)) }
  }
}
