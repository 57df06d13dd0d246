import Synchronization

/// A slot of another process's memory, with a payload for this one: given back when nobody here has
/// it any more, whichever thread that is on.
final class Loan: Sendable {
  /// Which of the slots that its owner lent to this member.
  struct Number: Hashable, Comparable {
    /// Of the connection by which it was told of: a later one to the same member has a higher one.
    var link: UInt64
    /// From 1, without gaps.
    var count: UInt64

    static func < (a: Number, b: Number) -> Bool { (a.link, a.count) < (b.link, b.count) }
  }

  private let region: SharedRegion
  private let number: Number
  private let owner: String
  private let returns: Returns

  init(_ region: SharedRegion, _ number: Number, of owner: String, to returns: Returns) {
    self.region = region
    self.number = number
    self.owner = owner
    self.returns = returns
  }

  deinit { returns.add([number], to: owner) }

  /// What is to be given back, for the mesh's thread to say.
  final class Returns: Sendable {
    private let numbers = Guarded<[String: [Number]]>([:])
    private let wakeUp: WakeUp

    init(_ wakeUp: WakeUp) { self.wakeUp = wakeUp }

    func add(_ more: some Sequence<Number>, to owner: String) {
      let isFirst = numbers.withLock { numbers in
        defer { numbers[owner, default: []] += more }
        return numbers.isEmpty
      }
      if isFirst { wakeUp.signal() }
    }

    /// All, by the owner's name.
    func take() -> [String: [Number]] {
      numbers.withLock { numbers in
        defer { numbers = [:] }
        return numbers
      }
    }
  }

  /// What was lent by one owner, in order: what is missing was lost on its way.
  struct Order {
    /// More than libzmq has on its way.
    static let lostMax: UInt64 = 4096

    private var last: Number?

    /// - Returns: what should have come before it; nil for what was taken for lost, or is of an
    ///   older connection: it came by another way than what followed, and may have been lent anew.
    mutating func take(_ number: Number) -> [Number]? {
      if let last, last >= number { return nil }
      let first = last?.link == number.link ? last?.count ?? 0 : 0
      last = number
      let missing = min(max(number.count, first + 1) - first - 1, Self.lostMax)
      return (number.count - missing..<number.count).map { Number(link: number.link, count: $0) }
    }
  }
}
