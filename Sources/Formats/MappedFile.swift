import Glibc

/// The bytes of a file, mapped read-only, or bytes in memory under a file's name.
///
/// Every view is checked against the length at opening. Files are written aside and renamed, never
/// changed in place; one that somebody shortens while it is mapped ends the process (SIGBUS).
///
/// Safe to use: the pointer is private, and every view of it is checked against `count`.
@safe final class MappedFile: Sendable {
  private enum Owner { case mapping, allocation }

  let path: String
  let count: Int
  private let owner: Owner
  // Written once in `init`, only read until `deinit`: safe to share between threads.
  private nonisolated(unsafe) let base: UnsafeMutableRawPointer?

  init(path: String) throws(FormatError) {
    let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { throw unreadable(path) }
    defer { close(descriptor) }
    var status = stat()
    guard unsafe fstat(descriptor, &status) == 0 else { throw unreadable(path) }
    guard status.st_mode & S_IFMT == S_IFREG else {
      throw FormatError(
        file: path, subject: "file", problem: .unreadable("not a regular file"),
        expected: "a regular file", remedy: "give the path of a file")
    }
    self.path = path
    count = Int(status.st_size)
    owner = .mapping
    if count == 0 {
      unsafe base = nil
      return
    }
    let address = unsafe mmap(nil, count, PROT_READ, MAP_PRIVATE, descriptor, 0)
    guard let address = unsafe address, unsafe address != MAP_FAILED else {
      throw unreadable(path)
    }
    unsafe base = address
  }

  /// A copy of bytes in memory; `name` stands for the file in errors.
  init(bytes: [UInt8], name: String) {
    path = name
    count = bytes.count
    owner = .allocation
    if bytes.isEmpty {
      unsafe base = nil
      return
    }
    let copy = UnsafeMutableRawPointer.allocate(byteCount: bytes.count, alignment: 64)
    unsafe copy.copyMemory(from: bytes, byteCount: bytes.count)
    unsafe base = copy
  }

  deinit {
    guard let base = unsafe base else { return }
    switch owner {
    case .mapping: unsafe munmap(base, count)
    case .allocation: unsafe base.deallocate()
    }
  }

  /// Lends `range` of the file.
  /// - Precondition: `range` lies within `0..<count`; callers check what files say beforehand.
  func withBytes<R, E: Error>(
    _ range: Range<Int>, _ body: (Span<UInt8>) throws(E) -> R
  ) throws(E) -> R {
    precondition(range.lowerBound >= 0 && range.upperBound <= count, "outside the mapped file")
    let bytes = unsafe UnsafeRawBufferPointer(
      start: base.map { unsafe UnsafeRawPointer($0) + range.lowerBound }, count: range.count)
    return try unsafe bytes.withMemoryRebound(to: UInt8.self) { memory throws(E) in
      try body(unsafe memory.span)
    }
  }
}

extension MappedFile {
  /// Lets the whole pages of `range` leave this process's memory. Who reads them again has them
  /// from the file again.
  /// - Precondition: as for `withBytes`.
  func release(_ range: Range<Int>) {
    precondition(range.lowerBound >= 0 && range.upperBound <= count, "outside the mapped file")
    guard case .mapping = owner, let base = unsafe base else { return }
    let page = sysconf(Int32(_SC_PAGESIZE))
    let first = (range.lowerBound + page - 1) / page * page
    let end = range.upperBound / page * page
    // It is only advice: without it the pages stay, and nothing else changes.
    if first < end { _ = unsafe madvise(base + first, end - first, MADV_DONTNEED) }
  }
}

/// What the operating system says of the call that just failed.
func unreadable(_ path: String) -> FormatError {
  FormatError(
    file: path, subject: "file", problem: .unreadable(unsafe String(cString: strerror(errno))),
    expected: "a file that can be read", remedy: "check the path and its permissions")
}
