import Testing

@testable import Kernels

@Suite("A checksum")
struct ChecksumTests {
  /// The naive twin: each of 64 lanes takes in every 64th value.
  private func reference(_ values: [Float]) -> UInt64 {
    var lanes = (0..<64 as Range<UInt32>).map { 2_166_136_261 &+ $0 }
    for (place, value) in values.enumerated() {
      let mixed = (lanes[place % 64] ^ value.bitPattern) &* 0x9E37_79B1
      lanes[place % 64] = mixed ^ mixed >> 15
    }
    return lanes.reduce(UInt64(values.count)) { sum, lane in
      let mixed = (sum ^ UInt64(lane)) &* 0x9E37_79B9_7F4A_7C15
      return mixed ^ mixed >> 29
    }
  }

  @Test("is that of the naive twin, for any length", arguments: 0...300)
  func twin(count: Int) {
    var state: UInt32 = 7
    let values = (0..<count).map { _ -> Float in
      state = state &* 1_664_525 &+ 1_013_904_223
      return Float(bitPattern: state)
    }
    #expect(checksum(of: Floats(values)) == reference(values))
  }

  @Test("is another for another bit anywhere, and for another order")
  func sensitive() {
    let values = (0..<200).map { Float($0) }
    let whole = checksum(of: Floats(values))
    for place in values.indices {
      var other = values
      other[place] = Float(bitPattern: other[place].bitPattern ^ 1 << (place % 32))
      #expect(checksum(of: Floats(other)) != whole)
      other = values
      other.swapAt(place, (place + 64) % 200)
      #expect(checksum(of: Floats(other)) != whole)
    }
  }
}
