#if canImport(Glibc)
  internal import Glibc
#elseif canImport(Musl)
  internal import Musl
#endif

/// A bounds-checked window on shared f32 memory: what every kernel reads and writes.
///
/// A copy of a `Floats` is another window on the same memory, as with a pointer; a slice
/// `x[a..<b]` is a window on a part of it. The memory lives as long as any window on it.
/// Reads, writes and slices outside the window stop the process.
///
/// It is `Sendable` because models are shared by threads that only read them; whoever lets two
/// threads write, or one write while another reads, must order them, as with a pointer.
@safe
public struct Floats: Sendable {
  private let memory: FloatMemory
  // Shared mutable memory is the purpose of this type; the rule for its users stands above.
  nonisolated(unsafe) let base: UnsafeMutablePointer<Float>
  public let count: Int

  private init(memory: FloatMemory, base: UnsafeMutablePointer<Float>, count: Int) {
    self.memory = memory
    unsafe self.base = base
    self.count = count
  }

  /// `count` new zeros, aligned to 64 bytes.
  ///
  /// Two megabytes and more come in huge pages where the operating system has some: with pages of
  /// 4 KiB large products spend up to a third of their time on finding them. Memory that is never
  /// touched is never taken.
  public init(zeros count: Int) {
    precondition(count >= 0, "a count of 0 or more expected, \(count) given")
    let memory = FloatMemory(allocating: count)
    unsafe self.init(memory: memory, base: memory.base, count: count)
  }

  /// `count` new values, aligned to 64 bytes, that are anything until they are written.
  public init(unfilled count: Int) {
    precondition(count >= 0, "a count of 0 or more expected, \(count) given")
    let memory = FloatMemory(allocating: count, isCleared: false)
    unsafe self.init(memory: memory, base: memory.base, count: count)
  }

  /// New memory, aligned to 64 bytes, that holds `values`.
  public init(_ values: [Float]) {
    self.init(zeros: values.count)
    copy(from: values)
  }

  /// A window on memory that `owner` keeps, such as what a socket received.
  ///
  /// Nil where the bytes are no whole number of aligned floats.
  public init?(keeping owner: any Sendable, _ bytes: UnsafeRawBufferPointer) {
    let size = MemoryLayout<Float>.size
    guard let start = bytes.baseAddress, bytes.count % size == 0,
      Int(bitPattern: start) % MemoryLayout<Float>.alignment == 0
    else { return nil }
    let memory = unsafe FloatMemory(keeping: owner, UnsafeMutableRawPointer(mutating: start))
    unsafe self.init(memory: memory, base: memory.base, count: bytes.count / size)
  }

  public var isEmpty: Bool { count == 0 }

  public subscript(index: Int) -> Float {
    get {
      precondition(index >= 0 && index < count, "index \(index) outside 0..<\(count)")
      return unsafe base[index]
    }
    nonmutating set {
      precondition(index >= 0 && index < count, "index \(index) outside 0..<\(count)")
      unsafe base[index] = newValue
    }
  }

  /// A window on a part of the same memory.
  public subscript(range: Range<Int>) -> Floats {
    precondition(
      range.lowerBound >= 0 && range.upperBound <= count, "\(range) outside 0..<\(count)")
    return unsafe Floats(memory: memory, base: base + range.lowerBound, count: range.count)
  }

  /// A copy of the values.
  public var array: [Float] {
    unsafe Array(UnsafeBufferPointer(start: base, count: count))
  }

  public func fill(_ value: Float) {
    unsafe base.update(repeating: value, count: count)
  }

  /// Overwrites all values. The windows may overlap.
  /// - Precondition: equal counts.
  public func copy(from other: Floats) {
    precondition(count == other.count, "\(count) values expected, \(other.count) given")
    unsafe base.update(from: other.base, count: count)
  }

  /// Overwrites all values.
  /// - Precondition: equal counts.
  public func copy(from values: [Float]) {
    precondition(count == values.count, "\(count) values expected, \(values.count) given")
    unsafe values.withUnsafeBufferPointer { source in
      if let start = source.baseAddress { unsafe base.update(from: start, count: count) }
    }
  }

  /// Lends the memory to a reader or writer of raw buffers (a file loader, a socket).
  public func withUnsafeMutableBufferPointer<Result, Failure: Error>(
    _ body: (UnsafeMutableBufferPointer<Float>) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    try unsafe body(UnsafeMutableBufferPointer(start: base, count: count))
  }

  /// Takes the memory from the operating system now, and not page by page when it is first written.
  ///
  /// The values stay as they are, and may be read and written meanwhile. Of less than 2 MiB, and
  /// before Linux 5.14, without effect.
  public func takeMemory() {
    let populateWrite: Int32 = 23  // MADV_POPULATE_WRITE, which older headers do not have
    _ = unsafe madvise(base, count * MemoryLayout<Float>.stride, populateWrite)
  }

