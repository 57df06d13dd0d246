/// The stream of random numbers behind one request or one initialisation: SplitMix64.
///
/// The same algorithm as `Domain.SeededRandom`; this room knows no cluster, so it has its own.
/// - Source: Steele, Lea & Flood 2014.
struct SeededStream: Sendable {
  private var state: UInt64

  init(seed: UInt64) { state = seed }

  mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var z = state
    z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
    z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
    return z ^ (z >> 31)
  }

  /// Uniform in [0, 1), from the upper 53 bits.
  mutating func unit() -> Double { Double(next() >> 11) * 0x1p-53 }
}
