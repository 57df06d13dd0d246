import Domain

/// What a phase has still to ask, in its order: purposes, of which jobs are made a few at a time.
struct Backlog: Sendable {
  private var purposes: [Purpose]
  private var next = 0

  init(_ purposes: [Purpose] = []) { self.purposes = purposes }

  var count: Int { purposes.count - next }
  var isEmpty: Bool { count == 0 }

  /// The next ones, which are in it no more.
  mutating func take(_ most: Int) -> [Purpose] {
    let taken = Array(purposes[next..<min(next + most, purposes.count)])
    next += taken.count
    if isEmpty { self = Backlog() }
    return taken
  }
}
