import CZeroMQ

/// One part of a message: bytes that do not change.
///
/// A frame made from floats, and one that was received, is memory outside Swift's arrays which the
/// socket sends and receives without another copy.
public struct Frame: Sendable {
  private enum Storage {
    case array([UInt8])
    case memory(FrameMemory)
  }
  private let storage: Storage

  public init(_ bytes: [UInt8]) { storage = .array(bytes) }

  /// - Parameter floats: any number; on the wire they are little-endian, as on every CPU that
  ///   this program is built for.
  public init(floats: [Float]) { self.init(floats: floats.span) }

  public init(floats: Span<Float>) {
    let memory = FrameMemory(byteCount: floats.count * MemoryLayout<Float>.size)
    unsafe floats.withUnsafeBytes { unsafe memory.fill(from: $0) }
    storage = .memory(memory)
  }

  /// A frame that `body` writes in place; it begins as zeros.
  public init<E: Error>(
    byteCount: Int, filling body: (inout MutableSpan<UInt8>) throws(E) -> Void
  ) throws(E) {
    let memory = FrameMemory(byteCount: byteCount)
    var span = unsafe MutableSpan<UInt8>(_unsafeBytes: memory.zeroed())
    try body(&span)
    storage = .memory(memory)
  }

  init(taking message: UnsafeMutablePointer<zmq_msg_t>) {
    storage = .memory(unsafe FrameMemory(taking: message))
  }

  public var count: Int {
    switch storage {
    case .array(let bytes): bytes.count
    case .memory(let memory): unsafe memory.bytes.count
    }
  }

  /// A copy of the bytes.
  public var bytes: [UInt8] {
    switch storage {
    case .array(let bytes): bytes
    case .memory(let memory): unsafe Array(memory.bytes)
    }
  }

  /// A copy as floats; nil when the bytes are no whole number of them.
  public var floats: [Float]? {
    guard count % MemoryLayout<Float>.size == 0 else { return nil }
    let elements = count / MemoryLayout<Float>.size
    return unsafe [Float](unsafeUninitializedCapacity: elements) { target, initialized in
      unsafe withUnsafeBytes { source in
        unsafe UnsafeMutableRawBufferPointer(target).copyMemory(from: source)
      }
      initialized = elements
    }
  }

  public func withSpan<R, E: Error>(_ body: (Span<UInt8>) throws(E) -> R) throws(E) -> R {
    switch storage {
    case .array(let bytes): return try body(bytes.span)
    case .memory(let memory):
      return try body(unsafe Span<UInt8>(_unsafeBytes: memory.bytes))
    }
  }

  /// Hands the bytes to `body` as floats, without a copy where the memory is aligned for it; nil
  /// when they are no whole number of floats.
  public func withFloats<R, E: Error>(_ body: (Span<Float>) throws(E) -> R) throws(E) -> R? {
    let size = MemoryLayout<Float>.size
    guard count % size == 0 else { return nil }
    if case .memory(let memory) = storage, let base = unsafe memory.bytes.baseAddress,
      Int(bitPattern: base) % size == 0
    {
      return try body(unsafe Span<Float>(_unsafeBytes: memory.bytes))
    }
    guard let floats else { return nil }
    return try body(floats.span)
  }

  private func withUnsafeBytes(_ body: (UnsafeRawBufferPointer) -> Void) {
    switch storage {
    case .array(let bytes): unsafe bytes.withUnsafeBytes { unsafe body($0) }
    case .memory(let memory): unsafe body(memory.bytes)
    }
  }

  /// Sets up `message` to carry these bytes; false when there is no memory.
  func prepare(_ message: UnsafeMutablePointer<zmq_msg_t>) -> Bool {
    switch storage {
    case .array(let bytes):
      guard unsafe zmq_msg_init_size(message, bytes.count) == 0 else { return false }
      if let target = unsafe zmq_msg_data(message), !bytes.isEmpty {
        unsafe target.copyMemory(from: bytes, byteCount: bytes.count)
      }
      return true
    case .memory(let memory):
      // libzmq calls the function from its own thread when the bytes have left.
      let owner = unsafe Unmanaged.passRetained(memory)
      let start = unsafe UnsafeMutableRawPointer(mutating: memory.bytes.baseAddress)
      let result = unsafe zmq_msg_init_data(
        message, start, memory.bytes.count,
        { _, owner in
          guard let owner = unsafe owner else { return }
          unsafe Unmanaged<FrameMemory>.fromOpaque(owner).release()
        }, owner.toOpaque())
      if result != 0 { unsafe owner.release() }
      return result == 0
    }
  }
}

/// Memory that is written before it is shared and never after.
@safe final class FrameMemory: Sendable {
  /// Read only, from the moment a frame holds it: that is why threads may share it.
  nonisolated(unsafe) let bytes: UnsafeRawBufferPointer
  /// The received message that owns `bytes`; nil when they were allocated here.
  private nonisolated(unsafe) let message: UnsafeMutablePointer<zmq_msg_t>?

  init(byteCount: Int) {
    // Cache-line alignment; one byte at least, so that there is an address.
    let memory = UnsafeMutableRawBufferPointer.allocate(
      byteCount: max(1, byteCount), alignment: 64)
    unsafe bytes = UnsafeRawBufferPointer(start: memory.baseAddress, count: byteCount)
    unsafe message = nil
  }

  /// Takes over a message; `source` may be closed or used again afterwards.
  init(taking source: UnsafeMutablePointer<zmq_msg_t>) {
    let message = UnsafeMutablePointer<zmq_msg_t>.allocate(capacity: 1)
    _ = unsafe zmq_msg_init(message)
    _ = unsafe zmq_msg_move(message, source)
    unsafe self.message = message
    unsafe bytes = UnsafeRawBufferPointer(
      start: zmq_msg_data(message), count: zmq_msg_size(message))
  }

  deinit {
    if let message = unsafe message {
      _ = unsafe zmq_msg_close(message)
      unsafe message.deallocate()
    } else {
      unsafe bytes.deallocate()
    }
  }

  /// For whoever makes the frame, before anyone else sees it.
  func fill(from source: UnsafeRawBufferPointer) {
    unsafe UnsafeMutableRawBufferPointer(mutating: bytes).copyMemory(from: source)
  }

  func zeroed() -> UnsafeMutableRawBufferPointer {
    let memory = unsafe UnsafeMutableRawBufferPointer(mutating: bytes)
    unsafe memory.initializeMemory(as: UInt8.self, repeating: 0)
    return unsafe memory
  }
}
