import Foundation

/// `RUN/report.json` as it is read here. What a run has not reached yet is absent.
struct ReportFile: Codable, Equatable {
  struct Pretraining: Codable, Equatable {
    var pairs: Int
    var steps: Int
    var lossFirst: Double?
    var lossLast: Double?
  }

  struct Iteration: Codable, Equatable {
    var index: Int
    var tuning: Tuning?
    var assessment: Assessment?
    var augmentation: Augmentation?
    var pools: Pools?
    var evaluation: Evaluation?
    /// Of everybody on every examination, where the report says so.
    var evaluations: [Evaluation]?
  }

  struct Tuning: Codable, Equatable {
    var instructions: Int
    var steps: Int
    var lossFirst: Double?
    var lossLast: Double?
    var weightsSha256: String?
  }

  struct Assessment: Codable, Equatable {
    var instructions: Int
    var judged: Int
    var unparsed: Int
    var orderConsistent: Double?
    var difficult: Int
    var easy: Int
  }

  struct Augmentation: Codable, Equatable {
    var asked: Int
    var accepted: Int
    var rejectedRougeL: Int
    var rejectedEmpty: Int
    var rejectedForm: Int
  }

  struct Pools: Codable, Equatable {
    var tuning: Int
    var cache: Int
  }

  /// Shares of right answers, 0…1.
  struct Evaluation: Codable, Equatable {
    /// Who was examined: `student`, `student-blind` or `teacher`; absent means the student.
    var subject: String?
    /// The examination's name.
    var set: String?
    var items: Int?
    var accuracy: Double
    var byCategory: [String: Double]?
  }

  struct Jobs: Codable, Equatable {
    var accepted: Int
    var attempts: Int
    var reassigned: Int
    var duplicatesCompared: Int
    var duplicatesDiffering: Int
    var quarantined: Int
    var lost: Int
  }

  struct Worker: Codable, Equatable {
    var name: String
    var joined: String?
    var left: String?
    var jobs: Int
    /// Share of its time that it computed, 0…1.
    var busy: Double
  }

  struct Student: Codable, Equatable {
    var path: String
    var weightsSha256: String?
  }

  var run: String
  var configSha256: String?
  var kernelSet: String?
  var version: String?
  var pretraining: Pretraining?
  /// After stage 1, before the first iteration.
  var firstEvaluations: [Evaluation]?
  var iterations: [Iteration]
  var jobs: Jobs?
  var workers: [Worker]?
  var student: Student?

  /// Reads the report of a run.
  ///
  /// - Throws: `CommandError` that says what is there instead.
  init(runFolder: String) throws {
    let path = URL(fileURLWithPath: runFolder).appendingPathComponent("report.json").path
    guard let data = FileManager.default.contents(atPath: path) else {
      throw CommandError.failed(
        "there is no \(path): the run has not reached its first report, or this is no run's folder")
    }
    try self.init(json: data, path: path)
  }

  init(json: Data, path: String) throws {
    do {
      let decoder = JSONDecoder()
      decoder.keyDecodingStrategy = .convertFromSnakeCase
      self = try decoder.decode(ReportFile.self, from: json)
    } catch {
      throw CommandError.failed("\(path) is no report of a run: \(error)")
    }
  }

  /// The student's examinations in order: after stage 1 (0) and after each iteration.
  var examinations: [(iteration: Int, evaluation: Evaluation)] {
    let set = iterations.lazy.compactMap { $0.evaluation?.set }.first
    let first = firstEvaluations?.first {
      $0.subject == "student" && (set == nil || $0.set == set)
    }
    return (first.map { [(0, $0)] } ?? [])
      + iterations.compactMap { iteration in
        iteration.evaluation.map { (iteration.index, $0) }
      }
  }

  /// Those of others than the student, who are examined once: the teacher, the blind student.
  var baselines: [Evaluation] {
    let set = examinations.first?.evaluation.set
    return (firstEvaluations ?? []).filter { $0.subject != "student" && $0.set == set }
  }

  /// Every category that any evaluation names, sorted.
  var categories: [String] {
    let all = examinations.map(\.evaluation) + baselines
    return Set(all.flatMap { $0.byCategory?.keys.map(\.self) ?? [] }).sorted()
  }
}
