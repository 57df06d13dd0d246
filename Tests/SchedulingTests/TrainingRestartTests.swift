import Domain
import Testing

@testable import Scheduling

@Suite("A training after a restart")
struct TrainingRestartTests {
  private func driver(committed: Int, checkpoint: TrainingCheckpoint?) -> Driver {
    let plan = TrainingPlan(
      training: .pretraining, model: digest(200), dataset: digest(4),
      recipe: testSettings().pretrain, stepsTotal: 9, checkpoint: checkpoint)
    let training = RestoredTraining(
      plan: plan, epoch: 12, stepsCommitted: committed,
      lastTotals: StepTotals(loss: 1, tokens: 2, sumOfSquares: 3), export: nil)
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

  @Test("goes on with those who hold the committed state between them, or its sums")
  func goesOn() throws {
    var driver = driver(committed: 5, checkpoint: nil)
    _ = driver.join(alice)
    _ = driver.join(bob)
    let effects = pass(
      &driver, .seconds(4),
      [
        alice: Group.progress(5, kept: Array(0..<4)),
        bob: Group.progress(4, kept: Array(0..<8), summed: Array(3..<8)),
      ])
    let plan = try #require(effects.steps(to: alice).first)
    #expect(plan.members.map(\.worker) == [alice, bob] && plan.step == 5 && plan.epoch == 13)
    #expect(plan.before == StepTotals(loss: 1, tokens: 2, sumOfSquares: 3))
    #expect(plan.kept(by: alice) == Array(0..<4) && plan.kept(by: bob) == Array(3..<8))
    #expect(effects.steps(to: bob).first == plan)
  }

  @Test("goes back to the stored state when some of the newest stays away long enough")
  func stepsBack() throws {
    let checkpoint = TrainingCheckpoint(step: 3, state: digest(6))
    var driver = driver(committed: 5, checkpoint: checkpoint)
    _ = driver.join(alice)
    // She has all weights, and not all moments.
    let holding = Group.progress(5, kept: Array(0..<7))
    let early = pass(&driver, .seconds(25), [alice: holding])
    #expect(early.steps(to: alice).isEmpty)
    let late = pass(&driver, .seconds(15), [alice: holding])
    #expect(late.notes.contains(.steppedBack(.pretraining, from: 5, to: 3)))
    let told = late.messages(to: alice).compactMap { message in
      if case .prepareTraining(let plan) = message { plan } else { nil }
    }
    let begun = try #require(told.first)
    #expect(begun.checkpoint == checkpoint && begun.lineage == 13)
    let again = pass(&driver, .seconds(1), [alice: Group.progress(3, lineage: 13)])
    let plan = try #require(again.steps(to: alice).first)
    #expect(plan.step == 3 && plan.base == .checkpoint(checkpoint))
  }
}

@Suite("The quorum")
struct QuorumTests {
  private func decide(
    _ quorum: Quorum, position: Int, mayWait: Bool = false, mayStepBack: Bool = false
  ) -> QuorumDecision {
    decideQuorum(
      quorum, position: position, best: 0, isPaused: false, isReconnecting: false,
      mayWaitForOthers: mayWait, mayStepBack: mayStepBack)
  }

  private func quorum(_ whole: [WorkerID], preparing: [WorkerID] = []) -> Quorum {
    var quorum = Quorum()
    quorum.there = whole + preparing
    (quorum.members, quorum.whole, quorum.preparing) = (whole, whole, preparing)
    quorum.isCovered = !whole.isEmpty
    return quorum
  }

  @Test("says who takes part, or why nobody does")
  func reasons() {
    #expect(decide(quorum([alice, bob]), position: 4) == .go([alice, bob]))
    #expect(decide(Quorum(), position: 0) == .wait(.noWorkers))
    #expect(
      decide(quorum([], preparing: [alice]), position: 0)
        == .wait(.nobodyReady(preparing: [alice])))
    #expect(
      decide(quorum([alice], preparing: [bob]), position: 0, mayWait: true)
        == .wait(.gathering(missing: [bob])))
    var part = quorum([alice])
    part.isCovered = false
    #expect(decide(part, position: 2) == .wait(.stateMissing(committed: 2, best: 0)))
    #expect(decide(part, position: 2, mayStepBack: true) == .stepBack)
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
