import Domain
import Foundation
import Hashing
import Scheduling
import Settings
import Store

/// The version of this program, as `comd --version`, reports and manifests name it.
public let comdVersion = "0.1.0"

/// Writes `report.json` and `manifest.json` into a run's folder, each aside and then in place.
struct ReportWriter {
  let folder: RunFolder
  let settings: ClusterSettings
  let configText: String
  let input: RunInput
  let store: RunStore

  /// What is in the store now: during a run, of the part that is done.
  func write() throws {
    let kernelSet = try store.kernelSet()
    try writeManifest(kernelSet: kernelSet)
    let report = RunReport(
      run: settings.run, configSha256: Digest(hashing: configText.utf8).hex,
      kernelSet: kernelSet, facts: try store.reportFacts(),
      sets: settings.evaluate.map(\.name.rawValue),
      pairs: try store.fact(Fact.pairs).flatMap { Int($0) } ?? 0, studentPath: folder.student,
      now: Date())
    try write(report, to: folder.report)
  }

  /// What the run was made from: settings, models, versions. Its kernel set is that of the first
  /// worker, unknown until there is one.
  private func writeManifest(kernelSet: String?) throws {
    struct Manifest: Encodable {
      var run: String
      var version: String
      var config: String
      var teacher: String
      var student: String
      var kernelSet: String?
    }
    try write(
      Manifest(
        run: settings.run, version: comdVersion, config: configText, teacher: input.teacher.hex,
        student: input.student.hex, kernelSet: kernelSet), to: folder.manifest)
  }

  private func write(_ value: some Encodable, to path: String) throws {
    try Self.json(value).write(to: URL(filePath: path), options: .atomic)
  }

  static func json(_ value: some Encodable) throws -> Data {
    let encoder = JSONEncoder()
    encoder.keyEncodingStrategy = .convertToSnakeCase
    encoder.dateEncodingStrategy = .iso8601
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    return try encoder.encode(value)
  }
}
