import Logging
import Testing

@testable import Worker

@Suite("A sum over members without a training")
struct SumMemberTests {
  @Test("is exact at every member, round after round", arguments: [true, false])
  func exact(isPlain: Bool) async throws {
    // More than one piece for each segment.
    let elements = 3 * StepExchange.pieceCount + 12_345
    let log = Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() })
    let members = try (0..<2).map {
      try SumMember(
        index: $0, members: 2, elements: elements, threads: 1, isPlain: isPlain, log: log)
    }
    try await withThrowingTaskGroup(of: Void.self) { group in
      for member in members { group.addTask { await member.run() } }
      for member in members { try await member.connect(to: members.map(\.address)) }
      for round in 1...3 {
        await withTaskGroup(of: Void.self) { summing in
          for member in members { summing.addTask { await member.sum(round: round) } }
        }
        for member in members { #expect(await member.check()) }
      }
      group.cancelAll()
    }
  }
}
