import Domain

/// What becomes of messages on their way.
struct Network {
  private struct Link: Hashable {
    var from: Machine
    var to: Machine
  }
  private var cuts: [Link: Moment] = [:]
  private var plan: FaultPlan
  private var random: SeededRandom
  private var isHealed = false

  init(_ plan: FaultPlan, seed: UInt64) {
    self.plan = plan
    random = SeededRandom(seed: seed, "network")
  }

  mutating func heal() {
    isHealed = true
    cuts = [:]
  }

  mutating func cut(from: Machine, to: Machine, until end: Moment) {
    guard !isHealed else { return }
    cuts[Link(from: from, to: to)] = end
  }

  func isOpen(from: Machine, to: Machine, at now: Moment) -> Bool {
    guard let end = cuts[Link(from: from, to: to)] else { return true }
    return end <= now
  }

  /// After how long each copy of a message arrives; none when it is lost.
  mutating func fate(from: Machine, to: Machine, at now: Moment) -> [Duration] {
    guard isOpen(from: from, to: to, at: now) else { return [] }
    if isHealed { return [.microseconds(200 + random.below(2000))] }
    if random.unit() < plan.lossShare { return [] }
    let copies = random.unit() < plan.duplicateShare ? 2 : 1
    return (0..<copies).map { _ in
      let base = Duration.microseconds(200 + random.below(2000))
      guard random.unit() < plan.delayShare else { return base }
      return base + plan.delayMax * random.unit()
    }
  }
}
