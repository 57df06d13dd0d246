import Domain
import Testing

@Suite("A seeded generator")
struct SeededRandomTests {
  @Test("is SplitMix64: the published first values of seed 1234567")
  func published() {
    var random = SeededRandom(seed: 1_234_567)
    let expected: [UInt64] = [
      6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423,
      4_593_380_528_125_082_431, 16_408_922_859_458_223_821,
    ]
    #expect(expected.map { _ in random.next() } == expected)
  }

  @Test("is another one for each label and each index")
  func labelled() {
    var first: Set<UInt64> = []
    for index in 0..<100 as Range<UInt64> {
      var a = SeededRandom(seed: 1, "a", index)
      var b = SeededRandom(seed: 1, "b", index)
      first.formUnion([a.next(), b.next()])
    }
    #expect(first.count == 200)
  }

  @Test("draws below a bound without favour, and in [0, 1)")
  func uniform() {
    var random = SeededRandom(seed: 3)
    var counts = [Int](repeating: 0, count: 6)
    for _ in 0..<60_000 { counts[random.below(6)] += 1 }
    // 10,000 expected each, standard deviation 91.
    #expect(counts.allSatisfy { (9_500...10_500).contains($0) })
    let units = (0..<10_000).map { _ in random.unit() }
    #expect(units.allSatisfy { $0 >= 0 && $0 < 1 })
    #expect(abs(units.reduce(0, +) / 10_000 - 0.5) < 0.02)
    #expect(random.below(1) == 0)
  }

  @Test("shuffles without loss, and every order of three alike")
  func shuffled() {
    var random = SeededRandom(seed: 4)
    var orders: [[Int]: Int] = [:]
    for _ in 0..<6_000 { orders[random.shuffled([1, 2, 3]), default: 0] += 1 }
    #expect(orders.count == 6)
    #expect(orders.values.allSatisfy { (850...1_150).contains($0) })
    #expect(random.shuffled([Int]()).isEmpty)
  }
}
