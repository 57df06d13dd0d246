import Domain

/// How fast jobs end: the mean since the oldest of the last moments at which some ended.
///
/// Workers report in batches, minutes apart where models are large; so the window is counted in
/// reports, not in seconds, and a rate without news falls slowly.
struct RateMeter: Sendable {
  private struct Sample: Sendable {
    var at: Moment
    var settled: Int
  }
  private var samples: [Sample] = []
  private var latest = Moment.zero
  private static let samplesMax = 64
  private static let sampleEvery = Duration.seconds(1)

  mutating func sample(settled: Int, at now: Moment) {
    latest = now
    if let last = samples.last {
      if settled < last.settled {
        samples = []
      } else if settled == last.settled || now - last.at < RateMeter.sampleEvery {
        return
      }
    }
    samples.append(Sample(at: now, settled: settled))
    if samples.count > RateMeter.samplesMax { samples.removeFirst() }
  }

  /// Jobs per second; nil until some have ended.
  var perSecond: Double? {
    guard let first = samples.first, let last = samples.last, last.settled > first.settled else {
      return nil
    }
    return Double(last.settled - first.settled) / seconds(latest - first.at)
  }
}

func seconds(_ duration: Duration) -> Double {
  let (whole, atto) = duration.components
  return Double(whole) + Double(atto) * 1e-18
}
