import Domain
import Foundation
import Hashing
import Store
import Testing

func newFolder() -> String { NSTemporaryDirectory() + "comd-store-" + UUID().uuidString }

@Suite("A run that is restored")
struct RestoreTests {
  @Test("is what the changes made it, turn by turn and after reopening", arguments: 0..<12)
  func equalsModel(seed: UInt64) throws {
    let folder = newFolder()
    defer { try? FileManager.default.removeItem(atPath: folder) }
    var run = RandomRun(seed: seed)
    var store = try RunStore(folder: folder)
    for number in 0..<60 {
      try store.commit(run.turn())
      if number % 10 == 0 { #expect(try store.restore() == run.model.restored) }
    }
    try store.close()
    store = try RunStore(folder: folder)
    #expect(try store.restore() == run.model.restored)
    for (address, result) in run.model.results {
      #expect(try store.result(for: address) == result)
    }
    try store.close()
  }

  @Test("is the same when every change and every turn comes twice", arguments: 20..<26)
  func idempotent(seed: UInt64) throws {
    let (once, twice) = (newFolder(), newFolder())
    defer {
      try? FileManager.default.removeItem(atPath: once)
      try? FileManager.default.removeItem(atPath: twice)
    }
    var run = RandomRun(seed: seed)
    let (first, second) = (try RunStore(folder: once), try RunStore(folder: twice))
    var time = Date(timeIntervalSince1970: 1e9)
    for _ in 0..<60 {
      let turn = run.turn()
      try first.commit(turn, at: time)
      try second.commit(turn.flatMap { [$0, $0] }, at: time)
      time += 1
    }
    #expect(try second.restore() == run.model.restored)
    #expect(try second.reportFacts() == first.reportFacts())
    try first.close()
    try second.close()
  }

  @Test("of an iteration that is over keeps the teacher's answers and the jobs without an end")
  func pastIterations() throws {
    let folder = newFolder()
    defer { try? FileManager.default.removeItem(atPath: folder) }
    let store = try RunStore(folder: folder)
    let jobs = [
      job(1, .teacherAnswer(InstructionID(1))),
      job(2, .studentAnswer(InstructionID(1), iteration: 1)),
      job(3, .studentAnswer(InstructionID(2), iteration: 1)),
      job(4, .studentAnswer(InstructionID(1), iteration: 2)),
    ]
    try store.commit([.jobsCreated(jobs)])
    for job in jobs where job.id != JobID(3) { try store.commit(done(job)) }
    try store.commit([.phase(.answering(iteration: 2))])
    let restored = try store.restore()
    #expect(restored.jobs.map(\.job.id) == [JobID(3)])
    #expect(restored.ended.map(\.id) == [JobID(1), JobID(4)])
    #expect(restored.jobsCreated == 4)
    try store.close()
  }

  @Test("has the answers to a tuning pool and to an examination, and to nothing else")
  func answers() throws {
    let folder = newFolder()
    defer { try? FileManager.default.removeItem(atPath: folder) }
    let store = try RunStore(folder: folder)
    func instruction(_ number: Int64) -> Instruction {
      Instruction(
        id: InstructionID(number), image: nil, text: "question \(number)", task: .conversation,
        lineage: .imported(record: "r", turn: 0))
    }
    func item(_ number: Int, _ subject: EvaluationSubject, iteration: Int) -> Purpose {
      .evaluation(subject, set: 1, item: number, iteration: iteration)
    }
    let jobs = [
      job(1, .teacherAnswer(InstructionID(1))), job(2, .teacherAnswer(InstructionID(2))),
      job(3, .teacherAnswer(InstructionID(3))),
      job(4, .studentAnswer(InstructionID(1), iteration: 1)),
      job(5, item(0, .student, iteration: 1)), job(6, item(4, .student, iteration: 1)),
      job(7, item(1, .studentBlind, iteration: 1)), job(8, item(2, .student, iteration: 2)),
      job(9, item(3, .student, iteration: 1)),
    ]
    try store.commit([
      .instructionsAdded([instruction(1), instruction(2)], iteration: 1),
      .instructionsAdded([instruction(3)], iteration: 2), .jobsCreated(jobs),
    ])
    for job in jobs where job.id != JobID(2) && job.id != JobID(9) { try store.commit(done(job)) }
    let first = try store.answered(iteration: 1)
    #expect(first.map(\.0) == [instruction(1)] && first.map(\.answer) == [answer(jobs[0]).text])
    #expect(try store.answered(iteration: 2).map(\.answer) == [answer(jobs[2]).text])
    let known = try store.answers(of: .student, set: 1, iteration: 1)
    #expect(known == [0: answer(jobs[4]).text, 4: answer(jobs[5]).text])
    #expect(try store.answers(of: .student, set: 0, iteration: 1).isEmpty)
    try store.close()
  }

  @Test("from a new folder is at its very beginning")
  func new() throws {
    let folder = newFolder()
    defer { try? FileManager.default.removeItem(atPath: folder) }
    let store = try RunStore(folder: folder)
    #expect(try store.restore() == RestoredRun())
    try store.close()
  }
}

func job(_ number: Int64, _ purpose: Purpose) -> Job {
  let request = GenerationRequest(
    model: Digest(hashing: [1]), prompt: Prompt([.text("question \(number)")]),
    sampling: Sampling(temperature: 0, tokensMax: 8, seed: 1))
  return Job(id: JobID(number), purpose: purpose, address: Digest(of: request), request: request)
}

let workerA = WorkerID(name: "a", boot: 1)
let workerB = WorkerID(name: "b", boot: .max)

func answer(_ job: Job) -> GenerationResult {
  GenerationResult(
    text: "answer to \(job.id)", tokens: [1, -2, .max], stop: .stopToken, promptTokens: 3)
}

/// The job leased to worker a and done by it.
func done(_ job: Job) -> [Change] {
  [
    .leased(job.id, attempt: 1, to: workerA),
    .accepted(
      JobReport(job: job.id, attempt: 1, address: job.address, outcome: .success(answer(job))),
      from: workerA),
  ]
}
