import ArgumentParser
import Foundation
import Kernels
import Transport
import Worker

struct BenchAllReduce: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "allreduce",
    abstract: "Summing a vector of f32 over worker processes.",
    discussion: """
      Each process has a vector and gets the sum of all, by the tree, the cells and the mesh with \
      which gradients are summed. The processes meet before each run, which takes as long as its \
      slowest; every sum is checked.

      With --listen the members are started by hand, on the machines whose network is in question: \
      each with --join and a number of its own, from 0, and the same --bytes and --workers.

      Example:
        comd bench allreduce --bytes 20MiB --workers 2 --plain
        comd bench allreduce --bytes 20MiB --workers 2 --listen tcp://node0:7790
        comd bench allreduce --bytes 20MiB --workers 2 --join tcp://node0:7790 --member 1
      """)

  @Option(help: "The size of the vector.")
  var bytes = Bytes(20 << 20)
  @Option(help: "Worker processes.")
  var workers = 2
  @Flag(help: "Without encryption.")
  var plain = false
  @Flag(help: "Over TCP, as between machines; local sockets otherwise.")
  var tcp = false
  @Option(help: "What is sent: f32 or bf16.")
  var wire = Wire.f32
  @Option(help: "Where to wait for members of other machines.")
  var listen: String?
  @Option(help: "Where the process listens that measures: this one is a member.")
  var join: String?
  @Option(help: "The number of this member, from 0.")
  var member: Int?
  @OptionGroup var options: BenchOptions

  func validate() throws {
    try require("--workers", workers, in: 1...64)
    try require("--bytes", bytes.count, in: 4...(8 << 30))
    if (join == nil) != (member == nil) {
      throw ValidationError("--join and --member go together.")
    }
    if let member { try require("--member", member, in: 0...(workers - 1)) }
    if listen != nil, join != nil { throw ValidationError("Give either --listen or --join.") }
  }

  func run() async throws {
    if let member, let join { return try await takePart(as: member, desk: join) }
    let server = try MessageServer(
      endpoint: listen ?? "tcp://127.0.0.1:*", security: .plainForBenchmarks)
    let crew = BenchMembers()
    defer { crew.end() }
    if listen == nil {
      try crew.start((0..<workers).map { arguments(member: $0, desk: server.endpoint) })
    } else {
      log("waiting for \(workers) members at \(server.endpoint)")
    }
    let rounds = options.runs
    let members = workers
    let seconds = try await crew.during {
      var desk = SumDesk(server: server, members: members)
      try await desk.seatAll()
      _ = try await desk.sum(round: 1)
      let progress = Progress("bench allreduce", unit: "runs", total: rounds)
      var seconds: [Double] = []
      for round in 0..<rounds {
        seconds.append(try await desk.sum(round: round + 2))
        progress.update(round + 1)
      }
      return seconds
    }
    await server.close()
    try tell(
      "allreduce", unit: "sums/s", values: seconds.map { 1 / $0 }, isWaitedFor: true, options)
  }

  private func arguments(member: Int, desk: String) -> [String] {
    [
      "bench", "allreduce", "--member", "\(member)", "--join", desk, "--workers", "\(workers)",
      "--bytes", "\(bytes.count)", "--threads",
      "\(max(1, options.computing.threads / workers))", "--wire", wire.rawValue,
    ] + (plain ? ["--plain"] : []) + (tcp ? ["--tcp"] : [])
  }

  /// One member: sums when it is told to, until the desk is gone.
  private func takePart(as index: Int, desk: String) async throws {
    keepFreedMemory()
    let member = try SumMember(
      index: index, members: workers, elements: Int(bytes.count) / 4, desk: desk,
      wire: wire.precision, isPlain: plain, isLocal: !tcp, log: makeQuietLogger("allreduce"))
    let client = try MessageClient(endpoint: desk, security: .plainForBenchmarks)
    while let event = await client.events.next() {
      switch event {
      case .connected:
        let address = member.address
        try client.send([
          Frame(SumWord.here(member: index, endpoint: address.endpoint, key: address.publicKey))
        ])
      case .disconnected, .refused:
        await client.close()
      case .message(let frames):
        guard let frame = frames.first else { continue }
        switch try SumWord(frame) {
        case .meet(let seats):
          await member.meet(
            seats.map { SumAddress(endpoint: $0.endpoint, publicKey: $0.key) })
        case .sum(let round):
          let taken = try await member.sum(round: round)
          try client.send([Frame(SumWord.done(seconds: taken / .seconds(1)))])
        case .check:
          try client.send([Frame(SumWord.checked(isExact: await member.check()))])
        case .here, .done, .checked: break
        }
      }
    }
    await member.close()
  }
}

/// What the process that measures and its members say to each other.
private enum SumWord: Codable {
  struct Seat: Codable {
    var endpoint: String
    var key: String
  }
  case here(member: Int, endpoint: String, key: String)
  case meet([Seat])
  case sum(round: Int)
  case done(seconds: Double)
  /// Asked when all are done: it takes longer than the sum.
  case check
  case checked(isExact: Bool)

  init(_ frame: Frame) throws {
    self = try JSONDecoder().decode(SumWord.self, from: Data(frame.bytes))
  }
}

extension Frame {
  fileprivate init(_ word: SumWord) throws { self.init([UInt8](try JSONEncoder().encode(word))) }
}

/// The measuring side: knows the members by their connections.
private struct SumDesk {
  let server: MessageServer
  let members: Int
  private var seats: [Int: (connection: ConnectionID, seat: SumWord.Seat)] = [:]

  init(server: MessageServer, members: Int) {
    self.server = server
    self.members = members
  }

  /// Waits for all members and tells each where the others are.
  mutating func seatAll() async throws {
    while seats.count < members {
      let (word, connection) = try await next()
      if case .here(let member, let endpoint, let key) = word {
        seats[member] = (connection, SumWord.Seat(endpoint: endpoint, key: key))
      }
    }
    try tellAll(.meet((0..<members).compactMap { seats[$0]?.seat }))
  }

  /// One sum; seconds of the slowest member.
  func sum(round: Int) async throws -> Double {
    let seconds = try await all(.sum(round: round)) { word in
      if case .done(let seconds) = word { seconds } else { nil }
    }
    let exact = try await all(.check) { word in
      if case .checked(let isExact) = word { isExact } else { nil }
    }
    if exact.contains(false) {
      throw CommandError.failed("round \(round): the sum of a member is wrong")
    }
    return seconds.max() ?? 0
  }

  /// Tells all members something, and waits for what each answers.
  private func all<Answer>(
    _ word: SumWord, _ answer: (SumWord) -> Answer?
  ) async throws -> [Answer] {
    try tellAll(word)
    var answers: [Answer] = []
    while answers.count < members {
      if let said = answer(try await next().word) { answers.append(said) }
    }
    return answers
  }

  private func tellAll(_ word: SumWord) throws {
    for member in seats.values { try server.send([try Frame(word)], to: member.connection) }
  }

  private func next() async throws -> (word: SumWord, connection: ConnectionID) {
    while let event = await server.events.next() {
      if case .message(let incoming) = event, let frame = incoming.frames.first {
        return (try SumWord(frame), incoming.connection)
      }
    }
    throw CancellationError()
  }
}
