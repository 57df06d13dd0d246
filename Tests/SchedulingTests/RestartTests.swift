import Distillation
import Domain
import Scheduling
import Testing

@Suite("A restarted coordinator")
struct RestartTests {
  private func restored(_ state: RestoredJob.State) -> RestoredRun {
    let prompt = testSettings().prompts.answer("question 0", image: digest(0), in: .plain)
    let request = GenerationRequest(
      model: digest(100), prompt: prompt, sampling: Sampling(temperature: 0, tokensMax: 1, seed: 1))
    let job = Job(
      id: JobID(1), purpose: .teacherAnswer(InstructionID(1)), address: testAddress(request),
      request: request)
    return RestoredRun(
      phase: .answering(iteration: 1), instructions: testPool(1, 1), tuningIteration: [1],
      jobs: [RestoredJob(job: job, givenTo: ["carol", "alice"], failedOn: [], state: state)],
      jobsCreated: 7)
  }

  @Test("sends a worker what it has leased, as the same attempt, and gives it to nobody else")
  func lease() {
    var driver = Driver(restored: restored(.leased(to: alice)))
    _ = driver.join(bob)
    #expect(driver.beat(bob).assignments(to: bob).isEmpty)
    #expect(driver.join(alice).assignments(to: alice).map(\.attempt) == [2])
    #expect(driver.beat(alice, holding: [JobID(1)]).messages(to: alice).isEmpty)
  }

  @Test("takes a lease back when its worker does not return")
  func expired() {
    var driver = Driver(restored: restored(.leased(to: alice)))
    _ = driver.join(bob)
    let effects = driver.pass(.seconds(13), holding: [bob: []])
    #expect(effects.assignments(to: bob).map(\.attempt) == [3])
  }

  @Test("asks unknown senders to say hello again")
  func unknown() {
    var driver = Driver(restored: restored(.open))
    #expect(driver.beat(alice).messages(to: alice) == [.helloWanted])
  }

  @Test("goes on to the next phase when all jobs had ended, with new job numbers")
  func goesOn() {
    var run = restored(.open)
    run.ended = run.jobs.map { EndedJob(id: $0.job.id, purpose: $0.job.purpose, text: "a") }
    run.jobs = []
    var driver = Driver(restored: run)
    #expect(driver.machine.snapshot(at: .zero).phase == .tuning(iteration: 1))
    let effects = driver.handle(
      .datasetBuilt(TrainingID(iteration: 1), dataset: digest(1), samples: 0))
    let created = effects.persisted.compactMap {
      if case .jobsCreated(let jobs) = $0 { jobs } else { nil }
    }.flatMap { $0 }
    #expect(created.map(\.id) == [JobID(8)])
  }

  @Test("creates what was not created before, and nothing twice", arguments: [2, 4_096])
  func rest(askedAhead: Int) throws {
    var driver = Driver(
      restored: {
        var run = restored(.open)
        run.instructions = testPool(9, 1)
        run.tuningIteration = Array(repeating: 1, count: 9)
        run.ended = [
          EndedJob(id: JobID(2), purpose: .teacherAnswer(InstructionID(3)), text: "a")
        ]
        return run
      }()
    ) { $0.limits.askedAheadMax = askedAhead }
    var asked: [Prompt] = []
    var queue = (driver.join(alice) + driver.beat(alice, credit: 3)).assignments(to: alice)
    while let next = queue.popLast() {
      asked.append(next.request.prompt)
      queue += driver.report(next, "a", from: alice).assignments(to: alice)
    }
    let missing = [0, 1, 3, 4, 5, 6, 7, 8].map { place in
      testSettings().prompts.answer("question \(place)", image: digest(0), in: .plain)
    }
    #expect(asked.count == 8 && Set(asked) == Set(missing))
  }

  @Test("that had finished asks for its report again")
  func finished() {
    var run = restored(.open)
    run.phase = .finished
    run.jobs = []
    var machine = RunMachine(
      settings: testSettings(), restored: run, address: testAddress, at: .zero)
    let effects = machine.handle(.prepared(testInput(), pool: []), at: .zero)
    #expect(effects.requests == [.finish(.allIterations)])
  }
}
