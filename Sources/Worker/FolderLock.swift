import Foundation

/// Holds a worker's folder for one process; the kernel lets go when the process ends, however.
struct FolderLock: ~Copyable {
  private let descriptor: Int32

  init(folder: String) throws {
    descriptor = open(folder + "/lock", O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
    guard descriptor >= 0 else {
      throw CocoaError(.fileWriteNoPermission, userInfo: [NSFilePathErrorKey: folder + "/lock"])
    }
    guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
      close(descriptor)
      throw WorkerError.folderInUse(folder)
    }
  }

  deinit { close(descriptor) }
}
