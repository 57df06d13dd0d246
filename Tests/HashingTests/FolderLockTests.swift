import Foundation
import Hashing
import Testing

@Suite("The lock of a folder")
struct FolderLockTests {
  let folder = NSTemporaryDirectory() + "lock-\(UUID().uuidString)"

  @Test("is refused while somebody holds it, who is named, and given when he has let go")
  func oneHolder() throws {
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(atPath: folder) }
    do {
      let first = try FolderLock(folder: folder)
      #expect(throws: FolderLockError.held(by: ProcessInfo.processInfo.processIdentifier)) {
        try FolderLock(folder: folder)
      }
      withExtendedLifetime(first) {}
    }
    _ = try FolderLock(folder: folder)
  }

  @Test("in a folder that is not there is an error with its path")
  func noFolder() {
    #expect(throws: FolderLockError.io(path: folder + "/lock", reason: "No such file or directory"))
    { try FolderLock(folder: folder) }
  }
}