  /// Maps a part of a file as f32 values in this machine's byte order; nothing is read until used.
  ///
  /// Writes stay private to this process and never reach the file. A file that another process
  /// cuts shorter while it is mapped stops this process (SIGBUS): map only files that are complete
  /// and renamed into place.
  /// - Parameter byteOffset: where the values begin; a multiple of 4.
  /// - Throws: `KernelError.file` when the file cannot be opened or is shorter than asked for.
  public static func mapping(
    path: String, byteOffset: Int, count: Int
  ) throws(KernelError) -> Floats {
    precondition(byteOffset >= 0 && byteOffset % 4 == 0, "a byte offset divisible by 4 expected")
    precondition(count >= 0, "a count of 0 or more expected, \(count) given")
    let memory = try FloatMemory(mapping: path, byteOffset: byteOffset, count: count)
    return unsafe Floats(memory: memory, base: memory.base, count: count)
  }

  /// Whether two windows are the same one.
  public static func === (a: Floats, b: Floats) -> Bool {
    unsafe a.base == b.base && a.count == b.count
  }

  /// True when the two windows share at least one value.
  func overlaps(_ other: Floats) -> Bool {
    unsafe base < other.base + other.count && other.base < base + count
  }
}

/// Owns the memory behind `Floats`: zeros, or a private mapping of a file.
@safe
private final class FloatMemory: Sendable {
  private enum Origin {
    case allocated
    case mapped(bytes: Int)
    case kept(by: any Sendable)
  }

  nonisolated(unsafe) let base: UnsafeMutablePointer<Float>
  nonisolated(unsafe) private let start: UnsafeMutableRawPointer
  private let origin: Origin

  private static let hugePageBytes = 2 << 20

  init(allocating count: Int, isCleared: Bool = true) {
    // Whole cache lines, so that no two allocations share one.
    let bytes = max(64, (count * MemoryLayout<Float>.stride + 63) & ~63)
    if bytes >= Self.hugePageBytes, let zeros = unsafe Self.hugePages(bytes) {
      unsafe start = zeros.start
      unsafe base = zeros.base
      unsafe origin = .mapped(bytes: zeros.bytes)
      return
    }
    let memory = UnsafeMutableRawPointer.allocate(byteCount: bytes, alignment: 64)
    if isCleared { unsafe memory.initializeMemory(as: UInt8.self, repeating: 0, count: bytes) }
    unsafe start = memory
    unsafe base = memory.bindMemory(to: Float.self, capacity: bytes / 4)
    origin = .allocated
  }

  /// Fresh zeros from the operating system, which begin on a huge page; nil when it has no more.
  private static func hugePages(
    _ bytes: Int
  ) -> (start: UnsafeMutableRawPointer, base: UnsafeMutablePointer<Float>, bytes: Int)? {
    let reserved = bytes + hugePageBytes
    let mapped = unsafe mmap(
      nil, reserved, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
    guard let mapped = unsafe mapped, unsafe mapped != MAP_FAILED else { return nil }
    let aligned = unsafe mapped.alignedUp(toMultipleOf: hugePageBytes)
    // Advice only: without huge pages the memory is as good as any other.
    _ = unsafe madvise(aligned, bytes, MADV_HUGEPAGE)
    return unsafe (mapped, aligned.bindMemory(to: Float.self, capacity: bytes / 4), reserved)
  }

  init(keeping owner: any Sendable, _ memory: UnsafeMutableRawPointer) {
    unsafe start = memory
    unsafe base = memory.assumingMemoryBound(to: Float.self)
    origin = .kept(by: owner)
  }

  init(mapping path: String, byteOffset: Int, count: Int) throws(KernelError) {
    let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else {
      throw .file(path: path, reason: .notReadable(errorNumber: errno))
    }
    defer { _ = close(descriptor) }
    let end = byteOffset + count * MemoryLayout<Float>.stride
    let size = Int(lseek(descriptor, 0, SEEK_END))
    guard size >= end else {
      throw .file(path: path, reason: .tooShort(bytes: size, needed: end))
    }
    // A mapping begins on a page; 64 KiB divides by every page size in use.
    let lead = byteOffset % 65_536
    let bytes = max(1, end - byteOffset + lead)
    let mapped = unsafe mmap(
      nil, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE, descriptor, off_t(byteOffset - lead))
    guard let mapped = unsafe mapped, unsafe mapped != MAP_FAILED else {
      throw .file(path: path, reason: .notMappable(errorNumber: errno))
    }
    unsafe start = mapped
    unsafe base = (mapped + lead).bindMemory(to: Float.self, capacity: max(1, count))
    origin = .mapped(bytes: bytes)
  }

  deinit {
    switch origin {
    case .allocated: unsafe start.deallocate()
    case .mapped(let bytes): _ = unsafe munmap(start, bytes)
    case .kept: break
    }
  }
}
