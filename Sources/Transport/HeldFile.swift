import CZeroMQ
import Glibc

/// A range of a file that a process keeps open, for another process of the same machine to read
/// where it lies: of a file without a name, in memory, or of one in a folder, which stays readable
/// when its name goes.
///
/// The other process opens it by way of `/proc`, which the system allows the same user alone (and
/// root). Where processes are counted anew the numbers may be another file's: who opens one checks
/// what is in it.
public struct HeldFile: Sendable {
  private final class Handle: Sendable {
    let number: Int32
    init(_ number: Int32) { self.number = number }
    deinit { close(number) }
  }

  private let handle: Handle
  /// Where the range begins, in bytes.
  public let offset: Int64
  public let size: Int64

  private init(_ handle: Handle, offset: Int64, size: Int64) {
    self.handle = handle
    self.offset = offset
    self.size = size
  }

  /// This process, for another one that is to find the file.
  public var process: Int { Int(getpid()) }
  /// The file's number in this process, as long as this value lives.
  public var descriptor: Int { Int(handle.number) }

  /// All of a regular file.
  public init(path: String) throws(TransportError) {
    let number = unsafe open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
    guard number >= 0 else { throw .lastSystemCall("open \(path)") }
    handle = Handle(number)
    guard let size = regularSize(number) else {
      throw .system(call: "open \(path)", reason: "a regular file expected")
    }
    offset = 0
    self.size = size
  }

  /// What another process holds; nil when it cannot be reached, or is something else.
  public init?(process: Int, descriptor: Int, offset: Int64, size: Int64) {
    let (end, isTooFar) = offset.addingReportingOverflow(size)
    guard offset >= 0, size >= 0, !isTooFar else { return nil }
    let path = "/proc/\(process)/fd/\(descriptor)"
    let number = unsafe open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
    guard number >= 0 else { return nil }
    handle = Handle(number)
    guard let there = regularSize(number), end <= there else { return nil }
    self.offset = offset
    self.size = size
  }

  /// Bytes from `start` of the range on; fewer where it, or the file, ends.
  public func read(offset start: Int64, length: Int) throws(TransportError) -> [UInt8] {
    precondition(start >= 0 && length >= 0, "a range expected")
    let wanted = Int(max(0, min(Int64(length), size - start)))
    var failed: TransportError?
    let bytes = unsafe [UInt8](unsafeUninitializedCapacity: wanted) { buffer, count in
      while count < wanted {
        let got = unsafe pread(
          handle.number, buffer.baseAddress.map { unsafe $0 + count }, wanted - count,
          off_t(offset + start) + off_t(count))
        if got < 0, errno == EINTR { continue }
        if got < 0 { failed = .lastSystemCall("pread") }
        if got <= 0 { return }
        count += got
      }
    }
    if let failed { throw failed }
    return bytes
  }

  /// Fills memory without a name, from which ranges are cut.
  public struct Writer: ~Copyable {
    private let handle: Handle
    private var start: Int64 = 0
    private var end: Int64 = 0

    public init() throws(TransportError) {
      let number = unsafe memfd_create("comd-file", UInt32(MFD_CLOEXEC))
      guard number >= 0 else { throw .lastSystemCall("memfd_create") }
      handle = Handle(number)
    }

    public mutating func append(_ payload: Payload) throws(TransportError) {
      var rest = unsafe payload.bytes[...]
      while let first = unsafe UnsafeRawBufferPointer(rebasing: rest).baseAddress,
        unsafe !rest.isEmpty
      {
        let done = unsafe pwrite(handle.number, first, rest.count, off_t(end))
        if done < 0, errno == EINTR { continue }
        guard done > 0 else { throw .lastSystemCall("pwrite to memory") }
        end += Int64(done)
        unsafe rest = rest.dropFirst(done)
      }
    }

    /// What was appended since the last cut.
    public mutating func cut() -> HeldFile {
      defer { start = end }
      return HeldFile(handle, offset: start, size: end - start)
    }
  }
}

/// Nil when it is no regular file.
private func regularSize(_ descriptor: Int32) -> Int64? {
  var status = stat()
  guard unsafe fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
    return nil
  }
  return Int64(status.st_size)
}
