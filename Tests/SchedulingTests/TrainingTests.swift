import Domain
import Testing

@testable import Scheduling

/// A run in its stage 1 with these workers, and what they hear.
private struct Group {
  var driver: Driver
  let training = TrainingID.pretraining

  /// Four samples, batches of two: two steps.
  init(_ workers: [WorkerID], samples: Int = 4, checkpointEvery: Int = 50) {
    driver = Driver(input: testInput(captions: true)) {
      $0.pretrain.checkpointEvery = checkpointEvery
    }
    for worker in workers { _ = driver.join(worker) }
    _ = driver.handle(.datasetBuilt(training, dataset: digest(4), samples: samples))
  }

  mutating func ready(_ worker: WorkerID, _ step: Int) -> [Effect] {
    driver.say(.standing(training, .ready(step: step)), worker)
  }

  mutating func vote(
    _ worker: WorkerID, _ plan: StepPlan, gradient: UInt64 = 1
  ) -> [Effect] {
    driver.say(
      .vote(
        StepVote(
          training: training, epoch: plan.epoch, step: plan.step, loss: 1.5,
          gradient: digest(gradient))), worker)
  }
}

extension [Effect] {
  fileprivate func steps(to worker: WorkerID) -> [StepPlan] {
    messages(to: worker).compactMap { if case .openStep(let plan) = $0 { plan } else { nil } }
  }

  fileprivate func commits(to worker: WorkerID) -> [Int] {
    messages(to: worker).compactMap {
      if case .commitStep(_, _, let step) = $0 { step } else { nil }
    }
  }
}

@Suite("A training step")
struct TrainingTests {
  @Test("belongs to a recipe in the student's precision")
  func precision() {
    var driver = Driver(input: testInput(captions: true)) { $0.studentPrecision = .bf16 }
    _ = driver.join(alice)
    let effects = driver.handle(.datasetBuilt(.pretraining, dataset: digest(4), samples: 4))
    let recipes = effects.persisted.compactMap { change in
      if case .trainingPlanned(let plan) = change { plan.recipe } else { nil }
    }
    #expect(recipes.map(\.precision) == [.bf16])
  }

  @Test("opens when all who are there are ready, with ranks and segments for each")
  func opens() throws {
    var group = Group([alice, bob])
    #expect(group.ready(alice, 0).steps(to: alice).isEmpty)
    let effects = group.ready(bob, 0)
    let plan = try #require(effects.steps(to: alice).first)
    #expect(effects.steps(to: bob) == [plan])
    #expect(plan.members.map(\.worker) == [alice, bob])
    #expect(plan.rankOwners == [0, 0, 1, 1])
    #expect(plan.segmentOwners.count == segmentsPerVector)
    #expect(effects.persisted == [.epochOpened(group.training, epoch: 1)])
  }

  @Test("does not wait for a worker that is still fetching for longer than the patience")
  func gathering() {
    var group = Group([alice, bob])
    _ = group.ready(alice, 0)
    var effects: [Effect] = []
    for _ in 0..<124 {
      group.driver.now = group.driver.now + .milliseconds(250)
      effects += group.driver.beat(alice, .pretraining, .ready(step: 0))
      effects += group.driver.beat(bob, .pretraining, .preparing)
      effects += group.driver.handle(.tick)
    }
    #expect(effects.steps(to: alice).first?.members.map(\.worker) == [alice])
  }

