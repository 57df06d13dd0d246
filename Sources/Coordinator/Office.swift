import Domain
import Foundation
import Hashing
import Logging
import Scheduling
import Store

/// Prepares the run, then does what the machine asks for, one thing after the other, until the run
/// is over.
struct Office: Sendable {
  let options: CoordinatorOptions
  let folder: RunFolder
  let run: RunSettings
  let store: RunStore
  let inventory: Inventory
  let loop: ClusterLoop
  let log: Logger

  func run(_ requests: AsyncStream<Request>) async throws -> RunEnd {
    let settings = options.settings
    let prepared = try Preparation(
      settings: settings, inventory: inventory, blobs: store.blobs, log: log
    ).read()
    let report = ReportWriter(
      folder: folder, settings: settings, configText: options.configText, store: store)
    try report.writeManifest(prepared.input)
    let clerk = RunClerk(
      settings: settings, run: run, store: store, inventory: inventory,
      examinations: prepared.examinations, log: log)
    try await loop.turn(.prepared(prepared.input, pool: prepared.pool))
    for await request in requests {
      switch request {
      case .lookUp: preconditionFailure("the loop answers look-ups itself")
      case .buildDataset(let training):
        try report.write()
        try await loop.turn(clerk.dataset(training))
      case .scoreEvaluation(let subject, let set, let iteration):
        try await loop.turn(clerk.score(subject, set: set, iteration: iteration))
        try report.write()
      case .finish(let completion):
        log.info("the run is over: \(completion)")
        try saveStudents()
        try report.write()
        return .finished(report: folder.report)
      }
    }
    throw CancellationError()
  }

  /// Lays out every iteration's student as a folder; the last one also as `student`.
  private func saveStudents() throws {
    for training in try store.restore().trainings.sorted(by: { $0.plan.training < $1.plan.training }
    ) {
      guard let export = training.export else { continue }
      let manifest = try ModelManifest(parsing: store.blobs.read(export.model))
      for place in [folder.student(iteration: training.plan.training.iteration), folder.student] {
        try? FileManager.default.removeItem(atPath: place)
        try FileManager.default.createDirectory(
          atPath: URL(filePath: place).deletingLastPathComponent().path,
          withIntermediateDirectories: true)
        try store.blobs.materialize(manifest, at: place)
      }
    }
  }
}
