import Foundation

#if canImport(Glibc)
  import Glibc
#endif

/// Holds a run's folder for this process; the kernel lets go of it when the process ends, however
/// that happens. The file names the holder.
final class FolderLock: Sendable {
  private let descriptor: Int32

  init(folder: String) throws(StoreError) {
    let path = folder + "/lock"
    let descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o644)
    guard descriptor >= 0 else {
      throw .io(path: path, reason: String(cString: strerror(errno)))
    }
    guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
      let words = (try? String(contentsOfFile: path, encoding: .utf8)) ?? ""
      close(descriptor)
      throw .locked(
        folder: folder, holder: Int32(words.trimmingCharacters(in: .whitespacesAndNewlines)))
    }
    let words = Array("\(getpid())\n".utf8)
    guard ftruncate(descriptor, 0) == 0, write(descriptor, words, words.count) == words.count else {
      let reason = String(cString: strerror(errno))
      close(descriptor)
      throw .io(path: path, reason: reason)
    }
    self.descriptor = descriptor
  }

  deinit { close(descriptor) }
}
