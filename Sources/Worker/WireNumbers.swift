import Domain
import Kernels
import Protocol
import Transport

// What is summed and sent in a precision of the wire.

extension WirePrecision {
  /// Makes of a rank's gradient what enters the tree.
  func round(_ gradient: Floats, on compute: Compute) {
    if self == .bf16 { roundToBF16(gradient, on: compute) }
  }

  /// The sum of two halves, in one of them if that may be written.
  /// - Parameter room: memory from which it can be sent without a copy, of so many bytes.
  func sum(
    _ a: Chunk, _ b: Chunk, on compute: Compute, room: (Int) -> Mesh.Room? = { _ in nil }
  ) -> Chunk {
    if a.isScratch || b.isScratch {
      let (target, other) = a.isScratch ? (a, b) : (b, a)
      add(into: target.values, other.values, on: compute)
      return target
    }
    let count = a.values.count
    let sum =
      (self == .f32 ? room(bytes * count).flatMap(Floats.init) : nil) ?? Floats(unfilled: count)
    Kernels.add(a.values, b.values, into: sum, on: compute)
    round(sum, on: compute)
    return Chunk(values: sum, isScratch: true)
  }

  /// Makes of one half of a sum the sum, as it would be sent: the same wherever it is made.
  func add(into half: Floats, _ other: Floats, on compute: Compute) {
    Kernels.add(into: half, other, on: compute)
    round(half, on: compute)
  }

  /// - Parameter values: in bf16 such as `round` leaves behind.
  func payload(of values: Floats) -> Payload {
    switch self {
    case .f32: return values.payload
    case .bf16:
      let halves = halves(of: values)
      return halves.withUnsafeMutableBufferPointer {
        let bytes = UnsafeRawBufferPointer($0)[..<(bytes * values.count)]
        return Payload(keeping: halves, UnsafeRawBufferPointer(rebasing: bytes))
      }
    }
  }

  /// What came over a mesh; nil when it is no whole number of elements.
  func values(_ payload: Payload) -> Floats? {
    switch self {
    case .f32: Floats(payload)
    case .bf16: payload.count % 2 == 0 ? Floats(halves: payload.bytes) : nil
    }
  }
}

extension CellKind {
  /// How its values are sent in a training of this precision: state is, as it is.
  func precision(_ wire: WirePrecision) -> WirePrecision {
    if case .state = self { .f32 } else { wire }
  }
}

/// Lets the weights that members compute with follow the master weights, by a change that can be
/// sent in bf16: what it leaves out is in the next one.
///
/// - Parameters:
///   - weights: (n), updated.
///   - master: (n).
/// - Returns: (n), what was added.
func follow(_ weights: Floats, master: Floats, on compute: Compute) -> Floats {
  let change = Floats(zeros: weights.count)
  change.copy(from: master)
  addScaled(into: change, weights, by: -1, on: compute)
  roundToBF16(change, on: compute)
  add(into: weights, change, on: compute)
  return change
}
