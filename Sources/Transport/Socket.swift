import CZeroMQ
import Glibc

/// A libzmq context: its I/O thread and the names of its inproc endpoints.
@safe final class Context {
  let handle: UnsafeMutableRawPointer

  init() throws(TransportError) {
    guard let handle = unsafe zmq_ctx_new() else {
      throw .system(call: "zmq_ctx_new", reason: lastReason())
    }
    unsafe self.handle = handle
  }

  /// Waits for the sockets' linger. All sockets must be closed.
  func terminate() {
    // Interrupted by a signal it must be called again.
    while unsafe zmq_ctx_term(handle) != 0 && zmq_errno() == EINTR {}
  }
}

/// What a thread waits for.
enum Awaited {
  case wakeUp(WakeUp)
  case socket(Socket, readable: Bool, writable: Bool = false)
}

/// Sleeps until one of them is there, or the time is over; nil waits for ever.
func poll(_ awaited: [Awaited], milliseconds: Int?) {
  var items = unsafe awaited.map { item in
    switch item {
    case .wakeUp(let wakeUp):
      unsafe zmq_pollitem_t(
        socket: nil, fd: wakeUp.descriptor, events: Int16(ZMQ_POLLIN), revents: 0)
    case .socket(let socket, let readable, let writable):
      unsafe zmq_pollitem_t(
        socket: socket.handle, fd: 0,
        events: Int16((readable ? ZMQ_POLLIN : 0) | (writable ? ZMQ_POLLOUT : 0)), revents: 0)
    }
  }
  _ = unsafe zmq_poll(&items, Int32(items.count), milliseconds ?? -1)
}

/// What became of an attempt to send.
enum SendOutcome { case sent, wouldBlock, unreachable, failed }

/// A libzmq socket. It belongs to one thread at a time.
@safe final class Socket {
  let handle: UnsafeMutableRawPointer
  /// Frames up to this size are copied into arrays: cheaper than a message object of their own.
  private static let smallBytes = 4096
  /// More frames than any of our messages has; such a message is dropped.
  private static let framesMax = 64

  init(_ context: Context, type: Int32) throws(TransportError) {
    guard let handle = unsafe zmq_socket(context.handle, type) else {
      throw .system(call: "zmq_socket", reason: lastReason())
    }
    unsafe self.handle = handle
  }

  func close() { _ = unsafe zmq_close(handle) }

  func set(_ option: Int32, _ value: Int32) throws(TransportError) {
    var value = value
    guard unsafe zmq_setsockopt(handle, option, &value, MemoryLayout<Int32>.size) == 0 else {
      throw .system(call: "zmq_setsockopt \(option)", reason: lastReason())
    }
  }

  func set(_ option: Int32, long value: Int64) throws(TransportError) {
    var value = value
    guard unsafe zmq_setsockopt(handle, option, &value, MemoryLayout<Int64>.size) == 0 else {
      throw .system(call: "zmq_setsockopt \(option)", reason: lastReason())
    }
  }

  func set(_ option: Int32, _ text: String) throws(TransportError) {
    guard unsafe zmq_setsockopt(handle, option, text, text.utf8.count) == 0 else {
      throw .system(call: "zmq_setsockopt \(option)", reason: lastReason())
    }
  }

  func apply(_ limits: SocketLimits) throws(TransportError) {
    try set(ZMQ_MAXMSGSIZE, long: Int64(limits.frameBytesMax))
    try set(ZMQ_SNDHWM, Int32(clamping: limits.highWaterMark))
    try set(ZMQ_RCVHWM, Int32(clamping: limits.highWaterMark))
    try set(ZMQ_LINGER, limits.linger.milliseconds)
    try set(ZMQ_HEARTBEAT_IVL, limits.heartbeatEvery.milliseconds)
    try set(ZMQ_HEARTBEAT_TIMEOUT, limits.heartbeatTimeout.milliseconds)
    try set(ZMQ_HEARTBEAT_TTL, limits.heartbeatTimeout.milliseconds)
    try set(ZMQ_HANDSHAKE_IVL, limits.handshakeTimeout.milliseconds)
    try set(ZMQ_RECONNECT_IVL, limits.reconnectMin.milliseconds)
    try set(ZMQ_RECONNECT_IVL_MAX, limits.reconnectMax.milliseconds)
    try set(ZMQ_BACKLOG, 1024)
  }

