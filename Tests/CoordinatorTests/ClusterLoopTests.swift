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

/// A coordinator's loop over a real store and real sockets; every batch of messages is handed to it
/// by the test, as the socket's own loop would.
private struct Control {
  let folder = NSTemporaryDirectory() + "cluster-loop-\(UUID().uuidString)"
  let store: RunStore
  let server: MessageServer
  let loop: ClusterLoop
  private let keys: CurveKeyPair
  private let allowed = AllowList()

  init() throws {
    store = try RunStore(folder: folder)
    keys = try CurveKeyPair.generate()
    server = try MessageServer(
      endpoint: "tcp://127.0.0.1:0", security: .curve(keys, allowed))
    let role = RoleSampling(temperature: 0, tokensMax: 4)
    let recipe = TrainingRecipe(learningRate: 1, trained: .all, seed: 0)
    let settings = RunSettings(
      run: "loop", method: Method(iterations: 1), prompts: try PromptSet(),
      teacherTemplate: .plain, studentTemplate: .plain, teacher: role, student: role, judge: role,
      augmentor: role, pretrain: recipe, tune: recipe)
    loop = ClusterLoop(
      machine: RunMachine(
        settings: settings, restored: RestoredRun(), address: { Digest(of: $0) }, at: .zero),
      store: store, control: server,
      requests: AsyncStream.makeStream(of: Request.self).continuation,
      log: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
  }

  /// A run that has one job to hand out.
  func prepare() async throws {
    let input = RunInput(
      teacher: Digest(hashing: "teacher".utf8), student: Digest(hashing: "student".utf8),
      hasCaptions: false, evaluationSets: [])
    let instruction = Instruction(
      id: InstructionID(1), image: nil, text: "why?", task: .conversation,
      lineage: .imported(record: "r", turn: 0))
    try await loop.turn(.prepared(input, pool: [instruction]))
  }

  /// A worker that may connect under this name, and has.
  func connect(_ name: String) async throws -> MessageClient {
    let own = try CurveKeyPair.generate()
    allowed.allow(publicKey: own.publicKey, name: name)
    let client = try MessageClient(
      endpoint: server.endpoint, security: .curve(own, serverKey: keys.publicKey))
    while let event = await client.events.next() {
      if case .connected = event { break }
    }
    return client
  }

  /// Sends a message and has the loop take it in.
  /// - Returns: the connection on which it came.
  @discardableResult
  func say(_ message: WorkerMessage, by client: MessageClient) async throws -> ConnectionID {
    try await say([Frame(encode(message))], by: client)
  }

  @discardableResult
  func say(_ frames: [Frame], by client: MessageClient) async throws -> ConnectionID {
    try client.send(frames)
    let event = try #require(await server.events.next())
    try await loop.receive([event])
    guard case .message(let incoming) = event else { throw CocoaError(.coderInvalidValue) }
    return incoming.connection
  }

  /// A worker that has been let in.
  func join(_ worker: WorkerID) async throws -> (client: MessageClient, on: ConnectionID) {
    let client = try await connect(worker.name)
    let connection = try await say(try hello(worker), by: client)
    guard case .welcome = try await heard(by: client) else { throw CocoaError(.coderInvalidValue) }
    return (client, connection)
  }

  func close(_ clients: MessageClient...) async {
    for client in clients { await client.close() }
    await server.close()
    try? store.close()
    try? FileManager.default.removeItem(atPath: folder)
  }
}

private func heard(by client: MessageClient) async throws -> CoordinatorMessage? {
  while let event = await client.events.next() {
    if case .message(let frames) = event { return try decodeCoordinatorMessage(frames[0].bytes) }
  }
  return nil
}

private func hello(_ worker: WorkerID) throws -> WorkerMessage {
  let key = try CurveKeyPair.generate().publicKey
  return .hello(
    WorkerHello(
      protocolVersion: protocolVersion, worker: worker, threads: 1, memoryBytes: 1,
      kernelSet: "k", peerEndpoint: "tcp://127.0.0.1:1", peerPublicKey: key, models: []))
}

private let heartbeat = WorkerMessage.heartbeat(
  Heartbeat(
    sequence: 1, holding: [], credit: 4, busyMilliseconds: 0, training: nil, standing: nil))

@Suite("The coordinator's loop", .timeLimit(.minutes(5)))
struct ClusterLoopTests {
  private let worker = WorkerID(name: "w1", boot: 5)
  /// Said by nobody but the test: whatever the loop sent before it comes before it.
  private let marker = CoordinatorMessage.cancel([JobID(99)])

