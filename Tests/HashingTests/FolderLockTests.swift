import Foundation
import Hashing
import TestSupport
import Testing

@Suite("The lock of a folder")
struct FolderLockTests {
  @Test("is refused while somebody holds it, who is named, and given when he has let go")
  func oneHolder() throws {
    let temporary = try TemporaryFolder()
    let folder = temporary.path
    do {
      let first = try FolderLock(folder: folder)
      #expect(throws: FolderLockError.held(by: ProcessInfo.processInfo.processIdentifier)) {
        try FolderLock(folder: folder)
      }
      withExtendedLifetime(first) {}
    }
    _ = try FolderLock(folder: folder)
    withExtendedLifetime(temporary) {}
  }

  @Test("in a folder that is not there is an error with its path")
  func noFolder() {
    #expect(
      throws: FolderLockError.io(path: "/not/there/lock", reason: "No such file or directory")
    ) { try FolderLock(folder: "/not/there") }
  }
}
