import Domain
import Logging
import Testing

@testable import Worker

@Suite("A sum over members without a training", .timeLimit(.minutes(5)))
struct SumMemberTests {
  @Test(
    "is exact at every member, round after round",
    arguments: [
      (true, true, WirePrecision.f32), (false, true, .f32), (false, false, .f32),
      (false, true, .bf16),
    ])
  func exact(isPlain: Bool, isLocal: Bool, wire: WirePrecision) async throws {
    // More than one cell for each segment.
    let elements = 20 * StepExchange.cellMax + 12_345
    let log = Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() })
    let members = try (0..<3).map {
      try SumMember(
        index: $0, members: 3, elements: elements, desk: "tcp://127.0.0.1:1", wire: wire,
        isPlain: isPlain, isLocal: isLocal, log: log)
    }
    for member in members { await member.meet(members.map(\.address)) }
    for round in 1...3 {
      try await withThrowingTaskGroup(of: Void.self) { summing in
        for member in members { summing.addTask { _ = try await member.sum(round: round) } }
        try await summing.waitForAll()
      }
      for member in members { #expect(await member.check()) }
    }
    for member in members { await member.close() }
  }
}
