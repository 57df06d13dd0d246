import Foundation

#if canImport(Glibc)
  import Glibc
#endif

/// Why a folder could not be locked.
public enum FolderLockError: Error, Hashable, Sendable {
  /// Another process holds it; nil when it has not said who it is.
  case held(by: Int32?)
  case io(path: String, reason: String)
}

/// Holds a folder for this process; the kernel lets go of it when the process ends, however that
/// happens. The file `lock` in it names the holder.
public final class FolderLock: Sendable {
  private let descriptor: Int32

  public init(folder: String) throws(FolderLockError) {
    let path = folder + "/lock"
    let descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o644)
    guard descriptor >= 0 else {
      throw .io(path: path, reason: String(cString: strerror(errno)))
    }
    guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
      let words = (try? String(contentsOfFile: path, encoding: .utf8)) ?? ""
      close(descriptor)
      throw .held(by: Int32(words.trimmingCharacters(in: .whitespacesAndNewlines)))
    }
    let words = Array("\(getpid())\n".utf8)
    guard ftruncate(descriptor, 0) == 0, write(descriptor, words, words.count) == words.count else {
      let reason = String(cString: strerror(errno))
      close(descriptor)
      throw .io(path: path, reason: reason)
    }
    self.descriptor = descriptor
  }

  deinit {
    // Not by closing alone: a process that is just being started has the descriptor, too, until
    // its own program begins.
    flock(descriptor, LOCK_UN)
    close(descriptor)
  }
}
