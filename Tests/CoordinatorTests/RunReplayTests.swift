import Distillation
import Domain
import Foundation
import Hashing
import Logging
import Protocol
import Scheduling
import Store
import Testing
import Transport

@testable import Coordinator
@testable import Journal

/// One coordinator after the other on one run: each is handed what a socket would bring, and ends
/// in one way or another.
private struct Life {
  let store: RunStore
  let loop: ClusterLoop
  let server: MessageServer
  let folder: String

  /// - Parameter recorded: the settings that the journal is told, when they are others.
  init(
    _ folder: String, jobs: Int = 40, bytesMax: Int64? = 1 << 30, recorded: RunSettings? = nil
  ) async throws {
    self.folder = folder
    store = try RunStore(folder: folder)
    server = try MessageServer(
      endpoint: "tcp://127.0.0.1:0", security: .curve(try CurveKeyPair.generate(), AllowList()))
    let settings = try Self.settings(kernelSet: try store.kernelSet())
    let log = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
    loop = ClusterLoop(
      machine: RunMachine(
        settings: settings, restored: try store.restore(), address: { Digest(of: $0) }, at: .zero),
      store: store, control: server,
      requests: AsyncStream.makeStream(of: Request.self).continuation,
      recorder: try Recorder.open(
        RunFolder(path: folder), store: store, settings: recorded ?? settings, revoked: [],
        bytesMax: bytesMax, log: log), log: log)
    let pool = (1...jobs).map { number in
      Instruction(
        id: InstructionID(Int64(number)), image: nil, text: "why \(number)?",
        task: .conversation, lineage: .imported(record: "r", turn: number))
    }
    let isNew = try store.phase() == .preparing
    try await loop.turn(
      .prepared(
        RunInput(
          teacher: Digest(hashing: "teacher".utf8), student: Digest(hashing: "student".utf8),
          hasCaptions: false, evaluationSets: []), pool: isNew ? pool : []))
  }

  static func settings(kernelSet: String?, credit: Int = 16) throws -> RunSettings {
    let role = RoleSampling(temperature: 0, tokensMax: 4)
    let recipe = TrainingRecipe(learningRate: 1, trained: .all, seed: 0)
    var settings = RunSettings(
      run: "lives", method: Method(iterations: 1), prompts: try PromptSet(),
      teacherTemplate: .plain, studentTemplate: .plain, teacher: role, student: role, judge: role,
      augmentor: role, pretrain: recipe, tune: recipe, kernelSet: kernelSet)
    settings.limits.creditMax = credit
    return settings
  }

  func say(_ message: WorkerMessage, by worker: WorkerID) async throws {
    try await loop.turn(.received(message, from: worker))
  }

  func join(_ worker: WorkerID) async throws {
    try await say(
      .hello(
        WorkerHello(
          protocolVersion: protocolVersion, worker: worker, threads: 1, memoryBytes: 1,
          kernelSet: "k", peerEndpoint: "tcp://127.0.0.1:1",
          peerPublicKey: String(repeating: "k", count: 40), models: [])), by: worker)
  }

  func beat(_ worker: WorkerID, _ sequence: UInt64, credit: Int = 4) async throws {
    let holding = try held(by: worker)
    try await say(
      .heartbeat(
        Heartbeat(
          sequence: sequence, holding: holding, credit: credit,
          busyMilliseconds: Int64(sequence) * 3, training: nil, standing: nil)), by: worker)
  }

  private func held(by worker: WorkerID) throws -> [JobID] {
    try store.restore().jobs.filter { $0.state == .leased(to: worker) }.map(\.job.id)
  }

  /// Reports all that a worker has; every fifth job fails.
  func report(_ worker: WorkerID) async throws {
    let mine = try store.restore().jobs.filter { $0.state == .leased(to: worker) }
    let reports = mine.map { restored in
      let number = restored.job.id.number
      return JobReport(
        job: restored.job.id, attempt: restored.givenTo.count, address: restored.job.address,
        outcome: number % 5 == 0 && restored.givenTo.count == 1
          ? .failure(.outOfMemory("no room"))
          : .success(
            GenerationResult(
              text: "because of \(number)", tokens: [Int32(number), 7], stop: .stopToken,
              promptTokens: 3)))
    }
    try await say(.reports(reports), by: worker)
    // Once more: what its spool offers again is compared with what the store has.
    try await say(.reports(Array(reports.prefix(2))), by: worker)
  }

