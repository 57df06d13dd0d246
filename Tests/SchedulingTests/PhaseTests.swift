import Distillation
import Domain
import Scheduling
import Testing

/// Plays the shell and one untiring worker until nothing more happens.
private struct Conductor {
  var driver: Driver
  var jobs: [Job] = []
  var changes: [Change] = []
  var requests: [Request] = []
  /// Who was sent away.
  var drained: [WorkerID] = []
  /// What the models answer, by what they are asked for.
  var reply: (Job) -> String?

  init(
    instructions: Int, pictures: Int = 1, input: RunInput = testInput(),
    change: (inout RunSettings) -> Void = { _ in }, reply: @escaping (Job) -> String?
  ) {
    self.reply = reply
    var settings = testSettings()
    settings.reuse = false
    change(&settings)
    driver = Driver(instructions: 0)
    driver.machine = RunMachine(
      settings: settings, restored: RestoredRun(), address: testAddress, at: .zero)
    perform(driver.handle(.prepared(input, pool: testPool(instructions, pictures))))
    perform(driver.join(alice))
    for _ in 0..<1000 where !isFinished { perform(driver.beat(alice, credit: 4, busy: 40)) }
  }

  var isFinished: Bool {
    requests.contains { if case .finish = $0 { true } else { false } }
  }

  var phases: [RunPhase] {
    changes.compactMap { if case .phase(let phase) = $0 { phase } else { nil } }
  }

  func count(_ matches: (Purpose) -> Bool) -> Int { jobs.count { matches($0.purpose) } }

  mutating func perform(_ effects: [Effect]) {
    var assignments: [Assignment] = []
    for effect in effects {
      switch effect {
      case .persist(let change):
        changes.append(change)
        if case .jobsCreated(let created) = change { jobs += created }
      case .send(_, .assign(let assigned)): assignments += assigned
      case .send(let worker, .drain): drained.append(worker)
      case .send, .note: break
      case .request(let request):
        requests.append(request)
        answer(request)
      }
    }
    for assignment in assignments {
      guard let job = jobs.first(where: { $0.id == assignment.job }) else { continue }
      if let text = reply(job) {
        perform(driver.report(assignment, text, from: alice))
      } else {
        perform(driver.fail(assignment, on: alice))
      }
    }
  }

  private mutating func answer(_ request: Request) {
    switch request {
    case .buildDataset(let id):
      perform(driver.handle(.datasetBuilt(id, dataset: digest(5), samples: 0)))
    case .scoreEvaluation(let subject, let set, let iteration):
      perform(
        driver.handle(
          .evaluationScored(
            EvaluationScore(
              subject: subject.rawValue, set: set, iteration: iteration, items: 1, correct: 1,
              categories: []))))
    case .lookUp, .recall, .writeManifest, .finish: break
    }
  }
}

@Suite("A run")
struct PhaseTests {
  /// Difficult, with a fresh proposal for everything.
  private func replies(_ job: Job) -> String? {
    switch job.purpose {
    case .teacherAnswer, .studentAnswer, .evaluation: "an answer"
    case .judgement(_, _, .teacherFirst, _): "9 2"
    case .judgement(_, _, .studentFirst, _): "2 9"
    case .newInstruction(let from, let iteration):
      "entirely fresh words \(from.number) round \(iteration) here"
    }
  }

