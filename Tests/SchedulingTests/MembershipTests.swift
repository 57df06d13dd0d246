import Domain
import Scheduling
import Testing

@Suite("A worker")
struct MembershipTests {
  @Test("is refused with another protocol, another kernel set, or a revoked key")
  func refusals() {
    var driver = Driver()
    let old = driver.say(.hello(testHello(alice, version: 0)), alice)
    #expect(
      old.messages(to: alice)
        == [.refused(.protocolVersion(ours: protocolVersion, yours: 0))])
    _ = driver.join(bob, kernelSet: "avx512")
    #expect(
      driver.join(alice, kernelSet: "avx2").messages(to: alice)
        == [.refused(.kernelSet(ours: "avx512", yours: "avx2"))])
    _ = driver.handle(.command(.revoke(worker: "alice")))
    #expect(
      driver.join(alice, kernelSet: "avx512").messages(to: alice) == [.refused(.revoked)])
    _ = driver.handle(.command(.pardon(worker: "alice")))
    #expect(driver.join(alice, kernelSet: "avx512").messages(to: alice).count == 1)
  }

  @Test("that starts again is another one: the old boot's work goes on elsewhere, it is told")
  func restart() throws {
    var driver = Driver(instructions: 1)
    _ = driver.join(alice)
    let job = try #require(driver.beat(alice, credit: 1).assignments(to: alice).first).job
    let again = WorkerID(name: "alice", boot: 2)
    let effects = driver.join(again)
    #expect(effects.notes.contains(.left(alice, .restarted(boot: 2))))
    #expect(driver.beat(again, credit: 1).assignments(to: again).map(\.job) == [job])
    #expect(driver.beat(alice).messages(to: alice) == [.refused(.nameInUse)])
    #expect(driver.join(alice).messages(to: alice) == [.refused(.nameInUse)])
  }

  @Test("is suspected before it is given up, and gets nothing new meanwhile")
  func silence() {
    var driver = Driver(instructions: 4)
    _ = driver.join(alice)
    _ = driver.beat(alice, credit: 1)
    let notes = driver.pass(.seconds(2)).notes
    #expect(
      notes.contains { if case .suspected(alice, _) = $0 { true } else { false } })
    #expect(!notes.contains { if case .left = $0 { true } else { false } })
    #expect(driver.beat(alice).notes.contains(.recovered(alice)))
    #expect(!leaves(alice, driver.pass(.seconds(3))))
    #expect(leaves(alice, driver.pass(.seconds(2))))
  }

  @Test("that came back from a long silence is given twice as long, and less as time goes on")
  func slowWorker() {
    var driver = Driver()
    _ = driver.join(alice)
    #expect(!leaves(alice, driver.pass(.milliseconds(2250))))
    _ = driver.beat(alice)
    // However much it says at once.
    for _ in 0..<100 { _ = driver.beat(alice) }
    #expect(!leaves(alice, driver.pass(.milliseconds(4250))))
    _ = driver.beat(alice)
    for _ in 0..<20 {
      #expect(!leaves(alice, driver.pass(.milliseconds(500))))
      _ = driver.beat(alice)
    }
    #expect(!leaves(alice, driver.pass(.milliseconds(2250))))
    #expect(leaves(alice, driver.pass(.milliseconds(250))))
  }

  @Test("without a connection gets nothing new; within a second its work goes to others")
  func disconnected() throws {
    var driver = Driver(instructions: 2, pictures: 1)
    _ = driver.join(alice)
    let job = try #require(driver.beat(alice, credit: 1).assignments(to: alice).first).job
    #expect(driver.handle(.disconnected(alice)).notes == [.disconnected(alice)])
    #expect(
      driver.machine.explain(.worker("alice"), at: driver.now)
        == .worker("alice", .disconnected(.zero)))
    _ = driver.join(bob)
    let other = driver.beat(bob, credit: 1).assignments(to: bob).map(\.job)
    #expect(other != [job])
    let effects = driver.pass(.seconds(1))
    #expect(effects.notes.contains(.left(alice, .disconnected)))
    #expect(
      driver.beat(bob, holding: other, credit: 1).assignments(to: bob).map(\.job) == [job])
  }

  @Test("that makes its connection anew in time keeps what it holds")
  func reconnected() throws {
    var driver = Driver(instructions: 1)
    _ = driver.join(alice)
    let job = try #require(driver.beat(alice, credit: 1).assignments(to: alice).first).job
    _ = driver.handle(.disconnected(alice))
    _ = driver.pass(.milliseconds(250))
    #expect(driver.join(alice).assignments(to: alice).map(\.job) == [job])
    #expect(driver.pass(.seconds(1), holding: [alice: [job]]).notes.isEmpty)
  }

  @Test("whose older boot lost its connection is not held to it")
  func disconnectedBefore() {
    var driver = Driver()
    _ = driver.join(alice)
    _ = driver.join(WorkerID(name: "alice", boot: 2))
    #expect(driver.handle(.disconnected(alice)).notes.isEmpty)
    #expect(driver.handle(.disconnected(bob)).notes.isEmpty)
  }

  @Test("is not held to silence during the coordinator's own stall")
  func observerStall() {
    var driver = Driver()
    _ = driver.join(alice)
    driver.now = driver.now + .seconds(60)
    let effects = driver.handle(.tick)
    #expect(
      effects.notes.contains { if case .observerStalled = $0 { true } else { false } })
    #expect(
      !effects.notes.contains { if case .left = $0 { true } else { false } })
    #expect(driver.machine.snapshot(at: driver.now).patience > 1)
  }

  @Test("that is drained gets nothing new and leaves with its goodbye")
  func drain() {
    var driver = Driver(instructions: 4)
    _ = driver.join(alice)
    #expect(driver.beat(alice, credit: 1).assignments(to: alice).count == 1)
    let effects = driver.handle(.command(.drain(worker: "alice")))
    #expect(effects.messages(to: alice) == [.drain])
    #expect(driver.beat(alice, credit: 3).assignments(to: alice).isEmpty)
    #expect(
      driver.say(.goodbye, alice).persisted
        .contains(.workerLeft(alice, reason: "said goodbye")))
  }

  @Test("that is revoked is out at once; its jobs go to others")
  func revoke() {
    var driver = Driver(instructions: 1)
    _ = driver.join(alice)
    _ = driver.join(bob)
    #expect(driver.beat(alice, credit: 1).assignments(to: alice).count == 1)
    _ = driver.beat(bob, credit: 1)
    let effects = driver.handle(.command(.revoke(worker: "alice")))
    #expect(effects.messages(to: alice) == [.refused(.revoked)])
    #expect(effects.assignments(to: bob).count == 1)
    #expect(driver.beat(alice).messages(to: alice) == [.refused(.revoked)])
  }

  @Test("gets no work while the run is paused")
  func pause() {
    var driver = Driver()
    _ = driver.handle(.command(.pause))
    _ = driver.join(alice)
    #expect(driver.beat(alice).assignments(to: alice).isEmpty)
    #expect(
      "\(driver.machine.explain(.job(JobID(1)), at: driver.now))"
        == "job 1: waits: the run is paused")
    #expect(!driver.handle(.command(.resume)).assignments(to: alice).isEmpty)
  }

  @Test("and a job and a phase are explained")
  func explanations() {
    var driver = Driver(instructions: 1)
    #expect(
      driver.machine.explain(.phase, at: driver.now)
        == .phase(.answering(iteration: 1), [.noWorkers, .jobs(waiting: 1, leased: 0)]))
    #expect(driver.machine.explain(.job(JobID(1)), at: driver.now) == .job(JobID(1), .noWorkers))
    #expect(
      driver.machine.explain(.worker("zoe"), at: driver.now) == .worker("zoe", .unknown))
    _ = driver.join(alice)
    #expect(
      driver.machine.explain(.worker("alice"), at: driver.now)
        == .worker("alice", .noCredit(holding: 0)))
    _ = driver.beat(alice)
    #expect(
      driver.machine.explain(.job(JobID(1)), at: driver.now)
        == .job(JobID(1), .leased(to: alice, attempt: 1, listed: false, since: .zero)))
    #expect(driver.machine.explain(.job(JobID(5)), at: driver.now) == .job(JobID(5), .unknown))
  }
}

private func leaves(_ worker: WorkerID, _ effects: [Effect]) -> Bool {
  effects.notes.contains { if case .left(worker, _) = $0 { true } else { false } }
}
