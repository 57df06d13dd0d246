import Domain
import Foundation
import Hashing
import Testing

@testable import Coordinator
@testable import Store

@Suite("The report of a run")
struct RunReportTests {
  private static let golden = URL(filePath: #filePath).deletingLastPathComponent()
    .deletingLastPathComponent().appending(path: "Fixtures/Coordinator/report.json")

  private static func score(_ subject: String, iteration: Int, correct: Int) -> EvaluationScore {
    EvaluationScore(
      subject: subject, set: 0, iteration: iteration, items: 8, correct: correct,
      categories: [
        CategoryScore(name: "colour", items: 4, correct: correct),
        CategoryScore(name: "count", items: 4, correct: 0),
      ])
  }

  private static func training(_ iteration: Int, steps: Int) -> TrainingFacts {
    TrainingFacts(
      steps: steps, lossFirst: 2.5, lossLast: 0.75,
      export: TrainingExport(
        training: TrainingID(iteration: iteration), model: Digest(hashing: "model".utf8),
        weights: Digest(hashing: "weights \(iteration)".utf8)))
  }

  /// A run of two iterations, the second one under way; every number is another one.
  private static func facts() -> ReportFacts {
    let start = Date(timeIntervalSince1970: 1_767_225_600)
    return ReportFacts(
      phase: .tuning(iteration: 2), pretraining: training(0, steps: 38),
      iterations: [
        IterationFacts(
          index: 1, tuning: training(1, steps: 25),
          assessment: AssessmentFacts(
            instructions: 400, judged: 320, unparsed: 80, orderConsistent: 280, difficult: 120,
            easy: 200),
          augmentation: AugmentationFacts(
            asked: 240, accepted: 199, rejectedRougeL: 30, rejectedEmpty: 4, rejectedForm: 6,
            failed: 1),
          tuningPool: 400, cachePool: 599,
          evaluations: [
            score("student", iteration: 1, correct: 3),
            score("student-blind", iteration: 1, correct: 1),
          ]),
        IterationFacts(
          index: 2, tuning: nil,
          assessment: AssessmentFacts(
            instructions: 0, judged: 0, unparsed: 0, orderConsistent: 0, difficult: 0, easy: 0),
          augmentation: AugmentationFacts(
            asked: 0, accepted: 0, rejectedRougeL: 0, rejectedEmpty: 0, rejectedForm: 0, failed: 0),
          tuningPool: 199, cachePool: 599, evaluations: []),
      ],
      firstEvaluations: [score("teacher", iteration: 0, correct: 4)],
      jobs: JobFacts(
        created: 1_600, accepted: 1_500, reused: 50, attempts: 1_510, reassigned: 10, failures: 7,
        duplicatesCompared: 3, duplicatesDiffering: 0, quarantined: 2, lost: 0),
      workers: [
        WorkerFacts(
          worker: WorkerID(name: "w1", boot: 7), kernelSet: "SkylakeX", joined: start,
          left: start.addingTimeInterval(100), reason: "said goodbye", jobs: 900,
          busy: .seconds(25)),
        WorkerFacts(
          worker: WorkerID(name: "w2", boot: 8), kernelSet: "SkylakeX",
          joined: start.addingTimeInterval(50), left: nil, reason: nil, jobs: 600,
          busy: .seconds(75)),
      ])
  }

  /// The file is what outsiders rely on, and what `ReportTests` reads. When the contract changes on
  /// purpose, what this test says it got becomes the file.
  @Test("is written to the letter as the contract has it")
  func golden() throws {
    let report = RunReport(
      run: "demo", configSha256: Digest(hashing: "config".utf8).hex, kernelSet: "SkylakeX",
      facts: Self.facts(), sets: ["shapes"], pairs: 600, studentPath: "runs/demo/student",
      now: Date(timeIntervalSince1970: 1_767_225_800))
    let written = String(decoding: try ReportWriter.json(report), as: UTF8.self)
    let expected = try String(contentsOf: Self.golden, encoding: .utf8)
    #expect(written + "\n" == expected)
  }
}
