import ClusterFixtures
import Domain
import Foundation
import Hashing
import Protocol
import Testing
import Transport

@testable import CommandLineTool

/// A coordinator that is played by the test: real sockets and keys, and no decisions of its own.
private struct PlayedCoordinator {
  let folder: String
  let control: MessageServer
  let bulk: MessageServer

  init(folder: String) throws {
    self.folder = folder
    let (own, worker) = (try CurveKeyPair.generate(), try CurveKeyPair.generate())
    let allowed = AllowList([worker.publicKey: "w1"])
    control = try MessageServer(endpoint: "tcp://127.0.0.1:0", security: .curve(own, allowed))
    bulk = try MessageServer(
      endpoint: "tcp://127.0.0.1:0", security: .curve(own, allowed), limits: .bulk)
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    try AccessFile(
      worker: "w1", keys: worker, coordinatorPublicKey: own.publicKey, control: control.endpoint,
      bulk: bulk.endpoint
    ).write(to: folder + "/w1.access")
  }

  /// Says of every blob that there is none: a job whose model cannot be had is over at once.
  func refuseBlobs() async throws {
    while let event = await bulk.events.next() {
      guard case .message(let incoming) = event,
        case .find(let request, let blob) = try decodeBulkRequest(
          incoming.frames[0].bytes, payloadBytes: 0)
      else { continue }
      try bulk.send(
        [Frame(encode(BulkReply.refused(request: request, blob: blob, .unknownBlob)))],
        to: incoming.connection)
    }
  }

  /// Lets the worker in when it says hello, then waits for reports, answering nothing else.
  /// - Parameter onHello: said to it after the welcome.
  /// - Returns: the first reports, and the connection on which they came.
  func reports(
    welcomedWith onHello: [CoordinatorMessage] = []
  ) async throws -> (reports: [JobReport], from: ConnectionID)? {
    // What an earlier process has said, and nobody has read, is not this one's.
    var present: ConnectionID?
    while let event = await control.events.next() {
      guard case .message(let incoming) = event else { continue }
      switch try decodeWorkerMessage(incoming.frames[0].bytes) {
      case .hello:
        present = incoming.connection
        let welcome = Welcome(run: "played", heartbeatEvery: .milliseconds(50), creditMax: 4)
        for message in [.welcome(welcome)] + onHello { try say(message, to: incoming.connection) }
      case .reports(let reports) where incoming.connection == present:
        return (reports, incoming.connection)
      case .reports, .heartbeat, .standing, .vote, .segmentSaved, .exported, .goodbye: continue
      }
    }
    return nil
  }

  func say(_ message: CoordinatorMessage, to connection: ConnectionID) throws {
    try control.send([Frame(encode(message))], to: connection)
  }

  func close() async {
    await control.close()
    await bulk.close()
    try? FileManager.default.removeItem(atPath: folder)
  }
}

@Suite("A worker that is killed with results that nobody has acknowledged", .timeLimit(.minutes(5)))
struct SpoolProcessTests {
  @Test("reports them when it starts again, and forgets them once they are acknowledged")
  func restarted() async throws {
    let played = try PlayedCoordinator(
      folder: NSTemporaryDirectory() + "played-\(UUID().uuidString)")
    async let refusing: Void = played.refuseBlobs()
    func worker() throws -> ComdProcess {
      try ComdProcess(
        [
          "worker", "--access", played.folder + "/w1.access", "--dir", played.folder + "/w1",
          "--threads", "1",
        ], in: played.folder)
    }
    let model = Digest(hashing: "no such model".utf8)
    let request = GenerationRequest(
      model: model, prompt: Prompt([.text("?")]),
      sampling: Sampling(temperature: 0, tokensMax: 1, seed: 1))
    let assignments = [(7, 3), (9, 1)].map { job, attempt in
      Assignment(
        job: JobID(job), attempt: attempt, address: Digest(of: request), request: request)
    }

    let first = try worker()
    let done = try #require(try await played.reports(welcomedWith: [.assign(assignments)]))
    #expect(
      done.reports.map(\.jobAttempt) == [
        JobAttempt(JobID(7), attempt: 3), JobAttempt(JobID(9), attempt: 1),
      ])
    kill(first.pid, SIGKILL)
    #expect(await first.end().status == -SIGKILL)

    // Told nothing about any job, it knows them from its disk.
    let second = try worker()
    let again = try #require(try await played.reports())
    #expect(again.reports == done.reports)
    try played.say(.acknowledge(again.reports.map(\.jobAttempt)), to: again.from)
    // It is acknowledged in the order of messages: once drained, the spool is empty.
    try played.say(.drain, to: again.from)
    #expect(await second.end().status == 0)
    #expect(await second.said().contains { $0.contains("2 results of before") })

    let third = try worker()
    let fresh = try #require(
      try await played.reports(welcomedWith: [.assign([assignments[1]])]))
    #expect(fresh.reports.map(\.jobAttempt) == [JobAttempt(JobID(9), attempt: 1)])
    kill(third.pid, SIGKILL)
    _ = await third.end()
    #expect(await !third.said().contains { $0.contains("results of before") })
    await played.close()
    try await refusing
  }
}
