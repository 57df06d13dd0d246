import Foundation

/// The places in a run's folder. README.md tells users what each is.
struct RunFolder: Sendable {
  let path: String

  var report: String { path + "/report.json" }
  var manifest: String { path + "/manifest.json" }
  var inventory: String { path + "/inventory.tsv" }
  /// What the run's machine was handed, for `comd simulate --replay`.
  var journal: String { path + "/journal" }
  var pieces: String { path + "/pieces" }
  /// Who coordinates this run now and where: for `comd status` and its like.
  var presence: String { path + "/coordinator.json" }
  var student: String { path + "/student" }
  func student(iteration: Int) -> String { path + "/students/\(iteration)" }
}

/// What `coordinator.json` says while a coordinator lives.
struct Presence: Codable, Sendable {
  var pid: Int32
  var control: String
  var keys: String
}