  /// A part of a run with all that a coordinator sees: workers come, work, fail and are lost.
  func live(boot: UInt64) async throws {
    let (one, two) = (WorkerID(name: "w1", boot: boot), WorkerID(name: "w2", boot: boot + 1))
    try await join(one)
    try await join(two)
    try await beat(one, 1)
    try await beat(two, 1)
    try await report(one)
    try await loop.tick()
    try await beat(one, 2)
    try await loop.turn(.command(.pause))
    try await loop.turn(.disconnected(two))
    try await Task.sleep(for: .milliseconds(1100))
    try await loop.tick()
    try await loop.turn(.command(.resume))
    try await report(one)
    try await beat(one, 3)
  }

  /// The process is killed: nothing is said any more, what the system was handed stays.
  func kill() async throws {
    await server.close()
    try store.close()
  }

  func end() async throws {
    await loop.finishRecording()
    try await kill()
  }
}

/// A second coordinator goes on with the run, and all of it is replayed.
private func replayAfterSecondLife(_ folder: String) async throws -> ReplayedRun {
  let second = try await Life(folder)
  try await second.live(boot: 2)
  try await second.end()
  let replayed = try RunReplay(runFolder: folder).run()
  #expect(replayed.difference == nil)
  #expect(replayed.comparisons > 0)
  return replayed
}

@Suite("A replay of a run", .timeLimit(.minutes(5)))
struct RunReplayTests {
  private let folder = NSTemporaryDirectory() + "run-replay-\(UUID().uuidString)"

  private func bytes(of folder: String) throws -> Int {
    try FileManager.default.contentsOfDirectory(atPath: folder).reduce(0) {
      $0 + (try Data(contentsOf: URL(filePath: folder + "/" + $1)).count)
    }
  }

  private func removing(_ body: () async throws -> Void) async throws {
    defer { try? FileManager.default.removeItem(atPath: folder) }
    try await body()
  }

  @Test("is what happened: over kills and starts, with workers that fail and are lost")
  func truth() async throws {
    try await removing {
      for (number, boot) in ([10, 20, 30] as [UInt64]).enumerated() {
        let life = try await Life(folder)
        try await life.live(boot: boot)
        // One ends in order, the others are killed.
        if number == 1 { try await life.end() } else { try await life.kill() }
      }
      let life = try await Life(folder)
      try await life.live(boot: 40)
      try await life.loop.tick()
      let status = await life.loop.status()
      let explained = await life.loop.explain(.worker("w1"))
      // While its coordinator goes on.
      var happened: [String] = []
      let replay = try RunReplay(runFolder: folder)
      let replayed = try replay.run(onHappening: { happened.append($0.what) })
      #expect(replayed.difference == nil)
      #expect(replayed.comparisons >= 4)
      #expect(happened.count { $0 == "a coordinator started" } == 4)
      #expect(happened.contains { $0.contains("w1#a joined") })
      #expect(happened.contains { $0.contains("failed on w1") })
      #expect(happened.contains { $0.contains("w2#15 has lost its connection") })
      let told = try #require(replayed.status)
      #expect(told.phase == status.phase)
      #expect(told.jobs.done == status.jobs.done && told.jobs.done > 0)
      #expect(told.jobs.leased == status.jobs.leased && told.jobs.leased > 0)
      #expect(told.workers.map(\.name) == status.workers.map(\.name))
      #expect(told.workers.map(\.accepted) == status.workers.map(\.accepted))
      #expect(told.waitingFor == status.waitingFor)
      #expect(replayed.explain("worker w1") == explained.description)
      try await life.end()
      #expect(try RunReplay(runFolder: folder).run().difference == nil)
    }
  }

  @Test("to a moment shows what was then, not what came of it")
  func window() async throws {
    try await removing {
      let life = try await Life(folder)
      let worker = WorkerID(name: "w1", boot: 1)
      try await life.join(worker)
      try await life.beat(worker, 1)
      try await life.report(worker)
      try await life.loop.turn(.command(.pause))
      try await Task.sleep(for: .milliseconds(200))
      let then = Date()
      try await Task.sleep(for: .milliseconds(200))
      try await life.loop.turn(.command(.resume))
      try await life.end()
      let replay = try RunReplay(runFolder: folder)
      let early = try replay.run(until: then)
      #expect(early.status?.paused == true)
      #expect(early.explain("job 1") == "job 1: it has ended; the store has its result")
      #expect(early.explain("phase").contains("the run is paused"))
      #expect(try replay.run().status?.paused == false)
      #expect(try replay.run(until: replay.begins.addingTimeInterval(-1)).status == nil)
    }
  }

