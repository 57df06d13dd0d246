import Kernels

/// A small generator of repeatable test values.
struct Values {
  private var state: UInt64

  init(_ seed: UInt64) { state = seed &* 0x9e37_79b9_7f4a_7c15 | 1 }

  /// Uniform in −1 ..< 1.
  mutating func next() -> Float {
    state ^= state << 13
    state ^= state >> 7
    state ^= state << 17
    return Float(Int32(truncatingIfNeeded: state >> 24)) * 0x1p-31
  }

  mutating func floats(_ count: Int, scale: Float = 1) -> Floats {
    Floats((0..<count).map { _ in next() * scale })
  }
}

/// Row lengths that are no multiple of anything, and the usual ones.
let oddSizes = [1, 7, 16, 63, 65, 576, 1000]

extension Floats {
  /// The bits, to compare results that must be identical.
  var bits: [UInt32] { array.map(\.bitPattern) }

  var copy: Floats { Floats(array) }
}

/// One for each instruction set of this processor, and one with more threads.
func everyCompute() throws -> [Compute] {
  try InstructionSet.supported.map { try Compute(threads: 1, instructionSet: $0) }
    + [try Compute(threads: 3)]
}
