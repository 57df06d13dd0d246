import Distillation
import Domain
import Glibc
import Scheduling
import Testing

@Suite("A job")
struct JobTests {
  @Test("is leased in the turn in which it is sent, with all that its worker needs")
  func leasing() throws {
    var driver = Driver()
    #expect(driver.join(alice).messages(to: alice).count == 1)
    let effects = driver.beat(alice, credit: 1)
    let assignment = try #require(effects.assignments(to: alice).first)
    #expect(assignment.attempt == 1)
    #expect(assignment.address == testAddress(assignment.request))
    #expect(assignment.request.prompt.image == digest(0))
    #expect(effects.persisted == [.leased(assignment.job, attempt: 1, to: alice)])
    // Nothing about it goes out in a turn before this one, whose changes the shell commits first.
    #expect(effects.messages(to: alice) == [.assign([assignment])])
  }

  @Test("goes to nobody else while its worker says that it holds it")
  func renewed() throws {
    var driver = Driver(instructions: 1)
    _ = driver.join(alice)
    _ = driver.join(bob)
    let job = try #require(driver.beat(alice, credit: 1).assignments(to: alice).first).job
    let effects = driver.pass(.seconds(60), holding: [alice: [job], bob: []])
    #expect(effects.assignments(to: bob).isEmpty)
    #expect(effects.assignments(to: alice).isEmpty)
  }

  @Test("is a new attempt of another worker when its lease runs out, and not a moment earlier")
  func expired() throws {
    var driver = Driver(instructions: 1)
    _ = driver.join(alice)
    _ = driver.join(bob)
    let first = try #require(driver.beat(alice, credit: 1).assignments(to: alice).first)
    // Alice lives, but never lists the job: the message was lost.
    let early = driver.pass(.milliseconds(11_750), holding: [alice: [], bob: []])
    #expect(early.assignments(to: bob).isEmpty)
    let late = driver.pass(.seconds(2), holding: [alice: [], bob: []])
    let second = try #require(late.assignments(to: bob).first)
    #expect(second.job == first.job)
    #expect(second.attempt == 2)
  }

