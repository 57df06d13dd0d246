import Glibc

/// Reads a whole file into memory.
/// - Throws: `FormatError` when it cannot be read or has more than `bytesMax` bytes.
func readFile(_ path: String, bytesMax: Int) throws(FormatError) -> [UInt8] {
  let file = try MappedFile(path: path)
  guard file.count <= bytesMax else {
    throw FormatError(
      file: path, subject: "file",
      problem: .overLimit(found: UInt64(file.count), limit: UInt64(bytesMax)),
      expected: "at most \(bytesMax) bytes", remedy: "check that this is the file you mean")
  }
  return file.withBytes(0..<file.count) { bytes in (0..<bytes.count).map { bytes[$0] } }
}

func fileExists(_ path: String) -> Bool { unsafe access(path, R_OK) == 0 }

/// A file written beside its final name and renamed when it is complete and on the disk.
///
/// `finish()` makes it visible; a writer that is thrown away before leaves nothing behind.
struct FileWriter: ~Copyable {
  private let path: String
  private let partPath: String
  private let descriptor: Int32

  init(path: String) throws(FormatError) {
    self.path = path
    partPath = path + ".part"
    descriptor = unsafe open(partPath, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
    guard descriptor >= 0 else { throw unreadable(partPath) }
  }

  func append(_ bytes: [UInt8]) throws(FormatError) {
    var written = 0
    while written < bytes.count {
      let step = unsafe bytes.withUnsafeBytes { memory in
        unsafe write(
          descriptor, memory.baseAddress.map { unsafe $0 + written }, memory.count - written)
      }
      if step < 0 && errno == EINTR { continue }
      guard step > 0 else { throw unreadable(partPath) }
      written += step
    }
  }

  consuming func finish() throws(FormatError) {
    guard fsync(descriptor) == 0, unsafe rename(partPath, path) == 0 else {
      throw unreadable(partPath)
    }
  }

  deinit {
    close(descriptor)
    unsafe unlink(partPath)
  }
}

func writeFile(_ path: String, _ bytes: [UInt8]) throws(FormatError) {
  let writer = try FileWriter(path: path)
  try writer.append(bytes)
  try writer.finish()
}
