import Domain

/// How fast jobs end: the mean over the last minute or so.
struct RateMeter: Sendable {
  private struct Sample: Sendable {
    var at: Moment
    var settled: Int
  }
  private var samples: [Sample] = []
  private static let samplesMax = 64
  private static let sampleEvery = Duration.seconds(1)

  mutating func sample(settled: Int, at now: Moment) {
    if let last = samples.last {
      if settled < last.settled { samples = [] }
      guard now - last.at >= RateMeter.sampleEvery else { return }
    }
    samples.append(Sample(at: now, settled: settled))
    if samples.count > RateMeter.samplesMax { samples.removeFirst() }
  }

  /// Jobs per second; nil before two samples are there.
  var perSecond: Double? {
    guard let first = samples.first, let last = samples.last, last.at > first.at else { return nil }
    return Double(last.settled - first.settled) / seconds(last.at - first.at)
  }
}

func seconds(_ duration: Duration) -> Double {
  let (whole, atto) = duration.components
  return Double(whole) + Double(atto) * 1e-18
}