  @Test("is committed, and told with its change, when all votes agree; the next opens at once")
  func commits() throws {
    var group = Group([alice, bob])
    _ = group.ready(alice, 0)
    let plan = try #require(group.ready(bob, 0).steps(to: alice).first)
    #expect(group.vote(alice, plan).isEmpty)
    let effects = group.vote(bob, plan)
    #expect(
      effects.persisted == [
        .stepCommitted(group.training, step: 0, epoch: 1, loss: 1.5),
        .epochOpened(group.training, epoch: 2),
      ])
    #expect(effects.commits(to: alice) == [0])
    #expect(effects.commits(to: bob) == [0])
    #expect(effects.steps(to: bob).map(\.step) == [1])
    // Told once more it is no new commit: nothing is sent whose change is not in its turn.
    #expect(group.vote(bob, plan).commits(to: bob).isEmpty)
  }

  @Test("is opened again under a new epoch, without the lost member, whose vote is void")
  func memberLost() throws {
    var group = Group([alice, bob])
    _ = group.ready(alice, 0)
    let plan = try #require(group.ready(bob, 0).steps(to: alice).first)
    _ = group.vote(alice, plan)
    let effects = group.driver.say(.goodbye, bob)
    let again = try #require(effects.steps(to: alice).first)
    #expect(again.step == 0)
    #expect(again.epoch == 2)
    #expect(again.rankOwners == [0, 0, 0, 0])
    #expect(group.vote(alice, plan).persisted.isEmpty)
    #expect(
      group.vote(alice, again).persisted.first
        == .stepCommitted(group.training, step: 0, epoch: 2, loss: 1.5))
  }

  @Test("whose sums differ is run again, and then without the minority")
  func disagreement() throws {
    var group = Group([alice, bob, carol])
    for worker in [alice, bob] { _ = group.ready(worker, 0) }
    var plan = try #require(group.ready(carol, 0).steps(to: alice).first)
    _ = group.vote(alice, plan)
    _ = group.vote(bob, plan, gradient: 2)
    var effects = group.vote(carol, plan)
    #expect(!effects.persisted.contains { if case .stepCommitted = $0 { true } else { false } })
    #expect(
      effects.notes.contains { if case .gradientsDiffer = $0 { true } else { false } })
    plan = try #require(effects.steps(to: bob).first)
    _ = group.vote(alice, plan)
    _ = group.vote(bob, plan, gradient: 2)
    effects = group.vote(carol, plan)
    #expect(effects.steps(to: alice).first?.members.map(\.worker) == [alice, carol])
  }

  @Test("waits for a worker that comes late: the state is uploaded, loaded, then all go on")
  func joining() throws {
    var group = Group([alice], samples: 8)
    let plan = try #require(group.ready(alice, 0).steps(to: alice).first)
    _ = group.driver.join(bob)
    _ = group.ready(bob, 0)
    let pause = group.vote(alice, plan)
    #expect(pause.messages(to: alice).contains(.checkpoint(group.training, step: 1)))
    #expect(pause.steps(to: alice).isEmpty)
    let checkpoint = TrainingCheckpoint(step: 1, state: digest(8))
    let loading = group.driver.say(.checkpointed(group.training, checkpoint), alice)
    #expect(loading.persisted == [.checkpointed(group.training, checkpoint)])
    guard case .prepareTraining(let told) = loading.messages(to: bob).first else {
      Issue.record("bob was not told to load")
      return
    }
    #expect(told.checkpoint == checkpoint)
    let going = group.ready(bob, 1)
    #expect(going.steps(to: alice).first?.members.map(\.worker) == [alice, bob])
    #expect(going.steps(to: alice).first?.step == 1)
  }

  @Test("does not begin while the run is paused")
  func paused() {
    var group = Group([alice])
    _ = group.driver.handle(.command(.pause))
    #expect(group.ready(alice, 0).steps(to: alice).isEmpty)
    #expect(!group.driver.handle(.command(.resume)).steps(to: alice).isEmpty)
  }

  @Test("makes the student that all members agree on")
  func export() throws {
    var group = Group([alice, bob], samples: 2)
    _ = group.ready(alice, 0)
    let plan = try #require(group.ready(bob, 0).steps(to: alice).first)
    _ = group.vote(alice, plan)
    #expect(group.vote(bob, plan).messages(to: alice).contains(.export(group.training)))
    let student = TrainingExport(
      training: group.training, model: digest(300), weights: digest(301))
    let first = group.driver.say(.exported(student), alice)
    #expect(first.messages(to: bob) == [.export(group.training)])
    #expect(first.persisted.isEmpty)
    let effects = group.driver.say(.exported(student), bob)
    #expect(effects.persisted.contains(.trainingFinished(student)))
    #expect(effects.messages(to: bob).contains(.endTraining(group.training)))
    #expect(group.driver.machine.snapshot(at: .zero).phase == .answering(iteration: 1))
  }
}

@Suite("A training after a restart")
struct TrainingRestartTests {
  private func driver(
    committed: Int, checkpoint: TrainingCheckpoint?, epoch: UInt64 = 12
  ) -> Driver {
    let plan = TrainingPlan(
      training: .pretraining, model: digest(200), dataset: digest(4),
      recipe: testSettings().pretrain, stepsTotal: 9, checkpoint: checkpoint)
    let training = RestoredTraining(
      plan: plan, epoch: epoch, stepsCommitted: committed, commitEpoch: 12, export: nil)
    return Driver(
      restored: RestoredRun(
        phase: .pretraining, instructions: testPool(1, 1), tuningIteration: [1],
        trainings: [training]), input: testInput(captions: true))
  }

  private func pass(
    _ driver: inout Driver, _ duration: Duration, _ standings: [WorkerID: TrainingStanding]
  ) -> [Effect] {
    var effects: [Effect] = []
    let end = driver.now + duration
    while driver.now < end {
      driver.now = driver.now + .milliseconds(250)
      for worker in standings.keys.sorted() {
        effects += driver.beat(worker, .pretraining, standings[worker])
      }
      effects += driver.handle(.tick)
    }
    return effects
  }

