import Domain
import Foundation
import GRDB
import Hashing
import Testing

@testable import Store

@Suite("A run of an older version")
struct VersionTests {
  /// What each version added to the first one.
  private static let added: [(version: String, columns: [(table: String, column: String)])] = [
    ("2", [("steps", "epoch")]),
    ("3", [("trainings", "recompute")]),
    ("4", [("trainings", "precision")]),
    (
      "5",
      [
        ("trainings", "adapter_rank"), ("trainings", "adapter_alpha"),
        ("trainings", "adapter_targets"),
      ]
    ),
    ("6", [("trainings", "replication"), ("steps", "tokens"), ("steps", "sum_of_squares")]),
    ("7", [("trainings", "wire")]),
  ]

  /// The run as a release that had only the versions up to this one would have left it.
  private func takeBack(_ folder: String, to version: Int) throws {
    let database = try DatabaseQueue(path: folder + "/run.sqlite")
    try database.write { db in
      for (later, columns) in Self.added.dropFirst(version - 1) {
        for (table, column) in columns {
          try db.execute(sql: "ALTER TABLE \(table) DROP COLUMN \(column)")
        }
        if later == "6" { try db.execute(sql: "DROP TABLE saved_segments") }
        try db.execute(
          sql: "DELETE FROM grdb_migrations WHERE identifier = ?", arguments: [later])
      }
    }
    try database.close()
  }

  /// What such a release did not know has the value that it had for it.
  private func asKnown(_ restored: RestoredRun, to version: Int) -> RestoredRun {
    var restored = restored
    restored.trainings = restored.trainings.map { training in
      var training = training
      if version < 3 { training.plan.recipe.recompute = false }
      if version < 4 { training.plan.recipe.precision = .f32 }
      if version < 5 { training.plan.recipe.adapters = nil }
      if version < 6 {
        training.plan.recipe.replication = 2
        training.lastTotals = nil
      }
      if version < 7 { training.plan.recipe.wire = .f32 }
      return training
    }
    return restored
  }

  @Test("is brought up to date with all that it has, and goes on", arguments: 1...7)
  func upgraded(version: Int) throws {
    var hasTrainings = false
    for seed: UInt64 in 60..<64 {
      let folder = newFolder()
      defer { try? FileManager.default.removeItem(atPath: folder) }
      var run = RandomRun(seed: seed)
      var store = try RunStore(folder: folder)
      for _ in 0..<40 { try store.commit(run.turn()) }
      let before = try store.restore()
      hasTrainings = hasTrainings || before.trainings.contains { $0.stepsCommitted > 0 }
      try store.close()
      try takeBack(folder, to: version)

      store = try RunStore(folder: folder)
      #expect(try store.restore() == asKnown(before, to: version))
      for (address, result) in run.model.results {
        #expect(try store.result(for: address) == result)
      }
      for _ in 0..<20 { try store.commit(run.turn()) }
      #expect(try asKnown(store.restore(), to: version) == asKnown(run.model.restored, to: version))
      try store.close()
    }
    #expect(hasTrainings)
  }

  @Test("of every version there has been is one of those above")
  func complete() {
    #expect(migrations().migrations == ["1"] + Self.added.map(\.version))
  }
}

@Suite("A copy of a run")
struct BackupTests {
  @Test("that goes on meanwhile is the run between two turns, blobs and all, and goes on itself")
  func running() throws {
    let (folder, target) = (newFolder(), newFolder())
    defer {
      try? FileManager.default.removeItem(atPath: folder)
      try? FileManager.default.removeItem(atPath: target)
    }
    var run = RandomRun(seed: 80)
    let store = try RunStore(folder: folder)
    for _ in 0..<30 { try store.commit(run.turn()) }
    let blob = try store.blobs.put(Array("picture".utf8))
    try Data("half".utf8).write(to: URL(filePath: folder + "/blobs/incoming/half"))
    try Data("1".utf8).write(to: URL(filePath: folder + "/pids.json"))
    try FileManager.default.createDirectory(
      atPath: folder + "/workers/w1", withIntermediateDirectories: true)
    try Data("result".utf8).write(to: URL(filePath: folder + "/workers/w1/spool"))
    // The owner holds the lock and the database meanwhile, with turns in the log.
    try RunStore.backup(of: folder, to: target)
    let then = run
    for _ in 0..<10 { try store.commit(run.turn()) }

    let copy = try RunStore(folder: target)
    #expect(try copy.restore() == then.model.restored)
    #expect(try copy.blobs.read(blob) == Array("picture".utf8))
    for name in ["/blobs/incoming/half", "/pids.json", "/workers/w1/spool"] {
      #expect(!FileManager.default.fileExists(atPath: target + name), "\(name)")
    }
    var own = then
    for _ in 0..<10 { try copy.commit(own.turn()) }
    #expect(try copy.restore() == own.model.restored)
    #expect(try store.restore() == run.model.restored)
    try copy.close()
    try store.close()
  }

  @Test("does not take the place of a folder, nor is one made of nothing")
  func refused() throws {
    let (folder, target) = (newFolder(), newFolder())
    defer { try? FileManager.default.removeItem(atPath: folder) }
    #expect {
      try RunStore.backup(of: target, to: folder)
    } throws: { "\($0)".hasSuffix("there is no run in it") }
    try RunStore(folder: folder).close()
    #expect {
      try RunStore.backup(of: folder, to: NSTemporaryDirectory())
    } throws: { "\($0)".contains("name a new folder") }
    #expect(!FileManager.default.fileExists(atPath: target))
  }
}

@Suite("A disk without room")
struct FullDiskTests {
  @Test("ends the work with a clear error; what was committed is there, and the run goes on")
  func full() throws {
    let folder = newFolder()
    defer { try? FileManager.default.removeItem(atPath: folder) }
    var run = RandomRun(seed: 70)
    let store = try RunStore(folder: folder)
    for _ in 0..<20 { try store.commit(run.turn()) }
    // SQLite takes a database of so many pages for a full disk.
    try store.pool.writeWithoutTransaction { db in
      let pages = try Int.fetchOne(db, sql: "PRAGMA page_count") ?? 0
      try db.execute(sql: "PRAGMA max_page_count = \(pages + 4)")
    }
    var committed = run
    var error: StoreError?
    for _ in 0..<400 where error == nil {
      let turn = run.turn()
      do throws(StoreError) {
        try store.commit(turn)
        committed = run
      } catch let failure {
        error = failure
      }
    }
    #expect(error == .diskFull(path: folder + "/run.sqlite"))
    #expect((error.map { "\($0)" } ?? "").contains("make room and start again"))
    #expect(try store.restore() == committed.model.restored)
    try store.close()

    let again = try RunStore(folder: folder)
    #expect(try again.restore() == committed.model.restored)
    for _ in 0..<20 { try again.commit(committed.turn()) }
    #expect(try again.restore() == committed.model.restored)
    try again.close()
  }
}
