import Domain
import Executors
import Foundation
import Hashing
import Logging
import Scheduling
import Store

/// Prepares the run, then does what the machine asks for, one thing after the other, until the run
/// is over. Hashing data sets and writing reports waits for the disk on a thread of its own.
actor Office {
  private let executor = ThreadExecutor(label: "office")
  nonisolated var unownedExecutor: UnownedSerialExecutor {
    executor.asUnownedSerialExecutor()
  }

  private let options: CoordinatorOptions
  private let folder: RunFolder
  private let settings: RunSettings
  private let store: RunStore
  private let inventory: Inventory
  private let loop: ClusterLoop
  private let log: Logger
  private var report: ReportWriter?

  init(
    options: CoordinatorOptions, folder: RunFolder, settings: RunSettings, store: RunStore,
    inventory: Inventory, loop: ClusterLoop, log: Logger
  ) {
    self.options = options
    self.folder = folder
    self.settings = settings
    self.store = store
    self.inventory = inventory
    self.loop = loop
    self.log = log
  }

  func run(_ requests: AsyncStream<Request>) async throws -> RunEnd {
    let cluster = options.settings
    let prepared = try Preparation(
      settings: cluster, inventory: inventory, blobs: store.blobs, log: log
    ).read(begun: try store.phase() != .preparing && inventory.isWhole)
    let report = ReportWriter(
      folder: folder, settings: cluster, configText: options.configText, input: prepared.input,
      store: store)
    self.report = report
    let clerk = RunClerk(
      settings: cluster, run: settings, store: store, inventory: inventory,
      examinations: prepared.examinations, log: log)
    try await loop.turn(.prepared(prepared.input, pool: prepared.pool))
    try report.write()
    for await request in requests {
      switch request {
      case .lookUp, .recall: preconditionFailure("the loop answers these itself")
      case .buildDataset(let training):
        try report.write()
        try await loop.turn(clerk.dataset(training))
      case .writeManifest(let training, let step, let segments):
        try await loop.turn(clerk.manifest(training, step: step, segments))
      case .scoreEvaluation(let subject, let set, let iteration):
        try await loop.turn(clerk.score(subject, set: set, iteration: iteration))
        try report.write()
      case .finish(let completion):
        log.info("the run is over: \(completion)")
        try saveStudents()
        return .finished(report: folder.report)
      }
    }
    throw CancellationError()
  }

  /// Writes the report of a run that has ended, once nothing changes the store any more: a worker
  /// may join or leave while the end is being told.
  func writeLastReport() throws { try report?.write() }

  /// Lays out every iteration's student as a folder; the last one also as `student`.
  private func saveStudents() throws {
    for training in try store.trainings() {
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
