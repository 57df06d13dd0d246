import Foundation
import Testing

@testable import CommandLineTool

@Suite("A measurement with processes", .timeLimit(.minutes(2)))
struct BenchTests {
  struct Row: Decodable {
    var bench: String
    var value: Double
    var unit: String
    var low: Double
    var high: Double
    var runs: Int
  }

  func measure(_ words: [String]) async throws -> Row {
    let folder = FileManager.default.temporaryDirectory
      .appending(path: "comd-bench-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    let end = try await ComdProcess(
      ["bench"] + words + ["--runs", "3", "--json"], in: folder.path
    ).end()
    #expect(end.status == 0)
    return try JSONDecoder().decode(Row.self, from: Data(end.output.utf8))
  }

  @Test("of the all-reduce gives the median with its spread", arguments: [["--plain"], []])
  func allReduce(security: [String]) async throws {
    let words = ["allreduce", "--bytes", "1MiB", "--workers", "3", "--threads", "1"] + security
    let row = try await measure(words)
    #expect(row.bench == "allreduce" && row.unit == "ms" && row.runs == 3)
    #expect(0 < row.low && row.low <= row.value && row.value <= row.high)
  }

  @Test("of the dispatch gives jobs a second")
  func dispatch() async throws {
    let row = try await measure(["dispatch", "--jobs", "300", "--workers", "2"])
    #expect(row.bench == "dispatch" && row.unit == "jobs/s" && row.runs == 3)
    #expect(row.value > 1)
  }
}