  @Test("sends a job that is leased in the store already")
  func commitsThenSends() async throws {
    let control = try Control()
    try await control.prepare()
    let (client, _) = try await control.join(worker)
    try await control.say(heartbeat, by: client)
    guard case .assign(let assignments) = try await heard(by: client) else {
      Issue.record("no job")
      return
    }
    let stored = try control.store.restore().jobs
    #expect(assignments.map(\.job) == stored.map(\.job.id))
    #expect(stored.map(\.state) == [.leased(to: worker)])
    await control.close(client)
  }

  @Test("sends nothing of a turn that cannot be committed")
  func nothingUncommitted() async throws {
    let control = try Control()
    try await control.prepare()
    let (client, connection) = try await control.join(worker)
    try control.store.close()
    await #expect(throws: StoreError.self) { try await control.say(heartbeat, by: client) }
    try control.server.send([Frame(encode(marker))], to: connection)
    #expect(try await heard(by: client) == marker)
    await control.close(client)
  }

  @Test("takes nobody for a worker whose key he does not have")
  func anotherName() async throws {
    let control = try Control()
    try await control.prepare()
    let liar = try await control.connect("w2")
    let connection = try await control.say(try hello(worker), by: liar)
    try control.server.send([Frame(encode(marker))], to: connection)
    #expect(try await heard(by: liar) == marker)
    #expect(await control.loop.status().workers.isEmpty)
    // Nor does he become that worker by what he says next.
    try await control.say(heartbeat, by: liar)
    #expect(try await heard(by: liar) == .helloWanted)
    await control.close(liar)
  }

  @Test("counts and shows what makes no sense, and hears what else its sender says")
  func nonsense() async throws {
    let control = try Control()
    try await control.prepare()
    let (client, _) = try await control.join(worker)
    try await control.say([Frame([7, 7, 7])], by: client)
    try await control.say([Frame(encode(heartbeat)), Frame([1])], by: client)
    try await control.say(try hello(WorkerID(name: "w2", boot: 1)), by: client)
    let forged = JobReport(
      job: JobID(40), attempt: 1, address: Digest(hashing: [1]),
      outcome: .failure(.outOfMemory("no")))
    for _ in 0..<30 { try await control.say(.reports([forged]), by: client) }
    let status = await control.loop.status()
    #expect(status.workers.map(\.dropped) == [33])
    // Neither the log nor the list is filled by one who says nothing else: 10, 16 and 32 are told.
    let told = status.recent.filter { $0.what.hasPrefix("dropped from") }
    #expect((2...12).contains(told.count))
    #expect(told.last?.what.contains("job 40, which does not exist (32 so far)") == true)
    try await control.say(heartbeat, by: client)
    while let message = try await heard(by: client) {
      if case .assign(let assignments) = message {
        #expect(assignments.map(\.job) == [JobID(1)])
        break
      }
    }
    await control.close(client)
  }

  @Test("asks a connection that it does not know who it is, and then knows it")
  func unknownConnection() async throws {
    let control = try Control()
    try await control.prepare()
    let client = try await control.connect("w1")
    try await control.say(heartbeat, by: client)
    #expect(try await heard(by: client) == .helloWanted)
    #expect(await control.loop.status().workers.isEmpty)
    try await control.say(try hello(worker), by: client)
    #expect(await control.loop.status().workers.map(\.name) == ["w1"])
    await control.close(client)
  }
}
