/// Scratch memory that is made once and lent again and again, so that hot loops allocate nothing.
///
/// `floats` takes the next free part; `scope` gives back at its end all that was taken inside.
/// What was given back is lent again: a window kept past its scope shows other values.
/// One arena belongs to one thread at a time.
public final class Arena {
  private var blocks: [Floats] = []
  private var block = 0
  private var used = 0
  /// The most that was ever lent at one time, in floats, losses at block ends included.
  public private(set) var peakCount = 0

  /// - Parameter capacity: floats to reserve now; the arena grows by itself when they do not do.
  public init(capacity: Int = 0) {
    if capacity > 0 { blocks.append(Floats(zeros: Self.rounded(capacity))) }
  }

  /// `count` floats, aligned to 64 bytes, **holding anything**.
  public func floats(_ count: Int) -> Floats {
    precondition(count >= 0, "a count of 0 or more expected, \(count) given")
    let size = Self.rounded(count)
    while block < blocks.count, used + size > blocks[block].count {
      block += 1
      used = 0
    }
    if block == blocks.count {
      let capacity = blocks.reduce(0) { $0 + $1.count }
      blocks.append(Floats(zeros: max(size, capacity, 16_384)))
    }
    defer { used += size }
    let before = blocks[..<block].reduce(0) { $0 + $1.count }
    peakCount = max(peakCount, before + used + size)
    return blocks[block][used..<used + count]
  }

  /// Runs `body`, then takes back everything lent inside it.
  public func scope<Result, Failure: Error>(
    _ body: () throws(Failure) -> Result
  ) throws(Failure) -> Result {
    let mark = (block, used)
    defer { (block, used) = mark }
    return try body()
  }

  /// Takes back everything.
  public func reset() { (block, used) = (0, 0) }

  private static func rounded(_ count: Int) -> Int { (count + 15) & ~15 }
}