  @Test(
    "goes on where a turn was recorded and its changes were lost with the process",
    arguments: [true, false])
  func uncommitted(reporting: Bool) async throws {
    try await removing {
      let first = try await Life(folder)
      let worker = WorkerID(name: "w1", boot: 1)
      try await first.join(worker)
      if reporting { try await first.beat(worker, 1) }
      let lost = try first.store.restore().jobs.filter { $0.state == .leased(to: worker) }
      #expect(lost.isEmpty != reporting)
      let known = try first.store.machineEvents()
      let reports = lost.map { restored in
        JobReport(
          job: restored.job.id, attempt: 1, address: restored.job.address,
          outcome: .success(
            GenerationResult(text: "lost", tokens: [1], stop: .stopToken, promptTokens: 1)))
      }
      // The disk fails between the two writes.
      try first.store.close()
      let heartbeat = WorkerMessage.heartbeat(
        Heartbeat(
          sequence: 1, holding: [], credit: 4, busyMilliseconds: 0, training: nil, standing: nil))
      await #expect(throws: StoreError.self) {
        try await first.say(reporting ? .reports(reports) : heartbeat, by: worker)
      }
      #expect(try JournalReader(folder: folder + "/journal").events > known)
      await first.server.close()
      _ = try await replayAfterSecondLife(folder)
    }
  }

  @Test("says where it is not what happened")
  func difference() async throws {
    try await removing {
      let other = try Life.settings(kernelSet: nil, credit: 2)
      let life = try await Life(folder, recorded: other)
      try await life.live(boot: 1)
      try await life.end()
      let difference = try #require(try RunReplay(runFolder: folder).run().difference)
      #expect(difference.hasPrefix("the replay differs from what happened at "))
      #expect(difference.contains(" in the run, "))
    }
  }

  @Test("says that the end is missing when the store knows more, and goes on after the next start")
  func lostEnd() async throws {
    try await removing {
      let first = try await Life(folder)
      try await first.live(boot: 1)
      try await first.kill()
      let path = folder + "/journal/00000001-start.events"
      let whole = try Data(contentsOf: URL(filePath: path))
      try whole.prefix(whole.count - 100).write(to: URL(filePath: path))
      let difference = try #require(try RunReplay(runFolder: folder).run().difference)
      #expect(difference.contains("before what the store knew"))
      let second = try await Life(folder)
      try await second.live(boot: 2)
      try await second.end()
      let replayed = try RunReplay(runFolder: folder).run()
      #expect(replayed.difference == nil)
      #expect(replayed.status?.workers.map(\.boot) == ["2", "3"])
      #expect(replayed.lacking > 0)
    }
  }

  @Test("of a run that began without a journal tells what came since it has one")
  func begunWithout() async throws {
    try await removing {
      let first = try await Life(folder, bytesMax: nil)
      try await first.live(boot: 1)
      try await first.end()
      #expect(throws: JournalError.self) { try RunReplay(runFolder: folder) }
      // Of no more than its limit is there a copy, either.
      let small = try await Life(folder, bytesMax: 30_000)
      try await small.loop.tick()
      #expect(await small.loop.status().journalEnd?.contains("limit") == true)
      try await small.end()
      #expect(try bytes(of: folder + "/journal") == 0)
      let replayed = try await replayAfterSecondLife(folder)
      #expect(try #require(replayed.status).jobs.done > 0)
    }
  }

  @Test("ends where the recording ended, and the run goes on")
  func limit() async throws {
    try await removing {
      try await Life(folder).end()
      let start = try bytes(of: folder + "/journal")
      try FileManager.default.removeItem(atPath: folder)
      let life = try await Life(folder, bytesMax: Int64(3 * start + 1_000))
      try await life.live(boot: 1)
      try await life.live(boot: 3)
      let status = await life.loop.status()
      #expect(status.journalEnd?.contains("coordinator.journal") == true)
      #expect(status.recent.contains { $0.what.hasPrefix("the journal ends here") })
      #expect(status.jobs.done > 0)
      try await life.end()
      var happened: [String] = []
      let replayed = try RunReplay(runFolder: folder).run(onHappening: { happened.append($0.what) })
      #expect(happened.last?.hasPrefix("the recording ended") == true)
      #expect(replayed.difference?.contains("before what the store knew") == true)
    }
  }
}
