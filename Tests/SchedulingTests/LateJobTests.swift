import Domain
import Scheduling
import Testing

@Suite("A late job")
struct LateJobTests {
  /// Alice was given all of eight jobs, ended some of them after a second, and holds the last one;
  /// Bob has nothing to do.
  private func aliceIsLate(ended: Int) throws -> (Driver, late: Assignment, others: [Assignment]) {
    var driver = Driver(instructions: 8, pictures: 1)
    _ = driver.join(alice)
    let all = driver.beat(alice, credit: 8).assignments(to: alice)
    #expect(all.count == 8)
    _ = driver.pass(.seconds(1), holding: [alice: all.map(\.job)])
    for assignment in all.prefix(ended) { _ = driver.report(assignment, "yes", from: alice) }
    _ = driver.join(bob)
    return (driver, try #require(all.last), Array(all[ended..<7]))
  }

  @Test("at the end of a phase is tried by an idle worker, too; the first result counts")
  func speculation() throws {
    var (driver, late, _) = try aliceIsLate(ended: 7)
    let early = driver.pass(.milliseconds(750), holding: [alice: [late.job], bob: []])
    #expect(early.assignments(to: bob).isEmpty)
    let effects = driver.pass(.seconds(2), holding: [alice: [late.job], bob: []])
    let twin = try #require(effects.assignments(to: bob).first)
    #expect(effects.assignments(to: bob) == [twin])
    #expect((twin.job, twin.attempt, twin.request) == (late.job, 2, late.request))
    #expect(effects.persisted.contains(.leased(late.job, attempt: 2, to: bob)))
    #expect(
      "\(driver.machine.explain(.job(late.job), at: driver.now))".contains("and with bob"))
    #expect(driver.machine.snapshot(at: driver.now).jobs.speculated == 1)

    let accepted = driver.report(late, "yes", from: alice)
    #expect(accepted.persisted.contains(.accepted(success(late, "yes"), from: alice)))
    #expect(accepted.messages(to: bob).contains(.cancel([late.job])))
    let second = driver.report(twin, "yes", from: bob)
    #expect(second.persisted.contains(.duplicate(success(twin, "yes"), from: bob, equal: true)))
  }

  @Test("is left to its worker while much of the phase is open")
  func tooEarly() throws {
    var (driver, late, others) = try aliceIsLate(ended: 4)
    let held = others.map(\.job) + [late.job]
    let effects = driver.pass(.seconds(30), holding: [alice: held, bob: []])
    #expect(effects.assignments(to: bob).isEmpty)
  }

  @Test("stays with the one worker when the other fails at it or is lost")
  func oneLeft() throws {
    var (driver, late, _) = try aliceIsLate(ended: 7)
    let effects = driver.pass(.seconds(2), holding: [alice: [late.job], bob: []])
    let twin = try #require(effects.assignments(to: bob).first)
    _ = driver.fail(twin, on: bob)
    #expect(
      driver.machine.explain(.job(late.job), at: driver.now)
        == .job(
          late.job,
          .leased(
            to: alice, attempt: 1, listed: true, since: driver.now - Moment(sinceStart: .zero))))
    // Bob has failed at it and is not asked again; Carol is, and Alice is lost.
    _ = driver.join(carol)
    let again = driver.pass(.seconds(1), holding: [alice: [late.job], bob: [], carol: []])
    #expect(again.assignments(to: bob).isEmpty)
    let third = try #require(again.assignments(to: carol).first)
    #expect(third.attempt == 3)
    _ = driver.handle(.disconnected(alice))
    let lost = driver.pass(.seconds(1), holding: [bob: [], carol: [late.job]])
    #expect(lost.notes.contains(.left(alice, .disconnected)))
    #expect(lost.persisted.allSatisfy { if case .leased = $0 { false } else { true } })
    let accepted = driver.report(third, "yes", from: carol)
    #expect(accepted.persisted.contains(.accepted(success(third, "yes"), from: carol)))
  }

  @Test("that its living worker is stuck in goes to another one, and not back to it")
  func stuck() throws {
    var (driver, late, others) = try aliceIsLate(ended: 4)
    let held = others.map(\.job) + [late.job]
    let before = driver.pass(.seconds(58), holding: [alice: held, bob: []])
    #expect(before.assignments(to: bob).isEmpty)
    let effects = driver.pass(.seconds(2), holding: [alice: held, bob: []])
    #expect(
      effects.notes.contains { if case .stuck(late.job, alice, _, _) = $0 { true } else { false } })
    #expect(effects.messages(to: alice).contains(.cancel([late.job])))
    #expect(effects.assignments(to: alice).isEmpty)
    #expect(effects.assignments(to: bob).map(\.attempt).allSatisfy { $0 == 2 })
    #expect(Set(effects.assignments(to: bob).map(\.job)).isSubset(of: held))
    #expect(!effects.assignments(to: bob).isEmpty)
  }
}

@Suite("A job that kills its workers")
struct DeadlyJobTests {
  @Test("is done alone after two losses, and set aside when three workers were lost with it alone")
  func isolated() throws {
    var driver = Driver(instructions: 6, pictures: 1)
    var boot: UInt64 = 0
    /// A process starts, takes what it is given, says that it holds it, and is gone.
    func die(_ driver: inout Driver) -> (jobs: [JobID], effects: [Effect]) {
      boot += 1
      let worker = WorkerID(name: "alice", boot: boot)
      var effects = driver.join(worker)
      effects += driver.beat(worker, credit: 4)
      let jobs = effects.assignments(to: worker).map(\.job)
      _ = driver.beat(worker, holding: jobs, credit: 4 - jobs.count)
      _ = driver.handle(.disconnected(worker))
      return (jobs, driver.pass(.seconds(1)))
    }
    #expect(die(&driver).jobs == [JobID(1), JobID(2), JobID(3), JobID(4)])
    #expect(die(&driver).jobs.count == 4)
    // Whichever of the four it was: each is tried with nothing beside it.
    #expect("\(driver.machine.explain(.job(JobID(1)), at: driver.now))".contains("no worker"))
    for round in 1...3 {
      let (jobs, effects) = die(&driver)
      #expect(jobs == [JobID(1)])
      let isSetAside = effects.notes.contains(.quarantined(JobID(1), .lostWorkers(3)))
      #expect(isSetAside == (round == 3))
    }
    // The innocent ones are done, one by one, and then the others together.
    boot += 1
    let worker = WorkerID(name: "alice", boot: boot)
    var given = driver.join(worker) + driver.beat(worker, credit: 4)
    for job in [JobID(2), JobID(3), JobID(4)] {
      let assignments = given.assignments(to: worker)
      #expect(assignments.map(\.job) == [job])
      given = driver.report(try #require(assignments.first), "yes", from: worker)
    }
    #expect(given.assignments(to: worker).map(\.job) == [JobID(5), JobID(6)])
  }

  @Test("is not one whose worker said goodbye, or never said that it has the job")
  func innocent() throws {
    var driver = Driver(instructions: 2, pictures: 1)
    for boot: UInt64 in 1...6 {
      let worker = WorkerID(name: "alice", boot: boot)
      _ = driver.join(worker)
      let jobs = driver.beat(worker, credit: 2).assignments(to: worker).map(\.job)
      #expect(jobs == [JobID(1), JobID(2)])
      if boot.isMultiple(of: 2) {
        _ = driver.beat(worker, holding: jobs, credit: 0)
        _ = driver.say(.goodbye, worker)
      } else {
        _ = driver.handle(.disconnected(worker))
        _ = driver.pass(.seconds(1))
      }
    }
  }
}
