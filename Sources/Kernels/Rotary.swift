internal import CKernels

#if canImport(Glibc)
  internal import Glibc
#elseif canImport(Musl)
  internal import Musl
#endif

/// Which two values of a head turn together.
public enum RotaryPairing: Sendable {
  /// Value i with value i + headSize/2: Hugging Face's Llama and Qwen2.
  case halfSplit
  /// Value 2i with value 2i + 1: the original paper, and GGUF's `llama`.
  case interleaved
}

/// Cosines and sines of rotary position embeddings, computed once.
///
/// The angle of pair i at position p is `p · base^(−2i / headSize) / divisor(i)`, each step rounded
/// to f32 as `transformers` does.
/// - Source: Su et al. 2021, eq. 15.
public struct RotaryTable: Sendable {
  public let headSize: Int
  public let positions: Int
  /// (positions, headSize / 2)
  let cosines: Floats
  /// (positions, headSize / 2)
  let sines: Floats

  /// - Parameter divisors: headSize / 2 numbers that stretch the angles; empty: all 1.
  /// - Precondition: an even head size.
  public init(headSize: Int, base: Float, divisors: [Float] = [], positions: Int) {
    precondition(
      divisors.isEmpty || divisors.count == headSize / 2, "\(headSize / 2) divisors expected")
    precondition(headSize > 0 && headSize % 2 == 0, "an even head size expected, not \(headSize)")
    precondition(positions >= 0, "a count of 0 or more expected, \(positions) given")
    self.headSize = headSize
    self.positions = positions
    let half = headSize / 2
    cosines = Floats(zeros: positions * half)
    sines = Floats(zeros: positions * half)
    for i in 0..<half {
      let exponent = Float(2 * i) / Float(headSize)
      let whole = 1 / Float(pow(Double(base), Double(exponent)))
      let frequency = divisors.isEmpty ? whole : whole / divisors[i]
      for position in 0..<positions {
        let angle = Double(Float(position) * frequency)
        cosines[position * half + i] = Float(cos(angle))
        sines[position * half + i] = Float(sin(angle))
      }
    }
  }
}

/// Turns every head of every row by the angles of its position, in place.
///
/// - Parameters:
///   - x: (T, heads, headSize), overwritten.
///   - positions: (T), each below `table.positions`.
///   - inverse: turns back; this is also the derivative of the turn.
/// - Precondition: `x.count` is a multiple of T · headSize.
public func rotate(
  _ x: Floats, positions: [Int32], _ table: RotaryTable, _ pairing: RotaryPairing,
  inverse: Bool = false, on compute: Compute
) {
  guard !positions.isEmpty else { return }
  precondition(
    x.count % (positions.count * table.headSize) == 0, "(T, heads, \(table.headSize)) expected")
  for position in positions {
    precondition(
      position >= 0 && position < table.positions, "\(position) not in 0..<\(table.positions)")
  }
  var call = unsafe ck_rotation()
  unsafe call.rows = positions.count
  unsafe call.heads = x.count / positions.count / table.headSize
  unsafe call.size = table.headSize
  unsafe call.interleaved = pairing == .interleaved
  unsafe call.inverse = inverse
  unsafe call.x = x.base
  unsafe (call.cosines, call.sines) = (
    UnsafePointer(table.cosines.base), UnsafePointer(table.sines.base)
  )
  unsafe positions.withUnsafeBufferPointer { places in
    unsafe call.positions = places.baseAddress
    unsafe ck_rotate(compute.pool, &call)
  }
}

/// The naive twin of `rotate`.
public func rotateReference(
  _ x: Floats, positions: [Int32], _ table: RotaryTable, _ pairing: RotaryPairing,
  inverse: Bool = false
) {
  guard !positions.isEmpty else { return }
  let (size, half) = (table.headSize, table.headSize / 2)
  precondition(x.count % (positions.count * size) == 0, "(T, heads, \(size)) expected")
  let columns = x.count / positions.count
  for (row, position) in positions.enumerated() {
    for head in stride(from: row * columns, to: (row + 1) * columns, by: size) {
      for i in 0..<half {
        let (first, second) =
          switch pairing {
          case .halfSplit: (head + i, head + i + half)
          case .interleaved: (head + 2 * i, head + 2 * i + 1)
          }
        let cosine = table.cosines[Int(position) * half + i]
        let sine = table.sines[Int(position) * half + i] * (inverse ? -1 : 1)
        let (a, b) = (x[first], x[second])
        x[first] = a * cosine - b * sine
        x[second] = b * cosine + a * sine
      }
    }
  }
}
