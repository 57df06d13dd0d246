import Synchronization

/// A slot of another process's memory, with a payload for this one: given back when nobody here has
/// it any more, whichever thread that is on.
final class Loan: Sendable {
  /// Which of the slots that its owner lent to this member.
  struct Number: Hashable {
    /// Of the connection by which it was told of.
    var link: UInt64
    /// From 1, without gaps.
    var count: UInt64
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

  /// What was lent over one connection, in order: what is missing was lost on its way.
  struct Order {
    /// More than libzmq has on its way.
    static let lostMax: UInt64 = 4096

    private var last: Number?

    /// - Returns: what should have come before it.
    mutating func take(_ number: Number) -> [Number] {
      let first = last?.link == number.link ? last?.count ?? 0 : 0
      guard number.count > first else { return [] }
      last = number
      let missing = min(number.count - first - 1, Self.lostMax)
      return (number.count - missing..<number.count).map { Number(link: number.link, count: $0) }
    }
  }
}
