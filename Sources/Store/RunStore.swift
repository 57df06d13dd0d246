public import Domain
public import Foundation
import GRDB
public import Hashing
import Synchronization

/// The memory of a run: everything in its folder that must survive the process and the power.
///
/// - `run.sqlite`: SQLite in WAL mode with `synchronous = FULL`; a commit is one transaction and
///   one fsync.
/// - `blobs/`: what is large, by its SHA-256.
/// - `lock`: held while the store is open; one process at a time.
public final class RunStore: Sendable {
  public let folder: String
  public let blobs: BlobFolder
  private let path: String
  let pool: DatabasePool
  private let lock: Mutex<FolderLock?>
  /// Rows of workers that are known to be committed.
  private let workers = Mutex<[WorkerID: Int64]>([:])

  /// Opens the folder, or makes it, and brings an older schema up to date.
  public init(folder: String) throws(StoreError) {
    let path = folder + "/run.sqlite"
    try naming(folder) {
      try FileManager.default.createDirectory(
        atPath: folder, withIntermediateDirectories: true)
    }
    let lock = try holding(folder)
    let pool = try naming(path) { try openDatabase(path, folder: folder) }
    self.folder = folder
    self.path = path
    self.pool = pool
    self.lock = Mutex(lock)
    blobs = try naming(folder) { try BlobFolder(path: folder + "/blobs") }
  }

  /// Applies all changes in one transaction; they are durable on return. A change that was applied
  /// before does nothing.
  ///
  /// - Parameters:
  ///   - journal: events that are to be kept with them.
  ///   - machineEvents: what the run's machine was handed so far, in all; nil leaves the number.
  ///   - time: when leases, results and joins are said to have happened.
  /// - Precondition: an accepted report carries a result, a failed one a failure.
  public func commit(
    _ changes: [Change], journal: [JournalEvent] = [], machineEvents: Int64? = nil,
    at time: Date = Date()
  ) throws(StoreError) {
    if changes.isEmpty && journal.isEmpty { return }
    let known = workers.withLock { $0 }
    let now = time.milliseconds
    let after = try naming(path) {
      try pool.write { db in
        var writer = ChangeWriter(db: db, now: now, workers: known)
        for change in changes { try writer.write(change) }
        for event in journal { try insert(event, db) }
        if let machineEvents { try write(fact: machineEventsFact, "\(machineEvents)", db) }
        return writer.workers
      }
    }
    if after.count > known.count { workers.withLock { $0 = after } }
  }

  /// All that the machines need to go on; the preparing phase and nothing else in a new folder.
  ///
  /// The pool is read beside the rest, by two threads: nothing may be committed meanwhile.
  public func restore() throws(StoreError) -> RestoredRun {
    try naming(path) {
      let pool = pool
      let instructions = Mutex(Result<([Instruction], [Int]), any Error>.success(([], [])))
      let run = Mutex(Result<RestoredRun, any Error>.success(RestoredRun()))
      DispatchQueue.concurrentPerform(iterations: 2) { part in
        if part == 0 {
          let read = Result { try pool.read { db in try RunReader(db: db).instructions() } }
          instructions.withLock { $0 = read }
        } else {
          let read = Result { try pool.read { db in try RunReader(db: db).restoreButPool() } }
          run.withLock { $0 = read }
        }
      }
      var restored = try run.withLock { try $0.get() }
      (restored.instructions, restored.tuningIteration) = try instructions.withLock {
        try $0.get()
      }
      return restored
    }
  }

  /// The instructions whose tuning is that of `iteration`, with the texts of the teacher's answers;
  /// those without an answer are left out.
  public func answered(iteration: Int) throws(StoreError) -> [(Instruction, answer: String)] {
    try naming(path) {
      try pool.read { db in try RunReader(db: db).answered(iteration: iteration) }
    }
  }

  /// What a subject answered to a set: texts by item.
  public func answers(
    of subject: EvaluationSubject, set: Int, iteration: Int
  ) throws(StoreError) -> [Int: String] {
    try naming(path) {
      try pool.read { db in
        let found = try rows(
          db,
          """
          SELECT j.item, r.text
          FROM jobs j JOIN job_states s ON s.job = j.id JOIN results r ON r.id = s.result
          WHERE j.iteration = ? AND j.subject = ? AND j.eval_set = ? AND s.state = 2
          """, [iteration, subject.rawValue, set]
        ) { (try $0.integer(0), try $0.text(1)) }
        return Dictionary(found, uniquingKeysWith: { first, _ in first })
      }
    }
  }

  /// Counts everything anew.
  public func reportFacts() throws(StoreError) -> ReportFacts {
    try naming(path) { try pool.read { db in try RunReader(db: db).reportFacts() } }
  }

  /// The result of a job, if it has one.
  public func acceptedResult(of job: JobID) throws(StoreError) -> AcceptedResult? {
    try naming(path) { try pool.read { db in try RunReader(db: db).acceptedResult(of: job) } }
  }

  /// What a copy of the database takes on the disk.
  public func databaseBytes() throws(StoreError) -> Int64 {
    try naming(path) {
      try pool.read { db in
        let sql = "SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()"
        return Int64(try count(db, sql))
      }
    }
  }

  /// Copies the run's database, as it is between two commits.
  ///
  /// - Parameter target: a file that is written over.
  public func copyDatabase(to target: String) throws(StoreError) {
    try naming(target) {
      if FileManager.default.fileExists(atPath: target) {
        try FileManager.default.removeItem(atPath: target)
      }
      try copyFile(ofDatabase: path, to: target)
    }
  }