  @Test("of a lost worker goes on at once, and comes back to it if nobody took it")
  func lostAndFound() throws {
    var driver = Driver(instructions: 1)
    _ = driver.join(alice)
    let job = try #require(driver.beat(alice, credit: 1).assignments(to: alice).first).job
    #expect(
      driver.pass(.seconds(11)).notes.contains {
        if case .left(alice, .silent) = $0 { true } else { false }
      })
    #expect(driver.beat(alice).messages(to: alice) == [.helloWanted])
    _ = driver.join(alice)
    let effects = driver.beat(alice, holding: [job])
    #expect(effects.persisted.isEmpty)
    #expect(effects.messages(to: alice).isEmpty)
    _ = driver.join(bob)
    #expect(driver.beat(bob).assignments(to: bob).isEmpty)
  }

  @Test("has one accepted result; a late twin is compared, a repeated report only acknowledged")
  func twins() throws {
    var driver = Driver(instructions: 2)
    _ = driver.join(alice)
    _ = driver.join(bob)
    let first = try #require(driver.beat(alice, credit: 1).assignments(to: alice).first)
    let retaken = driver.pass(.seconds(13), holding: [alice: [], bob: []])
    let second = try #require(
      retaken.assignments(to: bob).first { $0.job == first.job && $0.attempt == 2 })
    let accepted = driver.report(second, "yes", from: bob)
    #expect(accepted.persisted.contains(.accepted(success(second, "yes"), from: bob)))
    #expect(accepted.messages(to: bob).contains(.acknowledge([JobAttempt(second.job, attempt: 2)])))
    let repeated = driver.report(second, "yes", from: bob)
    #expect(repeated.messages(to: bob).contains(.acknowledge([JobAttempt(second.job, attempt: 2)])))
    #expect(!repeated.persisted.contains { if case .duplicate = $0 { true } else { false } })
    let twin = driver.report(first, "yes", from: alice)
    #expect(
      twin.messages(to: alice).contains(.acknowledge([JobAttempt(first.job, attempt: 1)])))
    #expect(
      twin.persisted.contains(.duplicate(success(first, "yes"), from: alice, equal: true)))
    let counts = driver.machine.snapshot(at: driver.now).jobs
    #expect(counts.accepted == 1)
    #expect(counts.duplicatesCompared == 1)
    #expect(counts.duplicatesDiffering == 0)
  }

  @Test("whose twin differs is reported")
  func differingTwin() throws {
    var driver = Driver(instructions: 2)
    _ = driver.join(alice)
    _ = driver.join(bob)
    let first = try #require(driver.beat(alice, credit: 1).assignments(to: alice).first)
    let retaken = driver.pass(.seconds(13), holding: [alice: [], bob: []])
    let second = try #require(retaken.assignments(to: bob).first { $0.job == first.job })
    _ = driver.report(second, "yes", from: bob)
    let twin = driver.report(first, "no", from: alice)
    #expect(twin.notes.contains(.twinDiffers(first.job, from: alice)))
  }

  @Test("that fails on three workers is set aside, and its instruction takes part in nothing")
  func quarantine() throws {
    var driver = Driver(instructions: 1)
    var effects: [Effect] = []
    for worker in [alice, bob, carol] { _ = driver.join(worker) }
    for worker in [alice, bob, carol] {
      let assignment = try #require(driver.beat(worker, credit: 1).assignments(to: worker).first)
      effects = driver.fail(assignment, on: worker)
    }
    #expect(effects.persisted.contains(.quarantined(JobID(1))))
    // Nothing was answered: the tuning has no samples, and nothing can be judged.
    #expect(effects.requests == [.buildDataset(TrainingID(iteration: 1))])
    let after = driver.handle(
      .datasetBuilt(TrainingID(iteration: 1), dataset: digest(9), samples: 0))
    #expect(after.persisted.last == .phase(.finished))
    #expect(driver.machine.snapshot(at: driver.now).pools.leftOut == 1)
  }

  @Test("that fails on the only worker there is comes back to it, but not for ever")
  func boundedFailures() throws {
    var driver = Driver(instructions: 1)
    _ = driver.join(alice)
    var effects = driver.beat(alice, credit: 1)
    for attempt in 1...6 {
      let assignment = try #require(effects.assignments(to: alice).first)
      #expect(assignment.attempt == attempt)
      effects = driver.fail(assignment, on: alice)
    }
    #expect(effects.persisted.contains(.quarantined(JobID(1))))
  }

  @Test("that failed is kept for a worker on which it has not failed")
  func retriesElsewhere() throws {
    var driver = Driver(instructions: 1)
    _ = driver.join(alice)
    let assignment = try #require(driver.beat(alice, credit: 1).assignments(to: alice).first)
    _ = driver.join(bob)
    #expect(driver.fail(assignment, on: alice).assignments(to: alice).isEmpty)
    #expect(driver.beat(bob, credit: 1).assignments(to: bob).map(\.attempt) == [2])
  }

  @Test("whose address is known ends without a worker")
  func reuse() throws {
    var driver = Driver(instructions: 0, reuse: true)
    driver = Driver(instructions: 2, reuse: true)
    _ = driver.join(alice)
    #expect(driver.beat(alice).assignments(to: alice).isEmpty, "handed out before the look-up")
    let effects = driver.handle(
      .lookedUp(
        asked: [JobID(1), JobID(2)],
        found: [KnownResult(job: JobID(1), result: testResult("known"))]))
    #expect(
      effects.persisted.contains {
        if case .reused(JobID(1), _) = $0 { true } else { false }
      })
    #expect(effects.assignments(to: alice).map(\.job) == [JobID(2)])
  }

  @Test("that asks the same as another follows it and is computed once")
  func following() throws {
    // Without a picture the blind student is asked exactly what the student is asked.
    var driver = Driver(instructions: 0, input: testInput(items: 1))
    _ = driver.join(alice)
    let assignments = driver.beat(alice, credit: 9).assignments(to: alice)
    #expect(assignments.count == 2)
    let student = try #require(assignments.first { $0.request.model == digest(200) })
    let effects = driver.report(student, "a", from: alice)
    #expect(
      effects.persisted.contains {
        if case .reused(_, student.address) = $0 { true } else { false }
      })
  }

  @Test("with a report about something else is not touched")
  func nonsense() throws {
    var driver = Driver(instructions: 1)
    _ = driver.join(alice)
    var assignment = try #require(driver.beat(alice, credit: 1).assignments(to: alice).first)
    assignment.address = digest(77)
    let mismatch = driver.report(assignment, "x", from: alice)
    #expect(mismatch.notes == [.nonsense(alice, .addressMismatch(assignment.job))])
    #expect(mismatch.persisted.isEmpty)
    assignment.job = JobID(99)
    let unknown = driver.report(assignment, "x", from: alice)
    #expect(unknown.notes == [.nonsense(alice, .unknownJob(JobID(99)))])
  }

  @Test("has no result from a worker that was not given this attempt, before its end and after")
  func notGiven() throws {
    var driver = Driver(instructions: 2)
    _ = driver.join(alice)
    _ = driver.join(bob)
    let assignment = try #require(driver.beat(alice, credit: 1).assignments(to: alice).first)
    for _ in 0..<2 {
      let forged = driver.report(assignment, "forged", from: bob)
      #expect(forged.notes == [.nonsense(bob, .notGiven(assignment.job, attempt: 1))])
      #expect(forged.persisted.isEmpty)
      let own = driver.report(assignment, "own", from: alice)
      #expect(own.notes.isEmpty)
    }
    // Another boot of the same worker reports what its spool has.
    let counts = driver.machine.snapshot(at: driver.now).jobs
    #expect(counts.accepted == 1 && counts.duplicatesCompared == 0)
    let later = WorkerID(name: "alice", boot: 2)
    _ = driver.join(later)
    #expect(driver.report(assignment, "own", from: later).notes.isEmpty)
  }

  @Test("of an older attempt that fails leaves the lease of the newer one alone")
  func staleFailure() throws {
    var driver = Driver(instructions: 1)
    for worker in [alice, bob, carol] { _ = driver.join(worker) }
    let first = try #require(driver.beat(alice, credit: 1).assignments(to: alice).first)
    let retaken = driver.pass(.seconds(13), holding: [alice: [], bob: []])
    let second = try #require(retaken.assignments(to: bob).first)
    let effects = driver.fail(first, on: alice)
    #expect(effects.assignments(to: alice).isEmpty)
    #expect(driver.beat(carol).assignments(to: carol).isEmpty)
    #expect(
      driver.report(second, "x", from: bob).persisted
        .contains(.accepted(success(second, "x"), from: bob)))
  }
}