  @Test("takes those who hold the committed sum though the next step's epoch was opened already")
  func nextEpochOpened() {
    var driver = driver(committed: 5, checkpoint: nil, epoch: 13)
    _ = driver.join(alice)
    _ = driver.join(bob)
    let holding = TrainingStanding.prepared(step: 4, epoch: 12)
    let effects = pass(&driver, .seconds(4), [alice: holding, bob: holding])
    #expect(effects.commits(to: alice).contains(4))
    let plan = effects.steps(to: alice).first
    #expect(plan?.members.map(\.worker) == [alice, bob])
    #expect(plan?.epoch == 14)
    #expect(plan?.step == 5)
  }

  @Test("goes on with those who hold the committed state, or its sum under the last epoch")
  func goesOn() {
    var driver = driver(committed: 5, checkpoint: nil)
    _ = driver.join(alice)
    _ = driver.join(bob)
    let effects = pass(
      &driver, .seconds(4), [alice: .ready(step: 5), bob: .prepared(step: 4, epoch: 12)])
    let plan = effects.steps(to: alice).first
    #expect(plan?.members.map(\.worker) == [alice, bob])
    #expect(plan?.epoch == 13)
    #expect(plan?.step == 5)
    #expect(effects.steps(to: bob).first == plan)
  }

  @Test("does not take a sum of another epoch for the committed one")
  func otherEpoch() {
    var driver = driver(committed: 5, checkpoint: nil)
    _ = driver.join(alice)
    _ = driver.join(bob)
    let effects = pass(
      &driver, .seconds(4), [alice: .ready(step: 5), bob: .prepared(step: 4, epoch: 11)])
    #expect(effects.commits(to: bob).isEmpty)
    #expect(effects.steps(to: bob).isEmpty)
    #expect(effects.messages(to: alice).contains(.checkpoint(.pretraining, step: 5)))
  }

  @Test("steps back to the newest state there is, when its holders stay away long enough")
  func stepsBack() {
    var driver = driver(committed: 5, checkpoint: TrainingCheckpoint(step: 3, state: digest(6)))
    _ = driver.join(alice)
    let early = pass(&driver, .seconds(25), [alice: .ready(step: 3)])
    #expect(early.steps(to: alice).isEmpty)
    let late = pass(&driver, .seconds(15), [alice: .ready(step: 3)])
    #expect(late.notes.contains(.steppedBack(.pretraining, from: 5, to: 3)))
    #expect(late.steps(to: alice).first?.step == 3)
  }
}

@Suite("The quorum")
struct QuorumTests {
  private func decide(
    _ steps: [(WorkerID, Int?)], position: Int, mayWait: Bool = false, mayStepBack: Bool = false
  ) -> QuorumDecision {
    decideQuorum(
      steps.map { QuorumCandidate(worker: $0.0, step: $0.1) }, position: position,
      isPaused: false, isReconnecting: false, mayWaitForOthers: mayWait,
      mayStepBack: mayStepBack)
  }

  @Test("is those at the step; who is behind or ahead is not in it")
  func members() {
    #expect(
      decide([(alice, 4), (bob, 4), (carol, 3)], position: 4)
        == .go(step: 4, members: [alice, bob]))
    #expect(decide([(alice, 6), (bob, 4)], position: 4) == .go(step: 4, members: [bob]))
    #expect(decide([(alice, 6)], position: 4) == .go(step: 6, members: [alice]))
  }

  @Test("says why there is none")
  func reasons() {
    #expect(decide([], position: 0) == .wait(.noWorkers))
    #expect(decide([(alice, nil)], position: 0) == .wait(.nobodyReady(preparing: [alice])))
    #expect(
      decide([(alice, 0), (bob, nil)], position: 0, mayWait: true)
        == .wait(.gathering(missing: [bob])))
    #expect(
      decide([(alice, 1)], position: 2) == .wait(.stateMissing(committed: 2, best: 1)))
    #expect(
      decide([(alice, 1)], position: 2, mayStepBack: true) == .go(step: 1, members: [alice]))
  }

  @Test("waits for a step by what earlier ones took, longer after each time-out")
  func patience() {
    var patience = StepPatience(first: .seconds(100), least: .seconds(1))
    #expect(patience.limit(ranksMax: 4, timeouts: 0) == .seconds(100))
    for _ in 0..<5 { patience.took(.seconds(8), ranksMax: 4) }
    #expect(patience.limit(ranksMax: 4, timeouts: 0) == .seconds(16))
    #expect(patience.limit(ranksMax: 8, timeouts: 1) == .seconds(64))
    #expect(patience.expected(ranksMax: 2) == .seconds(4))
  }
}
