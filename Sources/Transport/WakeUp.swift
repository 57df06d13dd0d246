import CZeroMQ
import Glibc

/// Wakes a socket's thread out of its poll; any thread may call it.
final class WakeUp: Sendable {
  let descriptor: Int32

  init() throws(TransportError) {
    descriptor = eventfd(0, Int32(EFD_NONBLOCK | EFD_CLOEXEC))
    guard descriptor >= 0 else {
      throw .lastSystemCall("eventfd")
    }
  }

  deinit { _ = Glibc.close(descriptor) }

  func signal() { _ = eventfd_write(descriptor, 1) }

  func drain() {
    var count: eventfd_t = 0
    _ = unsafe eventfd_read(descriptor, &count)
  }
}
