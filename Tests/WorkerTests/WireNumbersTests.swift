import Domain
import Kernels
import Testing
import Transport

@testable import Worker

/// The tree's sum as a training of this precision has it: the naive twin.
func treeSum(_ leaves: [[Float]], _ wire: WirePrecision) -> [Float] {
  func rounded(_ value: Float) -> Float {
    if wire == .f32 { return value }
    let (low, high) = (value.bitPattern & 0xffff_0000, (value.bitPattern | 0xffff) &+ 1)
    let (a, b) = (Float(bitPattern: low), Float(bitPattern: high))
    if abs(value - a) == abs(b - value) { return low & 0x1_0000 == 0 ? a : b }
    return abs(value - a) < abs(b - value) ? a : b
  }
  var level = leaves.map { $0.map(rounded) }
  while level.count > 1 {
    level = stride(from: 0, to: level.count, by: 2).map { left in
      guard left + 1 < level.count else { return level[left] }
      return zip(level[left], level[left + 1]).map { rounded($0 + $1) }
    }
  }
  return level[0]
}

@Suite("Numbers on the wire")
struct WireNumbersTests {
  @Test("come as they went, in either precision", arguments: WirePrecision.allCases, 1...40)
  func roundTrip(wire: WirePrecision, count: Int) throws {
    let compute = try Compute(threads: 1)
    var random = SeededRandom(seed: UInt64(count), "wire")
    let values = Floats(
      (0..<count).map { _ in Float(random.unit() - 0.5) * Float(1 << random.below(30)) })
    wire.round(values, on: compute)
    let payload = wire.payload(of: values)
    #expect(payload.count == (wire == .f32 ? 4 : 2) * count)
    #expect(wire.values(payload)?.array.map(\.bitPattern) == values.array.map(\.bitPattern))
  }

  @Test(
    "are added in one of the two that may be written, and elsewhere when none may",
    arguments: WirePrecision.allCases)
  func sum(wire: WirePrecision) throws {
    let compute = try Compute(threads: 1)
    let halves: [[Float]] = [[1, 2.5, 1000.25], [0.125, -2.5, 3]]
    for (isA, isB) in [(false, false), (true, false), (false, true), (true, true)] {
      let (a, b) = (Floats(halves[0]), Floats(halves[1]))
      let sum = wire.sum(
        Chunk(values: a, isScratch: isA), Chunk(values: b, isScratch: isB), on: compute)
      #expect(sum.isScratch && sum.values.array == treeSum(halves, wire))
      if !isA { #expect(a.array == halves[0]) }
      if !isB { #expect(b.array == halves[1]) }
    }
  }

  @Test("of half an element are none")
  func torn() {
    let three = [UInt8](repeating: 0, count: 3)
    let payload = Floats(zeros: 1).payload
    let bytes = three.withUnsafeBytes { wire in
      WirePrecision.allCases.map { $0.values(.init(keeping: payload.owner, wire)) == nil }
    }
    #expect(bytes == [true, true])
  }

  @Test("that are no numbers, or without bound, arrive as such")
  func special() throws {
    let compute = try Compute(threads: 1)
    let values = Floats([.nan, .infinity, -.infinity, 0, -0.0, .greatestFiniteMagnitude])
    WirePrecision.bf16.round(values, on: compute)
    let came = try #require(WirePrecision.bf16.values(WirePrecision.bf16.payload(of: values)))
    #expect(came[0].isNaN && came[1] == .infinity && came[2] == -.infinity)
    #expect(came[3] == 0 && came[4].sign == .minus && came[5] == .infinity)
  }
}
