import Domain
import Scheduling
import Testing

@Suite("A worker's desk")
struct WorkerDeskTests {
  private func assignment(
    _ job: Int64, attempt: Int = 1, model: UInt64 = 1, _ precision: Precision = .f32
  ) -> Assignment {
    Assignment(
      job: JobID(job), attempt: attempt, address: digest(UInt64(job)),
      request: GenerationRequest(
        model: digest(model), prompt: Prompt([.text("job \(job)")]),
        sampling: Sampling(temperature: 0, topP: 1, tokensMax: 1, seed: 1, stops: []),
        precision: precision))
  }

  private func failure(_ assignment: Assignment) -> JobReport {
    JobReport(
      job: assignment.job, attempt: assignment.attempt, address: assignment.address,
      outcome: .failure(.promptTooLong(tokens: 2, limit: 1)))
  }

  @Test("keeps a result when an acknowledgement of another attempt comes late or twice")
  func lateAcknowledgement() {
    var desk = WorkerDesk()
    let (first, second) = (assignment(28), assignment(28, attempt: 2))
    _ = desk.take([first])
    let failed = desk.finish(desk.begin(1).map(failure))
    #expect(desk.acknowledged(failed.map(\.jobAttempt)) == [first.jobAttempt])
    #expect(desk.isClear)

    #expect(desk.take([second]).isEmpty)
    let done = desk.finish(desk.begin(1).map { success($0, "yes") })
    #expect(desk.acknowledged([first.jobAttempt, first.jobAttempt]).isEmpty)
    #expect(desk.toOffer == done)
    #expect(!desk.isClear)
    #expect(desk.acknowledged([second.jobAttempt]) == [second.jobAttempt])
    #expect(desk.isClear)
  }

  @Test("does a job again after a failure that was not acknowledged, and then offers both ends")
  func failureBefore() {
    var desk = WorkerDesk()
    _ = desk.take([assignment(1)])
    let failed = desk.finish(desk.begin(1).map(failure))
    #expect(desk.take([assignment(1)]) == failed)
    #expect(desk.take([assignment(1, attempt: 2)]).isEmpty)
    let done = desk.finish(desk.begin(1).map { success($0, "yes") })
    #expect(desk.toOffer == failed + done)
  }

  @Test("answers with a success that it has, whichever attempt is asked for")
  func successBefore() {
    let done = success(assignment(1), "yes")
    var desk = WorkerDesk(unacknowledged: [done])
    #expect(desk.take([assignment(1, attempt: 3)]) == [done])
    #expect(desk.holding.isEmpty)
  }

  @Test("reports a job under the highest attempt that it was given, whatever came last")
  func attempts() {
    var desk = WorkerDesk()
    _ = desk.take([assignment(1, attempt: 2), assignment(2)])
    _ = desk.take([assignment(1)])
    let batch = desk.begin(2)
    #expect(batch.map(\.attempt) == [2, 1])
    _ = desk.take([assignment(2, attempt: 4)])
    _ = desk.take([assignment(2, attempt: 3)])
    #expect(desk.finish(batch.map { success($0, "yes") }).map(\.attempt) == [2, 4])
  }

  @Test("begins jobs of one model at a time, in the order they came")
  func batches() {
    var desk = WorkerDesk()
    _ = desk.take([assignment(3), assignment(1, model: 2), assignment(2), assignment(4)])
    let first = desk.begin(2)
    #expect(first.map(\.job) == [JobID(3), JobID(2)])
    #expect(desk.begin(2).isEmpty)
    // One joins as soon as there is room; another model waits until all have ended.
    _ = desk.finish([success(first[0], "yes")])
    let joined = desk.begin(2)
    #expect(joined.map(\.job) == [JobID(4)])
    _ = desk.finish([success(first[1], "yes")])
    #expect(desk.begin(2).isEmpty)
    #expect(desk.holding == [JobID(1), JobID(4)])
    _ = desk.finish([success(joined[0], "yes")])
    #expect(desk.begin(2).map(\.job) == [JobID(1)])
  }

  @Test("begins jobs of one precision at a time")
  func precisions() {
    var desk = WorkerDesk()
    _ = desk.take([assignment(1, .int8), assignment(2), assignment(3, .int8)])
    let first = desk.begin(3)
    #expect(first.map(\.job) == [JobID(1), JobID(3)])
    _ = desk.finish(first.map { success($0, "yes") })
    #expect(desk.begin(3).map(\.job) == [JobID(2)])
  }

  @Test("lets jobs of a running model join only so often while another model waits")
  func turns() {
    var desk = WorkerDesk()
    _ = desk.take([assignment(1, model: 2), assignment(2)])
    var running = desk.begin(2)
    var joined = 0
    for job in 3..<1_000 {
      _ = desk.take([assignment(Int64(job), model: 2)])
      let new = desk.begin(2)
      joined += new.count
      // The oldest ends, so that there is room but never nobody.
      if running.count + new.count > 1 {
        _ = desk.finish([success(running.removeFirst(), "yes")])
      }
      running += new
    }
    #expect(joined == WorkerDesk.turnMax - 1)
    _ = desk.finish(running.map { success($0, "yes") })
    #expect(desk.begin(2).map(\.job) == [JobID(2)])
  }

  @Test("drops what is cancelled unless it is finished")
  func cancelled() {
    var desk = WorkerDesk()
    _ = desk.take([assignment(1)])
    let done = desk.finish(desk.begin(1).map { success($0, "yes") })
    _ = desk.take([assignment(2), assignment(3)])
    let batch = desk.begin(1)
    desk.cancel([JobID(1), JobID(2), JobID(3)])
    #expect(desk.holding.isEmpty)
    #expect(desk.finish(batch.map { success($0, "yes") }).isEmpty)
    #expect(desk.toOffer == done)
  }
}

extension Assignment {
  fileprivate var jobAttempt: JobAttempt { JobAttempt(job, attempt: attempt) }
}
