/// A small, fast generator whose whole state is its seed: SplitMix64.
///
/// Same seed, same sequence, on every machine and in every process.
/// - Source: Steele, Lea & Flood 2014.
public struct SeededRandom: RandomNumberGenerator, Sendable {
  private var state: UInt64

  public init(seed: UInt64) { state = seed }

  /// A generator of its own for each purpose: `label` separates uses, `index` the items of a use.
  public init(seed: UInt64, _ label: StaticString, _ index: UInt64 = 0) {
    let name = label.withUTF8Buffer { fnv1a($0) }
    state = mixed(seed &+ mixed(name &+ mixed(index)))
  }

  public mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    return mixed(state)
  }

  /// Uniform in [0, 1), from the upper 53 bits.
  public mutating func unit() -> Double { Double(next() >> 11) * 0x1p-53 }

  /// Uniform in 0..<bound, by rejection, so that no value is favoured.
  public mutating func below(_ bound: Int) -> Int {
    precondition(bound > 0, "a bound above 0 expected, \(bound) given")
    let range = UInt64(bound)
    let limit = UInt64.max - UInt64.max % range
    while true {
      let draw = next()
      if draw < limit { return Int(draw % range) }
    }
  }

  /// Fisher–Yates, from the end; defined here because the standard library's order may change.
  public mutating func shuffled<Element>(_ items: [Element]) -> [Element] {
    var result = items
    for last in stride(from: result.count - 1, to: 0, by: -1) {
      result.swapAt(last, below(last + 1))
    }
    return result
  }
}

private func mixed(_ value: UInt64) -> UInt64 {
  var z = value
  z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
  z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
  return z ^ (z >> 31)
}
