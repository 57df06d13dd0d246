import Domain

/// How long a step may take, learned from those before it.
///
/// Times are kept per virtual rank of the busiest member, so that they stay comparable when members
/// come and go. The limit is median + 6 · MAD (about four standard deviations), twice over, and
/// doubles with every time-out of the same step; after one or two steps, ten times the longer one.
struct StepPatience: Sendable {
  private var perRank: [Duration] = []
  private let first: Duration
  private let least: Duration
  private static let kept = 33

  init(first: Duration, least: Duration) {
    self.first = first
    self.least = least
  }

  mutating func took(_ duration: Duration, ranksMax: Int) {
    perRank.append(duration / max(1, ranksMax))
    if perRank.count > StepPatience.kept { perRank.removeFirst() }
  }

  func limit(ranksMax: Int, timeouts: Int) -> Duration {
    let doubling = 1 << min(timeouts, 6)
    guard let longest = perRank.max() else { return first * doubling }
    let middle = median(perRank)
    let deviation = median(perRank.map { $0 > middle ? $0 - middle : middle - $0 })
    // One or two tell nothing of how much they differ.
    let usual = perRank.count < 3 ? longest * 5 : middle + deviation * 6
    return max(least, usual * (2 * max(1, ranksMax))) * doubling
  }

  /// The middle of what was measured, for a step of this load; nil before the first.
  func expected(ranksMax: Int) -> Duration? {
    perRank.isEmpty ? nil : median(perRank) * max(1, ranksMax)
  }
}

private func median(_ values: [Duration]) -> Duration {
  values.sorted()[values.count / 2]
}
