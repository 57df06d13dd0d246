import Domain
import Testing

@testable import Scheduling

@Suite("The rate of jobs")
struct RateMeterTests {
  static func rate(_ samples: [(second: Int, settled: Int)]) -> Double? {
    var meter = RateMeter()
    for sample in samples {
      meter.sample(settled: sample.settled, at: .zero + .seconds(sample.second))
    }
    return meter.perSecond
  }

  @Test("is not known until some have ended")
  func unknown() {
    #expect(Self.rate([]) == nil)
    #expect(Self.rate([(0, 0), (10, 0), (50, 0)]) == nil)
  }

  @Test("of batches that end minutes apart is their mean, and falls when no more end")
  func batches() {
    let quiet = (1...600).map { (second: $0, settled: $0 / 120 * 16) }
    #expect(Self.rate([(0, 0)] + quiet) == 80.0 / 600)
    #expect(Self.rate([(0, 0)] + quiet + [(1_200, 80)]) == 80.0 / 1_200)
  }

  @Test("of many a second is that of the last minute")
  func fast() {
    let before = (0..<100).map { (second: $0, settled: $0) }
    let after = (0..<100).map { (second: 100 + $0, settled: 100 + 5 * $0) }
    #expect(Self.rate(before + after) == 5)
  }

  @Test("begins anew when counting does")
  func anew() {
    #expect(Self.rate([(0, 0), (10, 100), (20, 0), (30, 10)]) == 1)
  }

  @Test("durations are told in tenths of a second")
  func durations() {
    #expect(text(of: .milliseconds(4_149)) == "4.1 s")
    #expect(text(of: .seconds(120)) == "120.0 s")
  }
}