  public func phase() throws(StoreError) -> RunPhase {
    try naming(path) { try pool.read { db in try RunReader(db: db).phase() } }
  }

  /// The trainings that were begun, in their order.
  public func trainings() throws(StoreError) -> [RestoredTraining] {
    try naming(path) { try pool.read { db in try RunReader(db: db).trainings() } }
  }

  /// The accepted result of a request, whichever job it came from.
  public func result(for address: Digest) throws(StoreError) -> GenerationResult? {
    try results(for: [address])[address]
  }

  /// The accepted results of these requests; unknown ones are left out.
  public func results(
    for addresses: [Digest]
  ) throws(StoreError) -> [Digest: GenerationResult] {
    try naming(path) {
      try pool.read { db in
        let sql = "SELECT stop, prompt_tokens, text, tokens FROM results WHERE address = ?"
        var found: [Digest: GenerationResult] = [:]
        for address in addresses {
          found[address] = try rows(db, sql, [address.data]) { try $0.result(from: 0) }.first
        }
        return found
      }
    }
  }

  /// Takes over the results of another run, so that equal requests are not generated again.
  /// - Returns: how many were new.
  public func importResults(from other: String) throws(StoreError) -> Int {
    let source = other + "/run.sqlite"
    return try naming(source) {
      try pool.writeWithoutTransaction { db in
        try db.execute(sql: "ATTACH DATABASE ? AS other", arguments: ["file:\(source)?mode=ro"])
        defer { try? db.execute(sql: "DETACH DATABASE other") }
        try db.execute(
          sql: """
            INSERT OR IGNORE INTO results (address, at, stop, prompt_tokens, text, tokens)
            SELECT address, at, stop, prompt_tokens, text, tokens FROM other.results
            """)
        return db.changesCount
      }
    }
  }

  // Facts: short texts by name, like the digest of the settings.

  public func setFact(_ key: String, _ value: String) throws(StoreError) {
    try naming(path) { try pool.write { db in try write(fact: key, value, db) } }
  }

  /// Events that the run's machine had been handed at the last commit that said so.
  public func machineEvents() throws(StoreError) -> Int64 {
    try fact(machineEventsFact).flatMap { Int64($0) } ?? 0
  }

  public func fact(_ key: String) throws(StoreError) -> String? {
    try naming(path) { try pool.read { db in try RunReader(db: db).fact(key) } }
  }

  /// The kernel set of the first worker that joined: the run's from then on. Nil before.
  public func kernelSet() throws(StoreError) -> String? {
    try naming(path) {
      try pool.read { db in
        try rows(
          db, "SELECT kernel_set FROM workers WHERE kernel_set IS NOT NULL ORDER BY id LIMIT 1", []
        ) { try $0.text(0) }.first
      }
    }
  }

  // The journal.

  /// Keeps events in a transaction of their own; `commit` takes them along more cheaply.
  public func record(_ events: [JournalEvent]) throws(StoreError) {
    try commit([], journal: events)
  }

  /// Events after the one with this number, oldest first.
  public func events(
    after number: Int64, limit: Int
  ) throws(StoreError) -> [JournalEntry] {
    try naming(path) {
      try pool.read { db in
        try rows(
          db, "SELECT id, at, kind, subject, words FROM events WHERE id > ? ORDER BY id LIMIT ?",
          [number, limit]
        ) { fields in
          JournalEntry(
            number: try fields.long(0),
            event: JournalEvent(
              at: Date(milliseconds: try fields.long(1)), kind: try fields.text(2),
              subject: try fields.text(3), words: try fields.text(4)))
        }
      }
    }
  }

  /// Ends all work with the folder and lets go of it.
  public func close() throws(StoreError) {
    try naming(path) { try pool.close() }
    lock.withLock { $0 = nil }
  }
}

/// The name of the fact.
let machineEventsFact = "machine_events"

private func write(fact key: String, _ value: String, _ db: Database) throws {
  try db.cachedStatement(sql: "INSERT OR REPLACE INTO facts VALUES (?, ?)")
    .execute(arguments: [column(key), column(value)])
}

private func insert(_ event: JournalEvent, _ db: Database) throws {
  try db.cachedStatement(
    sql: "INSERT INTO events (at, kind, subject, words) VALUES (?, ?, ?, ?)"
  ).execute(arguments: [
    event.at.milliseconds, column(event.kind), column(event.subject), column(event.words),
  ])
}

/// Who looks into a run with tools of his own may hold the file for a moment, most of all before it
/// is in WAL mode.
var storeConfiguration: Configuration {
  var configuration = Configuration()
  configuration.busyMode = .timeout(5)
  return configuration
}

private func openDatabase(_ path: String, folder: String) throws -> DatabasePool {
  var configuration = storeConfiguration
  configuration.prepareDatabase { db in
    // 64 MiB of pages, so that the index of the results stays in memory.
    try db.execute(sql: "PRAGMA cache_size = -65536")
  }
  let pool = try DatabasePool(path: path, configuration: configuration)
  try pool.writeWithoutTransaction { db in
    // GRDB sets NORMAL, which may lose the last transactions with the power.
    try db.execute(sql: "PRAGMA synchronous = FULL")
  }
  let migrator = migrations()
  if try pool.read({ db in try migrator.hasBeenSuperseded(db) }) {
    throw StoreError.newerVersion(folder: folder)
  }
  try migrator.migrate(pool)
  return pool
}
