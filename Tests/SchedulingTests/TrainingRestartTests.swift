import Domain
import Testing

@testable import Scheduling

@Suite("A training after a restart")
struct TrainingRestartTests {
  /// - Parameter present: who was a member when the coordinator ended.
  private func driver(
    committed: Int, checkpoint: TrainingCheckpoint?, present: [WorkerID] = [alice, bob]
  ) -> Driver {
    let plan = TrainingPlan(
      training: .pretraining, model: digest(200), dataset: digest(4),
      recipe: testSettings().pretrain, stepsTotal: 9, checkpoint: checkpoint)
    let training = RestoredTraining(
      plan: plan, epoch: 12, stepsCommitted: committed,
      lastTotals: StepTotals(loss: 1, tokens: 2, sumOfSquares: 3), export: nil)
    return Driver(
      restored: RestoredRun(
        phase: .pretraining, instructions: testPool(1, 1), tuningIteration: [1],
        trainings: [training], present: present.map(\.name)),
      input: testInput(captions: true))
  }

  private func pass(
    _ driver: inout Driver, _ duration: Duration, _ standings: [WorkerID: TrainingStanding?]
  ) -> [Effect] {
    var effects: [Effect] = []
    let end = driver.now + duration
    while driver.now < end {
      driver.now = driver.now + .milliseconds(250)
      for worker in standings.keys.sorted() {
        effects += driver.beat(worker, .pretraining, standings[worker] ?? nil)
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

  private func isBack(_ effects: [Effect]) -> Bool {
    effects.notes.contains(.steppedBack(.pretraining, from: 5, to: 3))
  }

  @Test("goes back at once when the processes that had the newest are known to have ended")
  func endedProcesses() {
    let checkpoint = TrainingCheckpoint(step: 3, state: digest(6))
    let holding = Group.progress(5, kept: Array(0..<7))
    var driver = driver(committed: 5, checkpoint: checkpoint)
    _ = driver.join(alice)
    #expect(!isBack(pass(&driver, .seconds(10), [alice: holding])))
    // Another process of his: the one that was waited for is no more.
    let again = WorkerID(name: bob.name, boot: 2)
    _ = driver.join(again)
    #expect(!isBack(pass(&driver, .seconds(2), [alice: holding])))
    #expect(isBack(pass(&driver, .seconds(1), [alice: holding, again: .preparing])))
  }

  @Test("and the rest is with nobody else: waits for those who have not said what they keep")
  func allThere() {
    let checkpoint = TrainingCheckpoint(step: 3, state: digest(6))
    var driver = driver(committed: 5, checkpoint: checkpoint, present: [alice])
    _ = driver.join(alice)
    #expect(!isBack(pass(&driver, .seconds(6), [alice: nil])))
    #expect(isBack(pass(&driver, .seconds(1), [alice: Group.progress(5, kept: [1])])))
  }

  @Test("waits for one that is lost while it trains, but not for one that took its leave")
  func lostWhileTraining() {
    let checkpoint = TrainingCheckpoint(step: 3, state: digest(6))
    for isLost in [true, false] {
      var driver = driver(committed: 5, checkpoint: checkpoint, present: [alice])
      _ = driver.join(alice)
      _ = driver.join(bob)
      let holding = Group.progress(5, kept: Array(0..<7))
      _ = pass(&driver, .seconds(2), [alice: holding, bob: nil])
      if !isLost { _ = driver.say(.goodbye, bob) }
      #expect(isBack(pass(&driver, .seconds(8), [alice: holding])) == !isLost)
    }
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
    patience.took(.seconds(8), ranksMax: 4)
    #expect(patience.limit(ranksMax: 4, timeouts: 0) == .seconds(80))
    for _ in 0..<4 { patience.took(.seconds(8), ranksMax: 4) }
    #expect(patience.limit(ranksMax: 4, timeouts: 0) == .seconds(16))
    #expect(patience.limit(ranksMax: 8, timeouts: 1) == .seconds(64))
    #expect(patience.expected(ranksMax: 2) == .seconds(4))
  }
}
