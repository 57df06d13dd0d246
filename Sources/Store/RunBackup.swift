import Foundation
import GRDB

#if canImport(Glibc)
  import Glibc
#endif

extension RunStore {
  /// Copies a run to a new folder, whether a coordinator works on it meanwhile or not.
  ///
  /// The copy is the run as it was between two turns, and can be gone on with. The database comes
  /// first: the blobs that it speaks of were whole before, and none is taken away meanwhile.
  ///
  /// - Parameters:
  ///   - target: does not exist yet; it is there when the copy is whole and durable.
  ///   - onProgress: hears how many files are copied and how many there are.
  public static func backup(
    of folder: String, to target: String, onProgress: (Int, Int) -> Void = { _, _ in }
  ) throws(StoreError) {
    let files = FileManager.default
    guard files.fileExists(atPath: folder + "/run.sqlite") else {
      throw .io(path: folder, reason: "there is no run in it")
    }
    guard !files.fileExists(atPath: target) else {
      throw .io(path: target, reason: "is there already; name a new folder")
    }
    // Where it cannot be had nobody can take anything away.
    let lock = CopyLock(folder: folder, alone: false)
    defer { withExtendedLifetime(lock) {} }
    let partial = target + ".incomplete"
    try naming(target) {
      if files.fileExists(atPath: partial) { try files.removeItem(atPath: partial) }
      try files.createDirectory(atPath: partial, withIntermediateDirectories: true)
    }
    try naming(folder + "/run.sqlite") {
      try copyFile(ofDatabase: folder + "/run.sqlite", to: partial + "/run.sqlite")
    }
    try naming(target) {
      let names = try files.subpathsOfDirectory(atPath: folder).filter(isKept).sorted()
      for (count, name) in names.enumerated() {
        try copy(folder + "/" + name, to: partial + "/" + name)
        onProgress(count + 1, names.count)
      }
      // Bytes and names, before the folder has its own name. Linux returns when they are written.
      sync()
      try files.moveItem(atPath: partial, toPath: target)
    }
  }
}

/// In one step within one read of the log: a coordinator that writes does not make it begin anew.
func copyFile(ofDatabase path: String, to target: String) throws {
  var configuration = storeConfiguration
  configuration.readonly = true
  let source = try DatabaseQueue(path: path, configuration: configuration)
  let copy = try DatabaseQueue(path: target)
  try source.backup(to: copy)
  try copy.close()
  try source.close()
}

/// What belongs to the run and not to the processes that work on it, which have their caches and
/// spools beside it when `comd run` started them.
private func isKept(_ name: String) -> Bool {
  !name.hasPrefix("run.sqlite") && !name.hasPrefix("blobs/incoming")
    && !name.hasPrefix("workers/")
    && !name.hasSuffix(".partial")
    && !["lock", "coordinator.json", "pids.json", CopyLock.name].contains(name)
}

private func copy(_ path: String, to target: String) throws {
  let files = FileManager.default
  var isFolder: ObjCBool = false
  // Reports are written aside and renamed: one that is gone by now has another name.
  guard files.fileExists(atPath: path, isDirectory: &isFolder) else {
    // A part of the journal that was deflated meanwhile.
    if files.fileExists(atPath: path + ".z") { try copy(path + ".z", to: target + ".z") }
    return
  }
  if isFolder.boolValue {
    try files.createDirectory(atPath: target, withIntermediateDirectories: true)
    return
  }
  try files.createDirectory(
    atPath: (target as NSString).deletingLastPathComponent, withIntermediateDirectories: true)
  do {
    try files.copyItem(atPath: path, toPath: target)
  } catch CocoaError.fileReadNoSuchFile, CocoaError.fileNoSuchFile {
    return
  }
}
