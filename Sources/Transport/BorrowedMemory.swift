/// Memory of other members of a mesh, on this machine, as far as it is open here: by the member's
/// name.
struct BorrowedMemory {
  /// Members on one machine: a bound. Who is one too many sends by the socket.
  private static let ownersMax = 1024
  /// Regions of a member: a bound, far above what a step needs.
  private static let regionsMax = 4096

  private struct Owner {
    /// By token.
    var regions: [UInt64: SharedRegion] = [:]
    var order = Loan.Order()
    /// What is to be given back when the owner is a member again.
    var unsaid: [Loan.Number] = []
  }

  private let returns: Loan.Returns
  private var owners: [String: Owner] = [:]

  /// - Parameter wakeUp: given a sign when there is something to give back.
  init(_ wakeUp: WakeUp) { returns = Loan.Returns(wakeUp) }

  /// Opens a region of a member.
  /// - Returns: false when it cannot be reached, or is something else.
  mutating func open(_ offer: SharedRegion.Offer, of owner: String) -> Bool {
    var known = owners[owner] ?? Owner()
    // Of a process that is no more, nothing comes.
    if known.regions.values.contains(where: { $0.offer.process != offer.process }) {
      known = Owner()
    }
    guard known.regions.count < Self.regionsMax,
      owners.count < Self.ownersMax || owners[owner] != nil,
      let region = SharedRegion(opening: offer)
    else { return false }
    known.regions[offer.token] = region
    owners[owner] = known
    return true
  }

  mutating func retired(_ token: UInt64, of owner: String) {
    owners[owner]?.regions[token] = nil
  }

  /// What a member put into a slot; nil where there is no such one, or no more.
  mutating func payload(
    _ slot: Int, count: Int, token: UInt64, _ number: Loan.Number, of owner: String
  ) -> Payload? {
    guard let lost = owners[owner]?.order.take(number) else { return nil }
    if !lost.isEmpty { returns.add(lost, to: owner) }
    guard let region = owners[owner]?.regions[token],
      let bytes = unsafe region.bytes(slot, count: count)
    else {
      returns.add([number], to: owner)
      return nil
    }
    return unsafe Payload(onLoan: Loan(region, number, of: owner, to: returns), bytes)
  }

  /// What is to be given back now.
  mutating func takeReturns(isMember: (String) -> Bool) -> [String: [Loan.Number]] {
    var all = returns.take()
    for (owner, loans) in all where !isMember(owner) {
      owners[owner]?.unsaid += loans
      all[owner] = nil
    }
    return all
  }

  /// What a member that is new has to hear: regions that are open, and what is given back.
  mutating func words(to owner: String) -> [MeshEnvelope] {
    guard let known = owners[owner] else { return [] }
    owners[owner]?.unsaid = []
    return known.regions.keys.map { .accepted(token: $0) } + [.returned(known.unsaid)]
  }

  /// Whether a member's process is known to be no more: then it reads nothing that it was lent.
  func hasEnded(_ owner: String) -> Bool {
    guard let region = owners[owner]?.regions.values.first else { return false }
    return !region.isOwnerRunning
  }

  /// Lets go of the memory of who is no member and never will be again: the process has ended.
  mutating func forgetTheGone(isMember: (String) -> Bool) {
    owners = owners.filter { name, owner in
      isMember(name) || owner.regions.values.contains { $0.isOwnerRunning }
    }
  }
}
