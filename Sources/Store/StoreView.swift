public import Domain
import Foundation
import GRDB

/// A run's store, read while a coordinator may work on it: nothing is written, migrated or locked.
public final class StoreView: Sendable {
  private let path: String
  /// Where the run keeps its blobs.
  public let blobFolder: String
  private let queue: DatabaseQueue

  /// - Throws: `StoreError` where there is no run.
  public init(runFolder: String) throws(StoreError) {
    let path = runFolder + "/run.sqlite"
    self.path = path
    blobFolder = runFolder + "/blobs"
    queue = try naming(path) {
      var configuration = storeConfiguration
      configuration.readonly = true
      return try DatabaseQueue(path: path, configuration: configuration)
    }
  }

  /// The result of a job, if it has one.
  public func acceptedResult(of job: JobID) throws(StoreError) -> AcceptedResult? {
    try read { try $0.acceptedResult(of: job) }
  }

  /// The run's first instructions; nil when there are fewer.
  public func instructions(first count: Int) throws(StoreError) -> [Instruction]? {
    let all = try read { try $0.instructions().0 }
    return all.count < count ? nil : Array(all.prefix(count))
  }

  /// Events that the run's machine had been handed at the last commit that said so.
  public func machineEvents() throws(StoreError) -> Int64 {
    try read { try $0.fact(machineEventsFact) }.flatMap { Int64($0) } ?? 0
  }

  /// All trainings that were begun, in the order of their iterations.
  public func trainings() throws(StoreError) -> [RestoredTraining] {
    try read { try $0.trainings() }
  }

  /// The losses of a training's committed steps, by step.
  public func losses(of training: TrainingID) throws(StoreError) -> [Int: Double] {
    try read { try $0.losses(of: training) }
  }

  private func read<Value>(
    _ body: (RunReader) throws -> Value
  ) throws(StoreError) -> Value {
    try naming(path) { try queue.read { db in try body(RunReader(db: db)) } }
  }
}

extension RunReader {
  /// The result of a job, if it has one.
  func acceptedResult(of job: JobID) throws -> AcceptedResult? {
    let holders = try rows(
      db,
      """
      SELECT w.name FROM attempts a JOIN workers w ON w.id = a.worker WHERE a.job = ?
      ORDER BY a.attempt
      """, [job.number]
    ) { try $0.text(0) }
    return try rows(
      db,
      """
      SELECT j.address, coalesce(s.accepted_attempt, 0), r.stop, r.prompt_tokens, r.text,
        r.tokens
      FROM job_states s JOIN jobs j ON j.id = s.job JOIN results r ON r.id = s.result
      WHERE s.job = ? AND s.state = 2
      """, [job.number]
    ) { fields in
      AcceptedResult(
        address: try fields.digest(0), attempt: try fields.integer(1), givenTo: holders,
        result: try fields.result(from: 2))
    }.first
  }

  func losses(of training: TrainingID) throws -> [Int: Double] {
    let losses = try rows(
      db, "SELECT step, loss FROM steps WHERE training = ? AND loss IS NOT NULL",
      [training.iteration]
    ) { (try $0.integer(0), try $0.real(1)) }
    return Dictionary(losses, uniquingKeysWith: { first, _ in first })
  }

  func fact(_ key: String) throws -> String? {
    try rows(db, "SELECT value FROM facts WHERE key = ?", [key]) { try $0.text(0) }.first
  }
}
