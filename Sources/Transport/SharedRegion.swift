import CZeroMQ
import Glibc

/// Memory that one process fills, in slots of one size, and others of the same machine read where
/// it lies.
///
/// It is a file without a name, gone when nobody has it mapped. Another process opens it by way of
/// `/proc`, which the system allows the same user alone (and root), who has the keys of both as
/// well: that is why nothing in it is sealed.
@safe final class SharedRegion: Sendable {
  /// Where another process finds the memory, and how it knows that it has found it.
  struct Offer: Hashable {
    var process: UInt32
    var descriptor: UInt32
    var token: UInt64
  }

  static let slots = 16
  static let slotBytes = 1 << 19
  /// Before the slots: the token.
  private static let headBytes = 4096
  private static let bytes = headBytes + slots * slotBytes

  let offer: Offer
  /// Of who made it, for others to open; nil at these, whose mapping stays without one.
  private let descriptor: Int32?
  // Who fills a slot is the only one who has it then; see `SharedSlots`.
  private nonisolated(unsafe) let memory: UnsafeMutableRawPointer

  /// New memory; nil when the system gives none.
  init?() {
    let descriptor = unsafe memfd_create("comd-slots", UInt32(MFD_CLOEXEC | MFD_ALLOW_SEALING))
    guard descriptor >= 0 else { return nil }
    // Nobody can make it shorter under who reads it.
    guard ftruncate(descriptor, off_t(Self.bytes)) == 0,
      fcntl(descriptor, Int32(comd_add_seals), Self.seals) == 0,
      let memory = unsafe Self.map(descriptor, PROT_READ | PROT_WRITE)
    else {
      close(descriptor)
      return nil
    }
    var random = SystemRandomNumberGenerator()
    offer = Offer(
      process: UInt32(getpid()), descriptor: UInt32(descriptor),
      token: UInt64.random(in: 1...UInt64.max, using: &random))
    self.descriptor = descriptor
    unsafe self.memory = memory
    unsafe memory.storeBytes(of: offer.token, as: UInt64.self)
  }

  /// The memory that another process made; nil when it cannot be reached, or is something else.
  init?(opening offer: Offer) {
    let path = "/proc/\(offer.process)/fd/\(offer.descriptor)"
    let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
    guard descriptor >= 0 else { return nil }
    defer { close(descriptor) }
    var status = stat()
    guard unsafe fstat(descriptor, &status) == 0, status.st_size == Self.bytes,
      fcntl(descriptor, Int32(comd_get_seals)) & Self.seals == Self.seals,
      let memory = unsafe Self.map(descriptor, PROT_READ)
    else { return nil }
    self.offer = offer
    self.descriptor = nil
    unsafe self.memory = memory
    // The same process and descriptor may be others where processes are counted anew.
    if unsafe memory.load(as: UInt64.self) != offer.token { return nil }
  }

  deinit {
    _ = unsafe munmap(memory, Self.bytes)
    if let descriptor { close(descriptor) }
  }

  private static let seals = Int32(comd_seals)

  private static func map(_ descriptor: Int32, _ access: Int32) -> UnsafeMutableRawPointer? {
    let mapped = unsafe mmap(nil, bytes, access, MAP_SHARED, descriptor, 0)
    return unsafe mapped == MAP_FAILED ? nil : mapped
  }

  /// False when nobody fills it any more.
  var isOwnerRunning: Bool {
    kill(pid_t(truncatingIfNeeded: offer.process), 0) == 0 || errno != ESRCH
  }

  /// - Precondition: made here, a slot of it, and no more bytes than a slot has.
  func fill(_ slot: Int, _ bytes: UnsafeRawBufferPointer) {
    precondition(bytes.count <= Self.slotBytes, "\(Self.slotBytes) bytes at most expected")
    if let start = bytes.baseAddress {
      unsafe place(slot).copyMemory(from: start, byteCount: bytes.count)
    }
  }

  /// What is in a slot, where it lies; nil where there is no such one.
  func bytes(_ slot: Int, count: Int) -> UnsafeRawBufferPointer? {
    guard (0..<Self.slots).contains(slot), (0...Self.slotBytes).contains(count) else { return nil }
    return unsafe UnsafeRawBufferPointer(start: place(slot), count: count)
  }

  /// All of a slot, to make something in.
  /// - Precondition: made here, and a slot of it.
  func room(_ slot: Int) -> UnsafeMutableRawBufferPointer {
    unsafe UnsafeMutableRawBufferPointer(start: place(slot), count: Self.slotBytes)
  }

  private func place(_ slot: Int) -> UnsafeMutableRawPointer {
    unsafe memory + Self.headBytes + slot * Self.slotBytes
  }
}
