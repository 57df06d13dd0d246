#if THREAD_SANITIZER
  import Foundation

  /// As `Mutex`, over a lock that ThreadSanitizer knows: of `Mutex` it sees the quick path only,
  /// and reports a race whenever two threads really meet.
  final class Guarded<Value>: @unchecked Sendable {
    private let lock = NSLock()
    private var value: Value

    init(_ value: consuming sending Value) { self.value = value }

    func withLock<R, E: Error>(_ body: (inout Value) throws(E) -> R) throws(E) -> R {
      lock.lock()
      defer { lock.unlock() }
      return try body(&value)
    }
  }
#else
  import Synchronization

  /// A value that one thread at a time can reach.
  typealias Guarded = Mutex
#endif
