import Domain

/// How long jobs of one kind take on one worker, or on all: of the latest ones, seconds from the
/// lease to the result for each token that the answer may have.
struct Pace: Sendable {
  private var samples: [Double] = []
  private var next = 0
  private static let samplesMax = 32
  /// Fewer say nothing yet.
  private static let samplesMin = 4
  /// A job is late beyond this many times the median, and beyond the median by so many median
  /// deviations: where times vary by nature, more is still usual.
  private static let ratioUsual = 1.5
  private static let deviationsUsual = 6.0

  mutating func add(_ time: Duration, tokens: Int) {
    let sample = seconds(time) / Double(max(tokens, 1))
    if samples.count < Self.samplesMax {
      samples.append(sample)
    } else {
      samples[next] = sample
      next = (next + 1) % Self.samplesMax
    }
  }

  /// The longest time that is still usual, for each token; nil: not known yet.
  var usualPerToken: Duration? {
    guard samples.count >= Self.samplesMin else { return nil }
    let middle = median(of: samples)
    let deviation = median(of: samples.map { abs($0 - middle) })
    let most = max(middle * Self.ratioUsual, middle + deviation * Self.deviationsUsual)
    return .seconds(most)
  }
}

private func median(of values: [Double]) -> Double {
  let sorted = values.sorted()
  return sorted[sorted.count / 2]
}
