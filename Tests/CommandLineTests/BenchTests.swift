import Foundation
import TestSupport
import Testing

@testable import CommandLineTool

@Suite("A measurement", .timeLimit(.minutes(5)))
struct BenchTests {
  struct Row: Decodable {
    var bench: String
    var value: Double
    var unit: String
    var low: Double
    var high: Double
    var runs: Int
    var threads: Int
    var gflops: Double
    var peakGflops: Double
    var share: Double
    var peakMemoryBytes: Int64
    var generating: Double?
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
    let decoder = JSONDecoder()
    decoder.keyDecodingStrategy = .convertFromSnakeCase
    return try decoder.decode(Row.self, from: Data(end.output.utf8))
  }

  @Test("of the all-reduce gives the median with its spread", arguments: [["--plain"], []])
  func allReduce(security: [String]) async throws {
    let words = ["allreduce", "--bytes", "1MiB", "--workers", "3", "--threads", "1"] + security
    let row = try await measure(words)
    #expect(row.bench == "allreduce" && row.unit == "sums/s" && row.runs == 3)
    #expect(0 < row.low && row.low <= row.value && row.value <= row.high)
  }

  @Test("of judgements gives them a second, with caches and without", arguments: [true, false])
  func judge(caches: Bool) async throws {
    let words = [
      "judge", "--model", repository.appending(path: "Models/shapes/teacher").path,
      "--instructions", "2", "--words", "4", "--generate", "2", "--threads", "1",
    ]
    let row = try await measure(caches ? words : words + ["--no-caches"])
    #expect(row.bench == "judge" && row.unit == "judgement/s" && row.runs == 3)
    #expect(0 < row.low && row.low <= row.value && row.value <= row.high)
  }

  @Test("of the dispatch gives jobs a second")
  func dispatch() async throws {
    let row = try await measure(["dispatch", "--jobs", "300", "--workers", "2"])
    #expect(row.bench == "dispatch" && row.unit == "jobs/s" && row.runs == 3)
    #expect(row.value > 1)
  }

  @Test("of computing tells its share of what this processor can do, and its memory")
  func computing() async throws {
    let student = repository.appending(path: "Models/shapes/student").path
    let folder = try TemporaryFolder()
    _ = try folder.write(
      "config.json",
      Array(
        """
        {"model_type": "dinov2", "hidden_size": 32, "num_hidden_layers": 3, "patch_size": 14,
         "num_attention_heads": 2, "image_size": 28}
        """.utf8))
    for words in [
      ["prefill", "--model", student, "--length", "40"],
      ["decode", "--model", student, "--requests", "3", "--prompt", "9", "--generate", "5"],
      ["vision", "--model", student, "--batch", "2"],
      ["vision", "--tower", folder.path(""), "--side", "28", "--batch", "2"],
    ] {
      let row = try await measure(words + ["--threads", "2"])
      #expect(row.bench == words[0] && row.threads == 2)
      #expect(0 < row.low && row.low <= row.value && row.value <= row.high)
      #expect(row.gflops > 0 && row.gflops < row.peakGflops)
      #expect(abs(row.share - row.gflops / row.peakGflops) < 1e-9)
      #expect(row.peakMemoryBytes > 1 << 20)
      #expect((row.generating != nil) == (row.bench == "decode"))
    }
  }

  @Test("of pictures is of one thread, whatever is asked for")
  func image() async throws {
    let pictures = fixture("Formats") + "/images"
    let row = try await measure(
      ["image", "--images", pictures, "--count", "3", "--side", "32", "--threads", "2"])
    #expect(row.bench == "image" && row.unit == "img/s" && row.threads == 1)
    #expect(0 < row.low && row.low <= row.value && row.value <= row.high)
  }
}
