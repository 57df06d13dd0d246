import Foundation

#if canImport(Glibc)
  import Glibc
#endif

/// A file that is written beside its place and put there as a whole: whoever looks sees all of it
/// or nothing, also after a power cut.
struct AsideFile: ~Copyable {
  let path: String
  private let handle: FileHandle

  init(path: String) throws {
    self.path = path
    guard FileManager.default.createFile(atPath: path, contents: nil) else {
      throw CocoaError(.fileWriteUnknown, userInfo: [NSFilePathErrorKey: path])
    }
    handle = try FileHandle(forWritingTo: URL(fileURLWithPath: path))
  }

  func write(_ bytes: some Collection<UInt8>) throws {
    let isDone: Void? = try bytes.withContiguousStorageIfAvailable { bytes in
      guard let start = bytes.baseAddress else { return }
      // Not copied: it is written before this returns.
      try handle.write(
        contentsOf: Data(
          bytesNoCopy: UnsafeMutableRawPointer(mutating: start), count: bytes.count,
          deallocator: .none))
    }
    if isDone == nil { try handle.write(contentsOf: Data(bytes)) }
  }

  /// Makes the bytes durable, then the name.
  ///
  /// - Parameter isReadSoon: the system is to keep them in memory. Else what is written next has
  ///   their room there, which it is far quicker to fill than memory that was never used.
  consuming func publish(as final: String, isReadSoon: Bool = true) throws {
    try handle.synchronize()
    if !isReadSoon { posix_fadvise(handle.fileDescriptor, 0, 0, Int32(POSIX_FADV_DONTNEED)) }
    try handle.close()
    guard rename(path, final) == 0 else { throw posixError(final) }
    try synchronizeFolder((final as NSString).deletingLastPathComponent)
  }

  consuming func discard() {
    try? handle.close()
    unlink(path)
  }
}

/// Makes the names in a folder durable.
func synchronizeFolder(_ path: String) throws {
  let descriptor = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
  guard descriptor >= 0 else { throw posixError(path) }
  defer { close(descriptor) }
  guard fsync(descriptor) == 0 else { throw posixError(path) }
}

/// Makes a folder and its parents; the new names are durable.
func makeFolder(_ path: String) throws {
  if FileManager.default.fileExists(atPath: path) { return }
  let parent = (path as NSString).deletingLastPathComponent
  if !parent.isEmpty { try makeFolder(parent) }
  guard mkdir(path, 0o755) == 0 || errno == EEXIST else { throw posixError(path) }
  try synchronizeFolder(parent.isEmpty ? "." : parent)
}

func posixError(_ path: String) -> any Error {
  let code = errno
  if code == ENOSPC || code == EDQUOT { return CocoaError(.fileWriteOutOfSpace) }
  return BlobError.io(path: path, reason: String(cString: strerror(code)))
}

/// Hands the file to `body` piece by piece.
func forEachPiece(of path: String, _ body: ([UInt8]) throws -> Void) throws {
  let handle = try FileHandle(forReadingFrom: URL(fileURLWithPath: path))
  defer { try? handle.close() }
  while let piece = try handle.read(upToCount: pieceBytes), !piece.isEmpty {
    try body(Array(piece))
  }
}

/// A range of a file; shorter where the file ends.
public func readFile(
  _ path: String, offset: Int64, length: Int
) throws(BlobError) -> [UInt8] {
  try naming(path) {
    let handle = try FileHandle(forReadingFrom: URL(fileURLWithPath: path))
    defer { try? handle.close() }
    try handle.seek(toOffset: UInt64(offset))
    return Array(try handle.read(upToCount: length) ?? Data())
  }
}

/// Size in bytes of a regular file, through links; nil when there is none.
func fileSize(_ path: String) -> Int64? {
  var status = stat()
  guard stat(path, &status) == 0, status.st_mode & S_IFMT == S_IFREG else { return nil }
  return Int64(status.st_size)
}
