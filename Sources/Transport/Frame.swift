import CZeroMQ

/// One part of a message: bytes that do not change.
///
/// A large frame that was received, and one that a mesh sends, is memory outside Swift's arrays,
/// which the socket takes and gives without another copy.
public struct Frame: Sendable {
  private enum Storage {
    case array([UInt8])
    case memory(FrameMemory)
  }
  private let storage: Storage

  public init(_ bytes: [UInt8]) { storage = .array(bytes) }

  init(taking message: UnsafeMutablePointer<zmq_msg_t>) {
    storage = .memory(unsafe FrameMemory(taking: message))
  }

  /// A frame over memory of somebody else's, which `owner` keeps.
  init(_ payload: Payload) { storage = .memory(FrameMemory(payload)) }

  /// The bytes where they lie; copied into memory of their own when they are an array's.
  var payload: Payload {
    switch storage {
    case .array(let bytes):
      let memory = FrameMemory(byteCount: bytes.count)
      unsafe bytes.withUnsafeBytes { unsafe memory.fill(from: $0) }
      return unsafe Payload(keeping: memory, memory.bytes)
    case .memory(let memory): return unsafe Payload(keeping: memory, memory.bytes)
    }
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

/// Bytes in memory that an owner keeps: what a mesh sends and receives without a copy.
@safe public struct Payload: Sendable {
  /// Who sends does not change them before they have left; who receives may write them unless they
  /// are on loan.
  nonisolated(unsafe) public let bytes: UnsafeRawBufferPointer
  public let owner: any Sendable
  /// The memory is another process's, which this one can only read.
  public let isOnLoan: Bool

  /// - Parameter owner: keeps `bytes` as long as it lives.
  public init(keeping owner: any Sendable, _ bytes: UnsafeRawBufferPointer) {
    self.owner = owner
    isOnLoan = false
    unsafe self.bytes = bytes
  }

  init(onLoan loan: Loan, _ bytes: UnsafeRawBufferPointer) {
    owner = loan
    isOnLoan = true
    unsafe self.bytes = bytes
  }

  public var count: Int { unsafe bytes.count }
}

/// Memory that is written before it is shared and never after.
@safe final class FrameMemory: Sendable {
  /// Read only, from the moment a frame holds it: that is why threads may share it.
  nonisolated(unsafe) let bytes: UnsafeRawBufferPointer
  /// The received message that owns `bytes`; nil when they were allocated here.
  private nonisolated(unsafe) let message: UnsafeMutablePointer<zmq_msg_t>?
  /// Who owns `bytes` when it is neither this nor a message.
  private let owner: (any Sendable)?

  init(byteCount: Int) {
    // Cache-line alignment; one byte at least, so that there is an address.
    let memory = UnsafeMutableRawBufferPointer.allocate(
      byteCount: max(1, byteCount), alignment: 64)
    unsafe bytes = UnsafeRawBufferPointer(start: memory.baseAddress, count: byteCount)
    unsafe message = nil
    owner = nil
  }

  init(_ payload: Payload) {
    unsafe bytes = payload.bytes
    unsafe message = nil
    owner = payload.owner
  }

  /// Takes over a message; `source` may be closed or used again afterwards.
  init(taking source: UnsafeMutablePointer<zmq_msg_t>) {
    let message = UnsafeMutablePointer<zmq_msg_t>.allocate(capacity: 1)
    _ = unsafe zmq_msg_init(message)
    _ = unsafe zmq_msg_move(message, source)
    unsafe self.message = message
    owner = nil
    unsafe bytes = UnsafeRawBufferPointer(
      start: zmq_msg_data(message), count: zmq_msg_size(message))
  }

  deinit {
    if let message = unsafe message {
      _ = unsafe zmq_msg_close(message)
      unsafe message.deallocate()
    } else if owner == nil {
      unsafe bytes.deallocate()
    }
  }

  /// For whoever makes the frame, before anyone else sees it.
  func fill(from source: UnsafeRawBufferPointer) {
    unsafe UnsafeMutableRawBufferPointer(mutating: bytes).copyMemory(from: source)
  }
}
