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

  @Test("is given back even while somebody else has its descriptor, as a process being started has")
  func inherited() throws {
    let temporary = try TemporaryFolder()
    let path = try #require(
      realpath(temporary.path, nil).map { pointer in
        defer { free(pointer) }
        return String(cString: pointer) + "/lock"
      })
    var copy: Int32 = -1
    do {
      let lock = try FolderLock(folder: temporary.path)
      let open = try FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd")
      let descriptor = open.first {
        (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/fd/\($0)")) == path
      }
      copy = dup(try #require(descriptor.flatMap { Int32($0) }))
      withExtendedLifetime(lock) {}
    }
    defer { close(copy) }
    #expect(copy >= 0)
    _ = try FolderLock(folder: temporary.path)
    withExtendedLifetime(temporary) {}
  }

  @Test("in a folder that is not there is an error with its path")
  func noFolder() {
    #expect(
      throws: FolderLockError.io(path: "/not/there/lock", reason: "No such file or directory")
    ) { try FolderLock(folder: "/not/there") }
  }
}
