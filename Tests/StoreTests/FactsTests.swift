import Domain
import Foundation
import Hashing
import Testing

@testable import Store

@Suite("The report's figures")
struct FactsTests {
  private func withStore(_ body: (RunStore) throws -> Void) throws {
    let folder = newFolder()
    defer { try? FileManager.default.removeItem(atPath: folder) }
    let store = try RunStore(folder: folder)
    try body(store)
    try store.close()
  }

  @Test("count jobs by how they ended, attempts, twins and who worked")
  func jobs() throws {
    try withStore { store in
      let jobs = (1...6).map { job(Int64($0), .teacherAnswer(InstructionID(Int64($0)))) }
      let start = Date(timeIntervalSince1970: 1_700_000_000)
      try store.commit([.jobsCreated(jobs)], at: start)
      try store.commit(
        [.workerJoined(workerA, kernelSet: "x"), .workerJoined(workerB, kernelSet: "x")],
        at: start)
      try store.commit(done(jobs[0]) + done(jobs[1]))
      // Fails on a, is done by b; a late twin that differs comes from a.
      func report(_ outcome: JobOutcome, attempt: Int) -> JobReport {
        JobReport(
          job: jobs[2].id, attempt: attempt, address: jobs[2].address, outcome: outcome)
      }
      try store.commit([
        .leased(jobs[2].id, attempt: 1, to: workerA),
        .failed(report(.failure(.outOfMemory("8 GiB")), attempt: 1), from: workerA),
        .leased(jobs[2].id, attempt: 2, to: workerB),
        .accepted(report(.success(answer(jobs[2])), attempt: 2), from: workerB),
        .duplicate(report(.success(answer(jobs[1])), attempt: 1), from: workerA, equal: false),
        .duplicate(report(.success(answer(jobs[2])), attempt: 3), from: workerA, equal: true),
        .reused(jobs[3].id, address: jobs[0].address), .quarantined(jobs[4].id),
        .workerBusy(workerA, milliseconds: 1500),
      ])
      try store.commit([.workerLeft(workerA, reason: "lost")], at: start + 60)
      var facts = try store.reportFacts()
      #expect(
        facts.jobs
          == JobFacts(
            created: 6, accepted: 3, reused: 1, attempts: 4, reassigned: 1, failures: 1,
            duplicatesCompared: 2, duplicatesDiffering: 1, quarantined: 1, lost: 0))
      #expect(facts.workers.map(\.worker) == [workerA, workerB])
      #expect(facts.workers.map(\.jobs) == [2, 1])
      #expect(facts.workers[0].busy == .milliseconds(1500))
      #expect(facts.workers.map(\.joined) == [start, start])
      #expect(facts.workers.map(\.left) == [start + 60, nil])
      // A finished run in which a job never ended has lost it.
      try store.commit([.phase(.finished)])
      facts = try store.reportFacts()
      #expect(facts.jobs.lost == 1)
    }
  }

  @Test("count what each iteration assessed, proposed, pooled, learned and scored")
  func iterations() throws {
    try withStore { store in
      func instruction(_ number: Int64) -> Instruction {
        Instruction(
          id: InstructionID(number), image: nil, text: "q\(number)", task: .detail,
          lineage: .imported(record: "r", turn: 0))
      }
      func judged(_ first: (Double, Double), _ second: (Double, Double), _ difficult: Bool)
        -> Assessment
      {
        .judged(
          teacherFirst: ScorePair(teacher: first.0, student: first.1),
          studentFirst: ScorePair(teacher: second.0, student: second.1), difficulty: 0.5,
          difficult: difficult)
      }
      let training = TrainingID(iteration: 1)
      let export = TrainingExport(
        training: training, model: Digest(hashing: [1]), weights: Digest(hashing: [2]))
      let score = EvaluationScore(
        subject: "student", set: 0, iteration: 1, items: 4, correct: 3,
        categories: [CategoryScore(name: "a", items: 4, correct: 3)])
      try store.commit([
        .phase(.augmenting(iteration: 1)),
        .instructionsAdded((1...4).map(instruction), iteration: 1),
        .instructionsAdded([instruction(5)], iteration: 2),
        .assessed(InstructionID(1), iteration: 1, judged((9, 3), (8, 4), true)),
        .assessed(InstructionID(2), iteration: 1, judged((9, 3), (4, 8), true)),
        .assessed(InstructionID(3), iteration: 1, judged((5, 5), (7, 7), false)),
        .assessed(InstructionID(4), iteration: 1, .unjudged(lastText: "I cannot say")),
        .jobsCreated([
          job(1, .newInstruction(from: InstructionID(1), iteration: 1)),
          job(2, .newInstruction(from: InstructionID(2), iteration: 1)),
          job(3, .newInstruction(from: InstructionID(3), iteration: 1)),
        ]),
        .proposed(from: InstructionID(1), iteration: 1, .admitted(InstructionID(5))),
        .proposed(from: InstructionID(2), iteration: 1, .rejected(.empty)),
        .proposed(
          from: InstructionID(3), iteration: 1,
          .rejected(.tooSimilar(to: InstructionID(1), rougeL: 0.8))),
        .trainingPlanned(
          TrainingPlan(
            training: training, model: Digest(hashing: [3]), dataset: Digest(hashing: [4]),
            recipe: TrainingRecipe(learningRate: 1e-5, trained: .all, seed: 1), stepsTotal: 3,
            checkpoint: nil)),
        .stepCommitted(training, step: 0, epoch: 1, totals(2)),
        .stepCommitted(training, step: 1, epoch: 2, totals(1.5)),
        .stepCommitted(training, step: 2, epoch: 3, totals(1)), .trainingFinished(export),
        .evaluated(score),
      ])
      let facts = try store.reportFacts()
      #expect(facts.pretraining == nil)
      let iteration = try #require(facts.iterations.first)
      #expect(facts.iterations.count == 1)
      #expect(
        iteration.assessment
          == AssessmentFacts(
            instructions: 4, judged: 3, unparsed: 1, orderConsistent: 2, difficult: 2, easy: 1))
      #expect(
        iteration.augmentation
          == AugmentationFacts(
            asked: 3, accepted: 1, rejectedRougeL: 1, rejectedEmpty: 1, rejectedForm: 0, failed: 0
          ))
      #expect(iteration.tuningPool == 4 && iteration.cachePool == 5)
      #expect(
        iteration.tuning
          == TrainingFacts(steps: 3, lossFirst: 2, lossLast: 1, export: export))
      #expect(iteration.evaluations == [score])
    }
  }

  @Test("come with facts by name and a journal in order")
  func journal() throws {
    try withStore { store in
      #expect(try store.fact("kernel_set") == nil)
      try store.setFact("kernel_set", "a\0b")
      try store.setFact("kernel_set", "avx512")
      #expect(try store.fact("kernel_set") == "avx512")
      let time = Date(timeIntervalSince1970: 1_700_000_000.25)
      let events = (0..<5).map {
        JournalEvent(at: time, kind: "phase", subject: "run", words: "event \($0)")
      }
      try store.record(Array(events[..<3]))
      try store.commit([], journal: Array(events[3...]))
      let entries = try store.events(after: 1, limit: 3)
      #expect(entries.map(\.number) == [2, 3, 4])
      #expect(entries.map(\.event) == Array(events[1...3]))
    }
  }
}

