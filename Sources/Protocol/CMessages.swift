import CProtocol

#if canImport(Glibc)
  import Glibc
#endif

/// Memory of one message in its C form; all of it lives until the arena does.
@safe final class Arena {
  private var blocks: [UnsafeMutableRawBufferPointer] = unsafe []
  private var free: UnsafeMutableRawBufferPointer = unsafe UnsafeMutableRawBufferPointer(
    start: nil, count: 0)
  private static let blockBytes = 16_384

  deinit {
    unsafe blocks.forEach { unsafe $0.deallocate() }
  }

  private func take(_ bytes: Int) -> UnsafeMutableRawPointer {
    let size = (bytes + 15) & ~15
    if unsafe free.count < size {
      let block = UnsafeMutableRawBufferPointer.allocate(
        byteCount: max(size, Arena.blockBytes), alignment: 16)
      unsafe blocks.append(block)
      unsafe free = block
    }
    guard let start = unsafe free.baseAddress else { preconditionFailure("no memory") }
    unsafe free = UnsafeMutableRawBufferPointer(rebasing: free[size...])
    return unsafe start
  }

  /// A message of protobuf-c, set to its defaults by `initialise`.
  func make<Message>(
    _ initialise: (UnsafeMutablePointer<Message>?) -> Void
  ) -> UnsafeMutablePointer<Message> {
    let message = unsafe take(MemoryLayout<Message>.stride).bindMemory(
      to: Message.self, capacity: 1)
    unsafe initialise(message)
    return unsafe message
  }

  func array<Element>(_ elements: [Element]) -> UnsafeMutablePointer<Element>? {
    guard !elements.isEmpty else { return nil }
    let start = unsafe take(elements.count * MemoryLayout<Element>.stride).bindMemory(
      to: Element.self, capacity: elements.count)
    unsafe start.initialize(from: elements, count: elements.count)
    return unsafe start
  }

  func pointers<Message>(
    _ messages: [UnsafeMutablePointer<Message>]
  ) -> UnsafeMutablePointer<UnsafeMutablePointer<Message>?>? {
    unsafe array(messages.map { unsafe Optional($0) })
  }

  func data(_ bytes: [UInt8]) -> ProtobufCBinaryData {
    unsafe ProtobufCBinaryData(len: bytes.count, data: array(bytes))
  }

  func data(_ text: String) -> ProtobufCBinaryData { unsafe data(Array(text.utf8)) }

  /// Words that say why, cut to the wire's limit between two characters.
  func reason(_ text: String) -> ProtobufCBinaryData {
    guard text.utf8.count > WireLimits.reasonBytesMax else { return unsafe data(text) }
    var kept = ""
    var bytes = 0
    for character in text.unicodeScalars {
      bytes += UTF8.width(character)
      if bytes > WireLimits.reasonBytesMax { break }
      kept.unicodeScalars.append(character)
    }
    return unsafe data(kept)
  }
}

/// The bytes of the message that `build` makes.
func packed<Message>(_ build: (Arena) -> UnsafeMutablePointer<Message>) -> [UInt8] {
  let arena = Arena()
  // Every message of protobuf-c begins with its base.
  let base = unsafe UnsafeMutableRawPointer(build(arena)).assumingMemoryBound(
    to: ProtobufCMessage.self)
  let size = unsafe protobuf_c_message_get_packed_size(base)
  let bytes = unsafe [UInt8](unsafeUninitializedCapacity: size) { buffer, count in
    count = unsafe protobuf_c_message_pack(base, buffer.baseAddress)
  }
  withExtendedLifetime(arena) {}
  return bytes
}

/// How many bytes the message that `build` makes will have.
func packedSize<Message>(_ build: (Arena) -> UnsafeMutablePointer<Message>) -> Int {
  let arena = Arena()
  let base = unsafe UnsafeMutableRawPointer(build(arena)).assumingMemoryBound(
    to: ProtobufCMessage.self)
  let size = unsafe protobuf_c_message_get_packed_size(base)
  withExtendedLifetime(arena) {}
  return size
}

typealias Unpack<Message> = (
  UnsafeMutablePointer<ProtobufCAllocator>?, Int, UnsafePointer<UInt8>?
) -> UnsafeMutablePointer<Message>?

/// Unpacks `bytes` with `unpack`, hands the C message to `read` and frees it.
///
/// The heap that the message may take is bounded: beyond it, protobuf-c is told that there is no
/// memory, and gives up cleanly.
func unpacked<Message, Value>(
  _ bytes: [UInt8], as name: String, _ unpack: Unpack<Message>,
  _ read: (Message) throws(ProtocolError) -> Value
) throws(ProtocolError) -> Value {
  guard !bytes.isEmpty else { throw .empty(message: name) }
  guard bytes.count <= WireLimits.messageBytesMax else {
    throw .tooLong(message: name, bytes: bytes.count, limit: WireLimits.messageBytesMax)
  }
  let budget = UnsafeMutablePointer<Int>.allocate(capacity: 1)
  unsafe budget.initialize(to: WireLimits.unpackedBytesMax)
  defer { unsafe budget.deallocate() }
  var allocator = unsafe ProtobufCAllocator(
    alloc: { context, size in
      guard let budget = unsafe context?.assumingMemoryBound(to: Int.self),
        unsafe size <= budget.pointee
      else { return nil }
      unsafe budget.pointee -= size
      return unsafe malloc(size)
    },
    free: { _, block in unsafe free(block) }, allocator_data: budget)
  guard let message = unsafe unpack(&allocator, bytes.count, bytes) else {
    throw .malformed(message: name)
  }
  defer {
    let base = unsafe UnsafeMutableRawPointer(message).assumingMemoryBound(
      to: ProtobufCMessage.self)
    unsafe protobuf_c_message_free_unpacked(base, &allocator)
  }
  return try unsafe read(message.pointee)
}
