import Domain
import Testing

@testable import Scheduling

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
    var group = Group([alice, bob, carol])
    #expect(group.ready(alice).steps(to: alice).isEmpty)
    _ = group.ready(bob)
    let effects = group.ready(carol)
    let plan = try #require(effects.steps(to: alice).first)
    #expect(effects.steps(to: bob) == [plan])
    #expect(plan.members.map(\.worker) == [alice, bob, carol])
    #expect(plan.segments.count == 8 && plan.base == .beginning && plan.before == nil)
    // An owner and a buddy for each, as even as can be.
    #expect(plan.segments.allSatisfy { Set($0.keepers).count == 2 && $0.newcomer == nil })
    for worker in [alice, bob, carol] {
      #expect((5...6).contains(plan.kept(by: worker).count))
    }
    #expect(effects.persisted == [.epochOpened(group.training, epoch: 1)])
  }

  @Test("has as many keepers of each segment as the recipe asks for", arguments: [(1, 1), (0, 3)])
  func replication(asked: Int, keepers: Int) throws {
    var group = Group([alice, bob, carol], replication: asked)
    for worker in [alice, bob] { _ = group.ready(worker) }
    let plan = try #require(group.ready(carol).steps(to: alice).first)
    #expect(plan.segments.allSatisfy { $0.keepers.count == keepers })
  }

  @Test("does not wait for a worker that is still fetching for longer than the patience")
  func gathering() {
    var group = Group([alice, bob])
    _ = group.ready(alice)
    var effects: [Effect] = []
    for _ in 0..<124 {
      group.driver.now = group.driver.now + .milliseconds(250)
      effects += group.driver.beat(alice, .pretraining, Group.progress(0))
      effects += group.driver.beat(bob, .pretraining, .preparing)
      effects += group.driver.handle(.tick)
    }
    #expect(effects.steps(to: alice).first?.members.map(\.worker) == [alice])
  }

  @Test("is committed, and told with its change, when all keepers agree; the next opens at once")
  func commits() throws {
    var group = Group([alice, bob])
    _ = group.ready(alice)
    let plan = try #require(group.ready(bob).steps(to: alice).first)
    #expect(group.vote(alice, plan).isEmpty)
    #expect(
      "\(group.driver.machine.explain(.phase, at: group.driver.now))"
        == "pretraining: step 0, epoch 1; waits for the vote of bob, 300.0 s at most")
    let effects = group.vote(bob, plan)
    let totals = StepTotals(loss: 1.5, tokens: 7, sumOfSquares: 16)
    #expect(
      effects.persisted == [
        .stepCommitted(group.training, step: 0, epoch: 1, totals),
        .epochOpened(group.training, epoch: 2),
      ])
    #expect(effects.commits(to: alice) == [0])
    #expect(effects.commits(to: bob) == [0])
    let next = try #require(effects.steps(to: bob).first)
    #expect(next.step == 1 && next.before == totals && next.base == nil)
    #expect(next.kept(by: bob) == plan.kept(by: bob))
    // Told once more it is no new commit: nothing is sent whose change is not in its turn.
    #expect(group.vote(bob, plan).commits(to: bob).isEmpty)
  }

  @Test("is opened again under a new epoch, without the lost member, whose vote is void")
  func memberLost() throws {
    var group = Group([alice, bob])
    _ = group.ready(alice)
    let plan = try #require(group.ready(bob).steps(to: alice).first)
    _ = group.vote(alice, plan)
    let effects = group.driver.say(.goodbye, bob)
    let again = try #require(effects.steps(to: alice).first)
    #expect(again.step == 0 && again.epoch == 2 && again.rankOwners == [0, 0, 0, 0])
    #expect(group.vote(alice, plan).persisted.isEmpty)
    #expect(group.vote(alice, again).committed == [0])
    #expect(
      effects.notes.contains {
        if case .membersChanged(_, 0, 1, _, [], let gone) = $0 {
          gone == [GoneMember(worker: bob, reason: .left)]
        } else {
          false
        }
      })
  }

  @Test("leaves each member its ranks when it is done again; the next one places them anew")
  func ranksAgain() throws {
    var group = Group([alice, bob, carol], samples: 100)
    _ = group.ready(alice)
    _ = group.ready(bob)
    let plan = try #require(group.ready(carol).steps(to: alice).first)
    #expect(plan.rankOwners == [0, 1, 2, 2])
    let again = try #require(group.driver.say(.goodbye, carol).steps(to: alice).first)
    #expect(again.step == 0 && again.rankOwners == [0, 1, 0, 1])
    #expect(try group.step(again).rankOwners == [0, 0, 1, 1])
  }

  @Test("goes on without any one member: its segments have another keeper, and get a second one")
  func keeperLost() throws {
    var group = Group([alice, bob, carol], samples: 100)
    for worker in [alice, bob] { _ = group.ready(worker) }
    var plan = try #require(group.ready(carol).steps(to: alice).first)
    plan = try group.step(plan)
    let effects = group.driver.say(.goodbye, bob)
    var again = try #require(effects.steps(to: alice).first)
    #expect(again.step == 1 && again.base == nil)
    #expect(again.segments.allSatisfy { !$0.keepers.isEmpty })
    // A few in each step, until all have two again.
    for _ in 0..<6 where again.segments.contains(where: { $0.keepers.count < 2 }) {
      let moved = again.segments.count { $0.newcomer != nil }
      #expect((1...3).contains(moved))
      again = try group.step(again, acquires: true)
    }
    #expect(again.segments.allSatisfy { $0.keepers.count == 2 })
  }

  @Test("whose sums differ is run again, and then without who differs from the owner")
  func disagreement() throws {
    var group = Group([alice, bob, carol], replication: 0)
    for worker in [alice, bob] { _ = group.ready(worker) }
    var plan = try #require(group.ready(carol).steps(to: alice).first)
    // Carol owns none of the first segments, so that she is the one who differs there.
    for attempt in 0..<2 {
      _ = group.vote(alice, plan)
      _ = group.vote(bob, plan)
      let effects = group.driver.say(
        .vote(
          StepVote(
            training: group.training, epoch: plan.epoch, step: 0, loss: 1.5, tokens: 7,
            sums: plan.segments.indices.map {
              SegmentSum(segment: $0, sumOfSquares: 2, check: $0 == 0 ? 9 : 1)
            }, computing: .zero)), carol)
      #expect(effects.committed.isEmpty)
      #expect(effects.notes.contains(.sumsDiffer(group.training, step: 0, on: [carol])))
      plan = try #require(effects.steps(to: bob).first)
      #expect(plan.members.count == (attempt == 0 ? 3 : 2))
    }
    #expect(plan.members.map(\.worker) == [alice, bob])
  }

  @Test("takes in who comes late without a pause: first to be sent the weights, then to compute")
  func joining() throws {
    var group = Group([alice], samples: 100)
    var plan = try #require(group.ready(alice).steps(to: alice).first)
    let told = group.driver.join(bob).messages(to: bob)
    guard case .prepareTraining(let joined) = told.last else {
      Issue.record("bob was not told of the training")
      return
    }
    #expect(joined.checkpoint == nil)
    _ = group.ready(bob)
    // He was whole at step 0, which is over.
    plan = try #require(group.vote(alice, plan).steps(to: bob).first)
    #expect(plan.step == 1 && plan.members.map(\.worker) == [alice, bob])
    #expect(!plan.rankOwners.contains(1) && plan.kept(by: bob).isEmpty)
    // All weights after it are sent to him with its commit, as to everybody.
    plan = try #require(group.vote(alice, plan).steps(to: bob).first)
    #expect(plan.step == 2 && plan.rankOwners.contains(1))
    #expect(!plan.acquired(by: bob).isEmpty && plan.acquired(by: bob).count <= 3)
  }

  @Test("takes in who comes late in bf16 at his word that he has the weights: commits send changes")
  func joiningChanges() throws {
    var group = Group([alice], samples: 100, wire: .bf16)
    var plan = try #require(group.ready(alice).steps(to: alice).first)
    _ = group.driver.join(bob)
    _ = group.ready(bob)
    for step in 1...3 {
      plan = try #require(group.vote(alice, plan).steps(to: bob).first)
      #expect(plan.step == step && !plan.rankOwners.contains(1))
      #expect(plan.members.map(\.worker) == [alice, bob] && plan.acquired(by: bob).isEmpty)
    }
    _ = group.ready(bob, 3)
    plan = try #require(group.vote(alice, plan).steps(to: bob).first)
    #expect(plan.step == 4 && plan.rankOwners.contains(1) && !plan.acquired(by: bob).isEmpty)
  }

  @Test("lets a drained member go when others have what it keeps, and repeats nothing")
  func draining() throws {
    var group = Group([alice, bob, carol], samples: 200)
    for worker in [alice, bob] { _ = group.ready(worker) }
    var plan = try #require(group.ready(carol).steps(to: alice).first)
    plan = try group.step(plan)
    #expect(
      !group.driver.handle(.command(.drain(worker: carol.name))).contains(.send(carol, .drain)))
    var isTold = false
    var committed: [Int] = []
    for _ in 0..<20 where !isTold {
      var effects: [Effect] = []
      for member in plan.members {
        effects += group.vote(member.worker, plan, acquires: true)
      }
      committed += effects.committed
      isTold = effects.messages(to: carol).contains(.drain)
      plan = effects.steps(to: alice).last ?? plan
    }
    #expect(isTold)
    #expect(committed == Array(1..<1 + committed.count))
    // She leaves in the middle of a step that is not hers.
    let left = group.driver.say(.goodbye, carol)
    #expect(left.steps(to: alice).isEmpty)
    #expect(plan.kept(by: carol).isEmpty && !plan.rankOwners.contains(2))
  }

  @Test("gives a slow member fewer ranks")
  func straggler() throws {
    var group = Group([alice, bob], samples: 100)
    _ = group.ready(alice)
    var plan = try #require(group.ready(bob).steps(to: alice).first)
    #expect(plan.rankOwners == [0, 0, 1, 1])
    _ = group.vote(alice, plan, computing: .seconds(2))
    var voted = group.vote(bob, plan, computing: .seconds(6))
    plan = try #require(voted.steps(to: alice).last)
    #expect(plan.rankOwners == [0, 0, 0, 1])
    // He gets worse, then has none, and after a while is tried again.
    _ = group.vote(alice, plan, computing: .seconds(3))
    voted = group.vote(bob, plan, computing: .seconds(20))
    plan = try #require(voted.steps(to: alice).last)
    #expect(plan.rankOwners == [0, 0, 0, 0])
    var steps = 0
    while plan.rankOwners == [0, 0, 0, 0], steps < 40 {
      plan = try group.step(plan, computing: .seconds(4))
      steps += 1
    }
    #expect((5..<40).contains(steps))
  }

  @Test("does not begin while the run is paused")
  func paused() {
    var group = Group([alice])
    _ = group.driver.handle(.command(.pause))
    #expect(group.ready(alice).steps(to: alice).isEmpty)
    #expect(!group.driver.handle(.command(.resume)).steps(to: alice).isEmpty)
  }

  @Test("is followed by a checkpoint every so often, which counts once its manifest is written")
  func checkpoint() throws {
    var group = Group([alice, bob], samples: 100, checkpointEvery: 2)
    _ = group.ready(alice)
    var plan = try #require(group.ready(bob).steps(to: alice).first)
    plan = try group.step(plan)
    _ = group.vote(alice, plan)
    let effects = group.vote(bob, plan)
    let isSaved = effects.messages(to: alice).contains {
      if case .commitStep(_, _, 1, _, isSaved: true) = $0 { true } else { false }
    }
    #expect(isSaved)
    var requests: [Effect] = []
    for (segment, keepers) in plan.segments.enumerated() {
      let owner = plan.members[keepers.owner].worker
      let saved = SavedSegment(
        segment: segment, weights: digest(UInt64(segment)), moments: digest(99))
      let other = owner == alice ? bob : alice
      #expect(
        group.driver.say(.segmentSaved(group.training, step: 2, saved), other).persisted.isEmpty)
      let taken = group.driver.say(.segmentSaved(group.training, step: 2, saved), owner)
      #expect(taken.persisted == [.segmentSaved(group.training, step: 2, saved)])
      requests += taken.filter { if case .request = $0 { true } else { false } }
    }
    guard case .request(.writeManifest(_, step: 2, let all)) = requests.first else {
      Issue.record("no manifest was asked for")
      return
    }
    #expect(requests.count == 1 && all.count == 8)
    let checkpoint = TrainingCheckpoint(step: 2, state: digest(5))
    let written = group.driver.handle(.manifestWritten(group.training, checkpoint))
    #expect(written.persisted == [.checkpointed(group.training, checkpoint)])
  }

  @Test("makes the student that all members agree on, once they have all of its weights")
  func export() throws {
    var group = Group([alice, bob], samples: 2)
    _ = group.ready(alice)
    let plan = try #require(group.ready(bob).steps(to: alice).first)
    _ = group.vote(alice, plan)
    let last = try #require(group.vote(bob, plan).steps(to: alice).first)
    #expect(last.step == 1 && last.rankOwners.isEmpty)
    #expect(group.ready(alice, 1).messages(to: alice).contains(.export(group.training)))
    _ = group.ready(bob, 1)
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
