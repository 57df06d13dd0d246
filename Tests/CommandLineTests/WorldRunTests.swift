import Foundation
import Testing

@testable import CommandLineTool

private let top = URL(filePath: #filePath).deletingLastPathComponent()
  .deletingLastPathComponent().deletingLastPathComponent().path

@Suite("A run on the embedded world, with the models that are shipped", .timeLimit(.minutes(5)))
struct WorldRunTests {
  @Test("judges, tells difficult from easy, asks anew, and learns from what it asked")
  func twoIterations() async throws {
    let folder = NSTemporaryDirectory() + "world-run-\(UUID().uuidString)"
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(atPath: folder) }
    func comd(_ words: String...) async throws {
      #expect(try await ComdProcess(words, in: folder).end().status == 0)
    }
    let run = folder + "/run"
    try await comd(
      "shapes", "sample", "--count", "8", "--questions", "3", "--captions", "48", "--evaluation",
      "1", "--out", folder + "/data")
    try await comd(
      "run", "--config", try settings(in: folder, data: folder + "/data"), "--dir", run,
      "--workers", "2")

    let report = try ReportFile(runFolder: run)
    #expect(report.iterations.count == 2)
    let first = try #require(report.iterations.first)
    let second = try #require(report.iterations.last)
    let judged = try #require(first.assessment)
    #expect(judged.instructions == 24 && judged.judged + judged.unparsed == 24)
    #expect(judged.judged >= 22)
    #expect(judged.difficult > 0 && judged.difficult + judged.easy == judged.judged)
    let asked = try #require(first.augmentation)
    #expect(asked.asked == judged.difficult + min(judged.difficult, judged.easy))
    #expect(asked.accepted > 0)
    #expect(first.pools == .init(tuning: 24, cache: 24 + asked.accepted))
    // The tuning pool is replaced, the cache pool keeps everything.
    #expect(second.tuning?.instructions == asked.accepted)
    #expect(second.assessment?.instructions == 24 + asked.accepted)
    #expect(second.pools?.cache == 24 + asked.accepted)

    // One answer of the teacher for each instruction, though it is judged in both iterations; only
    // a judgement that could not be parsed is asked for again.
    let examined =
      (report.firstEvaluations ?? []) + report.iterations.flatMap { $0.evaluations ?? [] }
    let assessed = 24 + (24 + asked.accepted)
    let needed =
      (24 + asked.accepted) + assessed + 2 * assessed + asked.asked
      + examined.reduce(0) { $0 + ($1.items ?? 0) }
    let accepted = try #require(report.jobs?.accepted)
    #expect((needed..<needed + 24).contains(accepted))

    let manifest = try JSONDecoder().decode(
      Manifest.self, from: try Data(contentsOf: URL(filePath: run + "/manifest.json")))
    #expect(!manifest.kernel_set.isEmpty)
    #expect(manifest.kernel_set == report.kernelSet)
  }

  private struct Manifest: Decodable { var kernel_set: String }

  /// The demo's settings, over two iterations and with data of its own.
  private func settings(in folder: String, data: String) throws -> String {
    let demo = top + "/Examples/shapes"
    let text = try String(contentsOfFile: demo + "/cluster.yaml", encoding: .utf8)
      .replacing("../../runs/shapes-data", with: data)
      .replacing("../../Models", with: top + "/Models")
      .replacing("prompts: prompts", with: "prompts: \(demo)/prompts")
      .replacing("iterations: 4", with: "iterations: 2")
    let path = folder + "/cluster.yaml"
    try text.write(toFile: path, atomically: true, encoding: .utf8)
    return path
  }
}
