#if canImport(Glibc)
  import Glibc
#endif

/// Wakes a waiting thread, which may also wait for a time: of the clock that nobody sets.
///
/// A `DispatchSemaphore` waits until a time of day on Linux: when the clock is set back by an hour,
/// half a second takes an hour and a half second. Rung without a waiter, it lets the next one pass.
public final class Bell: Sendable {
  /// A pipe, of which `poll` says that something is in it.
  private let (out, into): (Int32, Int32)

  public init() {
    var ends: [Int32] = [-1, -1]
    precondition(pipe(&ends) == 0, "no descriptor is left for a thread's bell")
    (out, into) = (ends[0], ends[1])
    for end in ends {
      _ = fcntl(end, F_SETFD, FD_CLOEXEC)
      _ = fcntl(end, F_SETFL, O_NONBLOCK)
    }
  }

  deinit {
    close(out)
    close(into)
  }

  /// When the pipe is full, it has been rung often enough.
  public func ring() { _ = write(into, [1], 1) }

  /// Returns when rung, or after this time, in whole milliseconds; nil: when rung.
  public func wait(for time: Duration? = nil) {
    var awaited = pollfd(fd: out, events: Int16(POLLIN), revents: 0)
    let milliseconds = time.map { Int32(clamping: Int(($0 / .milliseconds(1)).rounded(.up))) }
    poll(&awaited, 1, milliseconds ?? -1)
    var rung = [UInt8](repeating: 0, count: 64)
    while read(out, &rung, rung.count) == rung.count {}
  }
}