  @Test("goes through its phases in order, and augments after every iteration but the last")
  func phases() {
    let run = Conductor(
      instructions: 2, pictures: 2, change: { $0.method.iterations = 2 }, reply: replies)
    #expect(
      run.phases == [
        .pretraining, .evaluating(iteration: 0), .answering(iteration: 1),
        .tuning(iteration: 1), .evaluating(iteration: 1), .assessing(iteration: 1),
        .augmenting(iteration: 1), .answering(iteration: 2), .tuning(iteration: 2),
        .evaluating(iteration: 2), .assessing(iteration: 2), .finished,
      ])
    #expect(run.requests.last == .finish(.allIterations))
    #expect(run.drained == [alice])
  }

  @Test("asks the teacher once for each instruction, whatever the number of iterations")
  func teacherOnce() {
    let run = Conductor(
      instructions: 3, pictures: 3, change: { $0.method.iterations = 3 }, reply: replies)
    var asked: [InstructionID] = []
    for job in run.jobs {
      if case .teacherAnswer(let id) = job.purpose { asked.append(id) }
    }
    #expect(asked.count == Set(asked).count)
    #expect(asked.count == run.driver.machine.snapshot(at: .zero).pools.cache)
  }

  @Test("judges an instruction in the turn in which its second answer comes")
  func judgingAtOnce() throws {
    let run = Conductor(instructions: 2, reply: replies)
    func place(_ what: String, _ matches: (Change) -> Bool) throws -> Int {
      let found = run.changes.firstIndex(where: matches)
      return try #require(found, "\(what)")
    }
    func answered(_ id: Int64) throws -> Int {
      let job = try #require(
        run.jobs.first { $0.purpose == .studentAnswer(InstructionID(id), iteration: 1) })
      return try place("answer \(id)") {
        if case .accepted(let report, _) = $0 { report.job == job.id } else { false }
      }
    }
    func asked(_ id: Int64) throws -> Int {
      try place("judgements of \(id)") { change in
        guard case .jobsCreated(let jobs) = change else { return false }
        let orders = jobs.compactMap { job -> PresentationOrder? in
          guard case .judgement(InstructionID(id), 1, let order, 1) = job.purpose else {
            return nil
          }
          return order
        }
        return orders == [.teacherFirst, .studentFirst]
      }
    }
    #expect(try answered(1) < asked(1))
    #expect(try asked(1) < answered(2))
    #expect(try answered(2) < asked(2))
  }

  @Test("shows the judge the picture, the question and both answers, in one order and the other")
  func judgesPrompt() throws {
    let run = Conductor(instructions: 1) { job in
      switch job.purpose {
      case .teacherAnswer: "what the teacher says"
      case .studentAnswer: "what the student says"
      case .judgement, .evaluation, .newInstruction: replies(job)
      }
    }
    var shown: [PresentationOrder: GenerationRequest] = [:]
    for job in run.jobs {
      if case .judgement(_, _, let order, _) = job.purpose { shown[order] = job.request }
    }
    for order in PresentationOrder.allCases {
      let request = try #require(shown[order])
      #expect(request.model == testInput().teacher)
      #expect(request.prompt.image == digest(0))
      let text = request.prompt.parts.map {
        if case .text(let text) = $0 { text } else { "" }
      }.joined()
      #expect(text.contains("question 0"))
      // Each answer once; split at the teacher's, the student's is behind or before it.
      let around = text.split(separator: "what the teacher says", omittingEmptySubsequences: false)
      let hasStudent = around.map { $0.contains("what the student says") }
      #expect(hasStudent == (order == .teacherFirst ? [false, true] : [true, false]))
    }
  }

  @Test("takes the scores of both orders, and judges again what is unreadable")
  func judging() {
    let run = Conductor(instructions: 1) { job in
      switch job.purpose {
      case .judgement(_, _, .teacherFirst, let attempt): attempt < 3 ? "hm" : "8 4"
      case .judgement(_, _, .studentFirst, _): "3 9"
      case .teacherAnswer, .studentAnswer, .evaluation, .newInstruction: "text"
      }
    }
    let judgements = run.jobs.filter {
      if case .judgement = $0.purpose { true } else { false }
    }
    #expect(judgements.count == 4)
    #expect(Set(judgements.map(\.request.sampling.seed)).count == 4)
    let expected = assess(
      teacherFirst: ScorePair(teacher: 8, student: 4),
      studentFirst: ScorePair(teacher: 9, student: 3), threshold: 0.33)
    #expect(run.changes.contains(.assessed(InstructionID(1), iteration: 1, expected)))
  }

  @Test("records as unjudged what no attempt makes readable, or whose judge fails for good")
  func unjudged() {
    let unreadable = Conductor(instructions: 1) { job in
      if case .judgement = job.purpose { "no numbers" } else { "text" }
    }
    #expect(
      unreadable.changes.contains(
        .assessed(InstructionID(1), iteration: 1, .unjudged(lastText: "no numbers"))))
    let failing = Conductor(instructions: 1) { job in
      if case .judgement = job.purpose { nil } else { "text" }
    }
    #expect(failing.isFinished)
    #expect(
      failing.changes.contains(
        .assessed(InstructionID(1), iteration: 1, .unjudged(lastText: ""))))
  }

  @Test("leaves out an instruction that the student cannot be asked")
  func unanswerable() {
    let run = Conductor(instructions: 2) { job in
      if case .studentAnswer(InstructionID(1), _) = job.purpose { nil } else { replies(job) }
    }
    #expect(run.isFinished)
    let assessed = run.changes.compactMap {
      if case .assessed(let id, _, _) = $0 { id } else { nil }
    }
    #expect(assessed == [InstructionID(2)])
  }

  @Test("replaces the tuning pool, lets the cache grow, and takes as many easy as difficult")
  func pools() {
    let twoDifficult: (Job) -> String? = { job in
      switch job.purpose {
      case .judgement(let id, _, .teacherFirst, _): id.number <= 2 ? "9 1" : "9 9"
      case .judgement(let id, _, .studentFirst, _): id.number <= 2 ? "1 9" : "9 9"
      case .teacherAnswer, .studentAnswer, .evaluation, .newInstruction: replies(job)
      }
    }
    let run = Conductor(
      instructions: 6, pictures: 6, change: { $0.method.iterations = 2 }, reply: twoDifficult)
    let proposals = run.count { if case .newInstruction = $0 { true } else { false } }
    #expect(proposals == 4)
    let pools = run.driver.machine.snapshot(at: .zero).pools
    #expect(pools.cache == 10)
    #expect(pools.tuning == 4)
    #expect(run.count { if case .teacherAnswer = $0 { true } else { false } } == 10)
  }

  @Test("stores at its end what the workers did in their last seconds")
  func busy() {
    let run = Conductor(instructions: 2, reply: replies)
    #expect(
      run.changes.contains {
        if case .workerBusy(alice, milliseconds: 40) = $0 { true } else { false }
      })
  }

  @Test("creates the jobs of a large phase as workers get to them, and ends with the last of them")
  func askedAhead() throws {
    var driver = Driver(instructions: 100) { settings in
      settings.limits.askedAheadMax = 8
      settings.limits.creditMax = 2
    }
    var queue = (driver.join(alice) + driver.beat(alice, credit: 2)).assignments(to: alice)
    // Those of the first turn.
    var created = 8
    for done in 0..<100 {
      let snapshot = driver.machine.snapshot(at: driver.now)
      #expect(snapshot.phase == .answering(iteration: 1))
      #expect(snapshot.jobs.unsettled == 100 - done && snapshot.jobs.leased == queue.count)
      #expect(snapshot.jobs.waiting == 100 - done - queue.count)
      let effects = driver.report(try #require(queue.first), "a", from: alice)
      queue = queue.dropFirst() + effects.assignments(to: alice)
      for case .jobsCreated(let jobs) in effects.persisted { created += jobs.count }
      #expect(created <= done + 1 + 8 + 2)
    }
    #expect(created == 100)
    #expect(driver.machine.snapshot(at: driver.now).phase == .tuning(iteration: 1))
  }

  @Test("ends early, with the reason, when no new instruction is admitted")
  func nothingNew() {
    let repeating: (Job) -> String? = { job in
      if case .newInstruction = job.purpose { "question 0" } else { replies(job) }
    }
    let run = Conductor(
      instructions: 2, change: { $0.method.iterations = 4 }, reply: repeating)
    #expect(run.requests.last == .finish(.nothingNew(afterIteration: 1)))
    #expect(run.phases.suffix(2) == [.augmenting(iteration: 1), .finished])
    let outcomes = run.changes.compactMap {
      if case .proposed(_, _, let outcome) = $0 { outcome } else { nil }
    }
    let rejected = ProposalOutcome.rejected(.tooSimilar(to: InstructionID(1), rougeL: 1))
    #expect(outcomes == [rejected, rejected])
  }

  @Test("examines the teacher once, the student and the blind student every time")
  func evaluation() {
    var input = testInput(items: 1)
    input.evaluationSets[0].items[0].image = digest(3)
    let run = Conductor(instructions: 1, input: input, reply: replies)
    func examined(_ wanted: EvaluationSubject) -> [Job] {
      run.jobs.filter {
        if case .evaluation(wanted, _, _, _) = $0.purpose { true } else { false }
      }
    }
    #expect(examined(.teacher).count == 1)
    #expect(examined(.student).count == 2)
    #expect(examined(.studentBlind).count == 2)
    #expect(examined(.studentBlind).allSatisfy { $0.request.prompt.image == nil })
    #expect(examined(.student).allSatisfy { $0.request.prompt.image == digest(3) })
    #expect(run.driver.machine.snapshot(at: .zero).evaluations.count == 5)
  }

  @Test("asks the teacher in all its roles in its precision, and the student in its own")
  func precisions() {
    let run = Conductor(
      instructions: 2, input: testInput(items: 1),
      change: { settings in
        (settings.teacherPrecision, settings.studentPrecision) = (.int8, .bf16)
      }, reply: replies)
    #expect(run.isFinished)
    let expected: [Precision] = run.jobs.map { $0.purpose.isForTeacher ? .int8 : .bf16 }
    #expect(run.jobs.map(\.request.precision) == expected)
    #expect(Set(expected).count == 2)
    #expect(run.count { if case .judgement = $0 { $0.isForTeacher } else { false } } > 0)
    #expect(run.count { if case .studentAnswer = $0 { !$0.isForTeacher } else { false } } > 0)
  }
}