@Suite("Results")
struct ResultTests {
  @Test("are found by their address, and taken over from another run")
  func reuse() throws {
    let (old, new) = (newFolder(), newFolder())
    defer {
      try? FileManager.default.removeItem(atPath: old)
      try? FileManager.default.removeItem(atPath: new)
    }
    let (a, b) = (
      job(1, .teacherAnswer(InstructionID(1))), job(2, .teacherAnswer(InstructionID(2)))
    )
    let first = try RunStore(folder: old)
    try first.commit([.jobsCreated([a, b])])
    try first.commit(done(a))
    #expect(try first.results(for: [a.address, b.address]) == [a.address: answer(a)])
    let second = try RunStore(folder: new)
    #expect(try second.importResults(from: old) == 1)
    #expect(try second.importResults(from: old) == 0)
    #expect(try second.result(for: a.address) == answer(a))
    try second.commit([.jobsCreated([a]), .reused(a.id, address: a.address)])
    #expect(try second.restore().jobs.isEmpty)
    #expect(try second.restore().ended.map(\.text) == [answer(a).text])
    #expect(try second.acceptedResult(of: a.id)?.result == answer(a))
    #expect(try second.acceptedResult(of: a.id)?.attempt == 0)
    try first.close()
    try second.close()
  }

  @Test("that are to be used again but are not here stop the commit, and nothing of it counts")
  func missing() throws {
    let folder = newFolder()
    defer { try? FileManager.default.removeItem(atPath: folder) }
    let store = try RunStore(folder: folder)
    let job = job(1, .teacherAnswer(InstructionID(1)))
    #expect(throws: StoreError.missingResult(job.id, address: job.address)) {
      try store.commit([.jobsCreated([job]), .reused(job.id, address: job.address)])
    }
    #expect(try store.restore() == RestoredRun())
    try store.commit([.jobsCreated([job])])
    try store.close()
  }

  @Test("of one address from two jobs are one: the first")
  func firstWins() throws {
    let folder = newFolder()
    defer { try? FileManager.default.removeItem(atPath: folder) }
    let store = try RunStore(folder: folder)
    let a = job(1, .teacherAnswer(InstructionID(1)))
    var b = a
    b.id = JobID(2)
    var other = answer(b)
    other.text = "another"
    try store.commit([.jobsCreated([a, b])] + done(a))
    try store.commit([
      .leased(b.id, attempt: 1, to: workerB),
      .accepted(
        JobReport(job: b.id, attempt: 1, address: b.address, outcome: .success(other)),
        from: workerB),
    ])
    for (job, worker) in [(a, workerA), (b, workerB)] {
      let accepted = AcceptedResult(
        address: a.address, attempt: 1, givenTo: [worker.name], result: answer(a))
      #expect(try store.acceptedResult(of: job.id) == accepted)
    }
    #expect(try store.restore().ended.map(\.text) == [answer(a).text, answer(a).text])
    #expect(try store.acceptedResult(of: JobID(3)) == nil)
    try store.close()
  }
}

private func totals(_ loss: Double) -> StepTotals {
  StepTotals(loss: loss, tokens: 1, sumOfSquares: 1)
}