@Suite("Placement")
struct PlacementTests {
  @Test("keeps the jobs of a picture on one worker")
  func affinity() {
    // Three jobs about each of four pictures, in turns: the pool's own order mixes them.
    var driver = Driver(instructions: 12, pictures: 4)
    _ = driver.join(alice)
    _ = driver.join(bob)
    var queues = [alice, bob].map { driver.beat($0, credit: 1).assignments(to: $0) }
    var shown: [[Digest?]] = [[], []]
    while queues.contains(where: { !$0.isEmpty }) {
      for (place, worker) in [alice, bob].enumerated() where !queues[place].isEmpty {
        let next = queues[place].removeFirst()
        shown[place].append(next.request.prompt.image)
        queues[place] += driver.report(next, "a", from: worker).assignments(to: worker)
      }
    }
    #expect(shown.map(\.count) == [6, 6])
    #expect(Set(shown[0]).isDisjoint(with: shown[1]))
    // And one picture after the other.
    for pictures in shown { #expect(zip(pictures, pictures.dropFirst()).count { $0 != $1 } == 1) }
  }

  @Test("gives an idle worker a whole picture of a busy one")
  func stealing() throws {
    var driver = Driver(instructions: 8, pictures: 1) { $0.limits.creditMax = 2 }
    _ = driver.join(alice)
    #expect(driver.beat(alice, credit: 2).assignments(to: alice).count == 2)
    _ = driver.join(bob)
    let stolen = driver.beat(bob, credit: 2).assignments(to: bob)
    #expect(stolen.count == 2)
    #expect(stolen.allSatisfy { $0.request.prompt.image == digest(0) })
  }

  @Test("never gives more than the worker wants, nor than the limit allows")
  func credits() {
    var driver = Driver(instructions: 50, pictures: 9) { $0.limits.creditMax = 5 }
    _ = driver.join(alice)
    #expect(driver.beat(alice, credit: 3).assignments(to: alice).count == 3)
    _ = driver.join(bob)
    #expect(driver.beat(bob, credit: 40).assignments(to: bob).count == 5)
    _ = driver.join(carol)
    #expect(driver.beat(carol, credit: 0).assignments(to: carol).isEmpty)
  }

  @Test("shares the last jobs instead of giving them all to whoever asks first")
  func fairness() {
    var driver = Driver(instructions: 4, pictures: 4)
    _ = driver.join(alice)
    _ = driver.join(bob)
    #expect(driver.beat(alice, credit: 9).assignments(to: alice).count == 2)
    #expect(driver.beat(bob, credit: 9).assignments(to: bob).count == 2)
  }

  /// What reports taken in and jobs handed out cost, until `count` jobs are done: nanoseconds of
  /// this thread's own time for each, so that it does not matter what else the machine does.
  private func nanosecondsPerDecision(jobs count: Int) -> Double {
    var driver = Driver(instructions: count, pictures: count / 5)
    let workers = (0..<8).map { WorkerID(name: "w\($0)", boot: 1) }
    var queues: [[Assignment]] = []
    let start = threadNanoseconds()
    for worker in workers {
      _ = driver.join(worker)
      queues.append(driver.beat(worker, credit: 16).assignments(to: worker))
    }
    var reported = 0
    while reported < count {
      for (place, worker) in workers.enumerated() where !queues[place].isEmpty {
        let assignment = queues[place].removeFirst()
        queues[place] += driver.report(assignment, "a", from: worker).assignments(to: worker)
        reported += 1
      }
    }
    let time = threadNanoseconds() - start
    #expect(driver.machine.snapshot(at: driver.now).phase == .tuning(iteration: 1))
    return Double(time) / Double(count)
  }

  @Test("takes hardly longer for a job when a hundred thousand wait than when a thousand do")
  func throughput() {
    // The first machine warms the caches up.
    let few = (0..<3).map { _ in nanosecondsPerDecision(jobs: 1_000) }.min() ?? 0
    let many = nanosecondsPerDecision(jobs: 100_000)
    print("a decision takes \(Int(few)) ns at 1,000 jobs, \(Int(many)) ns at 100,000")
    #expect(many < few * 8)
  }
}

/// Processor time of the calling thread so far.
private func threadNanoseconds() -> Int {
  var time = timespec()
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
  return time.tv_sec * 1_000_000_000 + time.tv_nsec
}
