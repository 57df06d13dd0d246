import Domain
import Foundation
import Protocol
import Transport

/// A worker that computes nothing: it answers every job, until the coordinator is gone.
actor BenchWorker {
  private let client: MessageClient
  private let access: AccessFile
  private let me: WorkerID
  private let answer = GenerationResult(text: "", tokens: [], stop: .stopToken, promptTokens: 1)
  private var held: [Assignment] = []
  /// When a job was reported for which none was given yet, oldest first.
  private var asked: [ContinuousClock.Instant] = []
  private var waited: [Double] = []

  init(_ access: AccessFile) throws {
    self.access = access
    client = try MessageClient(
      endpoint: access.control,
      security: .curve(access.keys, serverKey: access.coordinatorPublicKey))
    me = WorkerID(name: access.worker, boot: .random(in: 1...UInt64.max))
  }

  /// Answers what comes at once.
  func answerAtOnce() async throws {
    try await follow { assignments in
      for message in reportMessages(assignments.map(report)) { try say(message) }
    }
  }

  /// Answers one job after the other at this interval.
  /// - Returns: for each job that was given for a report, seconds from the report to the job.
  func answer(every interval: Duration) async throws -> [Double] {
    let pace = Task { [self] in
      while !Task.isCancelled {
        try await Task.sleep(for: interval)
        try answerOne()
      }
    }
    defer { pace.cancel() }
    try await follow { assignments in
      let now = ContinuousClock.now
      for _ in 0..<min(asked.count, assignments.count) {
        waited.append((now - asked.removeFirst()) / .seconds(1))
      }
      held += assignments
    }
    return waited
  }

  private struct Assigned: Error { let at: Date }

  /// Waits until it is given a job, however long nobody is there who could.
  /// - Returns: when that was; nil: the coordinator came and went without giving one.
  func firstAssignment() async throws -> Date? {
    do {
      try await follow { _ in throw Assigned(at: Date()) }
    } catch let assigned as Assigned {
      return assigned.at
    }
    return nil
  }

  private func answerOne() throws {
    guard !held.isEmpty else { return }
    asked.append(.now)
    for message in reportMessages([report(held.removeFirst())]) { try say(message) }
  }

  private func follow(_ take: ([Assignment]) throws -> Void) async throws {
    while let event = await client.events.next() {
      switch event {
      case .connected: try sayHello()
      case .disconnected: return await client.close()
      case .refused: throw CommandError.failed("\(me.name) is not on the allow-list")
      case .message(let frames):
        guard let frame = frames.first else { continue }
        switch try decodeCoordinatorMessage(frame.bytes) {
        case .welcome(let welcome):
          try say(
            .heartbeat(
              Heartbeat(
                sequence: 1, holding: [], credit: welcome.creditMax, busyMilliseconds: 0,
                training: nil, standing: nil)))
        case .assign(let assignments): try take(assignments)
        case .acknowledge, .cancel, .helloWanted, .prepareTraining, .openStep, .commitStep,
          .export, .endTraining, .drain, .refused:
          break
        }
      }
    }
  }

  private func sayHello() throws {
    try say(
      .hello(
        WorkerHello(
          protocolVersion: protocolVersion, worker: me, threads: 1, memoryBytes: 0,
          kernelSet: "none", peerEndpoint: "tcp://127.0.0.1:1",
          peerPublicKey: access.keys.publicKey, models: [])))
  }

  private func report(_ assignment: Assignment) -> JobReport {
    JobReport(
      job: assignment.job, attempt: assignment.attempt, address: assignment.address,
      outcome: .success(answer))
  }

  private func say(_ message: WorkerMessage) throws {
    try client.send([Frame(encode(message))])
  }
}
