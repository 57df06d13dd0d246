import Domain
import Foundation
import GRDB
import Testing

@testable import Store

/// The files as a killed process leaves them: copied while the store is open.
private func crashImage(of folder: String) throws -> String {
  let image = newFolder()
  try FileManager.default.createDirectory(atPath: image, withIntermediateDirectories: true)
  for name in ["run.sqlite", "run.sqlite-wal"] {
    try FileManager.default.copyItem(atPath: folder + "/" + name, toPath: image + "/" + name)
  }
  return image
}

@Suite("After a crash")
struct CrashTests {
  @Test("every commit that had returned is there, and nothing of a turn that had not begun")
  func killed() throws {
    let folder = newFolder()
    defer { try? FileManager.default.removeItem(atPath: folder) }
    var run = RandomRun(seed: 40)
    let store = try RunStore(folder: folder)
    for _ in 0..<20 {
      try store.commit(run.turn())
      let image = try crashImage(of: folder)
      let restarted = try RunStore(folder: image)
      #expect(try restarted.restore() == run.model.restored)
      try restarted.close()
      try FileManager.default.removeItem(atPath: image)
    }
    try store.close()
  }

  /// Files copied while a process lives say nothing about the power: that takes the fsync.
  @Test("of the power, too, as every commit waits for the disk")
  func synced() throws {
    let folder = newFolder()
    defer { try? FileManager.default.removeItem(atPath: folder) }
    let store = try RunStore(folder: folder)
    let (level, mode) = try store.pool.writeWithoutTransaction { db in
      (
        try Int.fetchOne(db, sql: "PRAGMA synchronous"),
        try String.fetchOne(db, sql: "PRAGMA journal_mode")
      )
    }
    // 2 is FULL: in WAL mode an fsync of the log with each commit.
    #expect(level == 2)
    #expect(mode == "wal")
    try store.close()
  }

  @Test("with the log torn anywhere, the store stands between two turns, never inside one")
  func tornLog() throws {
    let folder = newFolder()
    defer { try? FileManager.default.removeItem(atPath: folder) }
    var run = RandomRun(seed: 41)
    let store = try RunStore(folder: folder)
    var states = [RestoredRun()]
    for _ in 0..<12 {
      try store.commit(run.turn())
      states.append(run.model.restored)
    }
    let whole = try crashImage(of: folder)
    defer { try? FileManager.default.removeItem(atPath: whole) }
    let log = try Data(contentsOf: URL(filePath: whole + "/run.sqlite-wal"))
    var found: Set<Int> = []
    for cut in stride(from: 0, to: log.count, by: log.count / 60) + [log.count] {
      let image = newFolder()
      try FileManager.default.copyItem(atPath: whole, toPath: image)
      try log.prefix(cut).write(to: URL(filePath: image + "/run.sqlite-wal"))
      let restarted = try RunStore(folder: image)
      let restored = try restarted.restore()
      let place = states.firstIndex(of: restored)
      #expect(place != nil, "cut at \(cut) of \(log.count) bytes")
      found.insert(place ?? -1)
      try restarted.close()
      try FileManager.default.removeItem(atPath: image)
    }
    // The whole log gives the last state, and the cuts meet many of those before.
    #expect(found.max() == states.firstIndex(of: run.model.restored))
    #expect(found.count > 3)
    try store.close()
  }

  @Test("the kernel has let go of the folder: a killed owner does not lock it")
  func killedOwner() throws {
    let folder = newFolder()
    defer { try? FileManager.default.removeItem(atPath: folder) }
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    try "999999\n".write(toFile: folder + "/lock", atomically: false, encoding: .utf8)
    let store = try RunStore(folder: folder)
    try store.close()
  }
}

@Suite("A run's folder")
struct FolderTests {
  @Test("has one owner at a time, and says who it is")
  func locked() throws {
    let folder = newFolder()
    defer { try? FileManager.default.removeItem(atPath: folder) }
    let store = try RunStore(folder: folder)
    #expect(
      throws: StoreError.locked(
        folder: folder, holder: ProcessInfo.processInfo.processIdentifier)
    ) { try RunStore(folder: folder) }
    try store.close()
    try RunStore(folder: folder).close()
  }

  @Test("whose database is damaged is refused with the file's name")
  func damaged() throws {
    let folder = newFolder()
    defer { try? FileManager.default.removeItem(atPath: folder) }
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    let bytes = Data((0..<8192).map { UInt8(truncatingIfNeeded: $0 * 31) })
    try bytes.write(to: URL(filePath: folder + "/run.sqlite"))
    #expect {
      try RunStore(folder: folder)
    } throws: { error in
      guard case StoreError.corrupt(let path, _) = error else { return false }
      return path == folder + "/run.sqlite"
    }
  }

  @Test("that cannot be made is refused with its name")
  func unwritable() {
    #expect {
      try RunStore(folder: "/proc/comd")
    } throws: { error in
      "\(error)".contains("/proc/comd")
    }
  }

  @Test("of a newer version is refused and left as it is")
  func newerVersion() throws {
    let folder = newFolder()
    defer { try? FileManager.default.removeItem(atPath: folder) }
    try RunStore(folder: folder).close()
    let database = try DatabaseQueue(path: folder + "/run.sqlite")
    try database.write { db in
      try db.execute(sql: "INSERT INTO grdb_migrations VALUES ('from the future')")
    }
    try database.close()
    #expect(throws: StoreError.newerVersion(folder: folder)) { try RunStore(folder: folder) }
    let left = try DatabaseQueue(path: folder + "/run.sqlite")
    let newest = try left.read { db in
      try String.fetchAll(db, sql: "SELECT identifier FROM grdb_migrations")
    }
    #expect(newest.contains("from the future"))
    try left.close()
  }
}

@Suite("A run's file that another program holds")
struct HeldFileTests {
  @Test("is waited for, as long as a look takes")
  func held() throws {
    let folder = newFolder()
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(atPath: folder) }
    let other = try DatabaseQueue(path: folder + "/run.sqlite")
    let (isHeld, never) = (DispatchSemaphore(value: 0), DispatchSemaphore(value: 0))
    let holder = Thread {
      other.inDatabase { db in
        try? db.execute(sql: "BEGIN EXCLUSIVE")
        isHeld.signal()
        _ = never.wait(timeout: .now() + .milliseconds(300))
        try? db.execute(sql: "COMMIT")
      }
    }
    holder.start()
    isHeld.wait()
    let store = try RunStore(folder: folder)
    #expect(try store.restore().phase == .preparing)
    try other.close()
  }
}
