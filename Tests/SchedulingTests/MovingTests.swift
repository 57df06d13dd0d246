import Domain
import Testing

@testable import Scheduling

@Suite("Segments on their way to another keeper")
struct MovingTests {
  /// Alice has all of it; Bob has all weights, and is about to be sent moments.
  private func moving() throws -> (group: Group, plan: StepPlan) {
    var group = Group([alice], samples: 200)
    var plan = try #require(group.ready(alice).steps(to: alice).first)
    _ = group.driver.join(bob)
    _ = group.ready(bob)
    for _ in 0..<2 { plan = try #require(group.vote(alice, plan).steps(to: bob).first) }
    #expect(!plan.acquired(by: bob).isEmpty)
    return (group, plan)
  }

  /// Heartbeats of these workers, who are at `step`, for so long.
  private func pass(
    _ duration: Duration, _ group: inout Group, step: Int, _ workers: [WorkerID]
  ) -> [Effect] {
    var effects: [Effect] = []
    let end = group.driver.now + duration
    while group.driver.now < end {
      group.driver.now = group.driver.now + .milliseconds(250)
      for worker in workers {
        effects += group.driver.beat(
          worker, group.training,
          Group.progress(step, kept: worker == alice ? Array(0..<8) : []))
      }
      effects += group.driver.handle(.tick)
    }
    return effects
  }

  @Test("are waited for, and kept from the commit on: a slow line moves them, too")
  func waits() throws {
    var (group, plan) = try moving()
    let acquired = plan.acquired(by: bob)
    #expect(group.vote(alice, plan).committed.isEmpty)
    // He is slow, but not out of all measure.
    #expect(pass(.seconds(3), &group, step: plan.step, [alice, bob]).committed.isEmpty)
    let effects = group.vote(bob, plan, acquires: true)
    #expect(effects.committed == [plan.step])
    plan = try #require(effects.steps(to: bob).last)
    #expect(Set(acquired).isSubset(of: plan.kept(by: bob)))
  }

  @Test("are not waited for when he who is sent them is lost: he is no voice in the step")
  func lost() throws {
    var (group, plan) = try moving()
    // He computes nothing in this one.
    plan.rankOwners = plan.rankOwners.map { _ in 0 }
    guard case .stepping(var round) = group.driver.machine.training?.mode else {
      Issue.record("no step is open")
      return
    }
    round.plan = plan
    round.needed = [alice]
    group.driver.machine.training?.mode = .stepping(round)
    #expect(group.vote(alice, plan).committed.isEmpty)
    #expect(group.driver.say(.goodbye, bob).committed == [plan.step])
  }

  @Test("that take too long are left where they are, and tried again a few at a time")
  func tooSlow() throws {
    var (group, plan) = try moving()
    let first = plan.acquired(by: bob).count
    _ = group.vote(alice, plan)
    let late = pass(.seconds(400), &group, step: plan.step, [alice, bob])
    var again = try #require(late.steps(to: alice).last)
    #expect(again.step == plan.step && again.epoch > plan.epoch)
    #expect(again.acquired(by: bob).isEmpty)
    var counts: [Int] = []
    for _ in 0..<4 {
      again = try group.step(again, acquires: true)
      counts.append(again.acquired(by: bob).count)
    }
    #expect(counts[0] >= 1 && counts[0] < first || first == 1)
    #expect(again.kept(by: bob).count > 1)
  }
}