  /// Lets a PAIR socket that connects to this endpoint read what happens to connections.
  func monitor(_ kinds: Int32, at endpoint: String) throws(TransportError) {
    guard unsafe zmq_socket_monitor(handle, endpoint, kinds) == 0 else {
      throw .system(call: "zmq_socket_monitor", reason: lastReason())
    }
  }

  /// The next thing that happened to a watched socket; nil when there is nothing to read.
  ///
  /// libzmq writes the kind in 16 bits and a value in 32, here the TCP socket, then the endpoint.
  func receiveEvent() -> (kind: Int32, value: Int32)? {
    while let frames = receive() {
      guard let head = frames.first?.bytes, head.count >= 6 else { continue }
      let value = head[2..<6].reversed().reduce(0 as UInt32) { $0 << 8 | UInt32($1) }
      return (Int32(head[0]) | Int32(head[1]) << 8, Int32(bitPattern: value))
    }
    return nil
  }

  func bind(_ endpoint: String) throws(TransportError) {
    // A port of 0 is spelt `*` in libzmq.
    let spelt = endpoint.hasSuffix(":0") ? endpoint.dropLast() + "*" : endpoint[...]
    guard unsafe zmq_bind(handle, String(spelt)) == 0 else {
      throw .bind(endpoint: endpoint, reason: lastReason())
    }
  }

  func connect(_ endpoint: String) throws(TransportError) {
    guard unsafe zmq_connect(handle, endpoint) == 0 else {
      throw .connect(endpoint: endpoint, reason: lastReason())
    }
  }

  /// Forgets the endpoint; nothing happens when libzmq has done so already.
  func disconnect(_ endpoint: String) { _ = unsafe zmq_disconnect(handle, endpoint) }

  /// As it was bound: with the port that the system chose.
  var boundEndpoint: String {
    var text = [CChar](repeating: 0, count: 256)
    var size = text.count
    _ = unsafe zmq_getsockopt(handle, ZMQ_LAST_ENDPOINT, &text, &size)
    return String(
      decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }

  /// Sends one message as a whole or not at all, without waiting.
  func send(_ frames: [Frame]) -> SendOutcome {
    for (index, frame) in frames.enumerated() {
      var message = zmq_msg_t()
      guard unsafe frame.prepare(&message) else { return .failed }
      let flags = ZMQ_DONTWAIT | (index < frames.count - 1 ? ZMQ_SNDMORE : 0)
      var result: Int32
      repeat {
        result = unsafe zmq_msg_send(&message, handle, flags)
      } while result < 0
        && zmq_errno() == EINTR
      if result >= 0 { continue }
      let reason = zmq_errno()
      _ = unsafe zmq_msg_close(&message)
      switch reason {
      case EAGAIN: return .wouldBlock
      case EHOSTUNREACH: return .unreachable
      default: return .failed
      }
    }
    return .sent
  }

  /// One message with all its frames, or nil when none waits.
  func receive() -> [Frame]? { unsafe receive(inspecting: { _ in }) }

  /// As `receive`.
  /// - Parameter inspect: called with every frame's message before it is taken over.
  func receive(inspecting inspect: (UnsafeMutablePointer<zmq_msg_t>) -> Void) -> [Frame]? {
    var frames: [Frame] = []
    while true {
      var message = zmq_msg_t()
      _ = unsafe zmq_msg_init(&message)
      var result: Int32
      repeat {
        result = unsafe zmq_msg_recv(&message, handle, ZMQ_DONTWAIT)
      } while result < 0
        && zmq_errno() == EINTR
      guard result >= 0 else {
        _ = unsafe zmq_msg_close(&message)
        return nil
      }
      unsafe inspect(&message)
      let more = unsafe zmq_msg_more(&message) != 0
      if frames.count <= Socket.framesMax { frames.append(unsafe Socket.frame(&message)) }
      _ = unsafe zmq_msg_close(&message)
      if !more { return frames.count <= Socket.framesMax ? frames : [] }
    }
  }

  private static func frame(_ message: UnsafeMutablePointer<zmq_msg_t>) -> Frame {
    let size = unsafe zmq_msg_size(message)
    guard size <= smallBytes, let data = unsafe zmq_msg_data(message) else {
      return unsafe Frame(taking: message)
    }
    return unsafe Frame(Array(UnsafeRawBufferPointer(start: data, count: size)))
  }
}
