import Domain
import Kernels
import Transport

/// A segment's state as a checkpoint has it, in memory from which the coordinator can take it where
/// both are on one machine.
struct SegmentCopy: Sendable {
  let weights: HeldFile
  let moments: HeldFile

  /// - Throws: `TransportError` when the system gives no memory.
  init(_ weights: Floats, _ moments: Moments) throws {
    var file = try HeldFile.Writer()
    try file.append(weights.payload)
    self.weights = file.cut()
    for part in moments.parts { try file.append(part.payload) }
    self.moments = file.cut()
  }
}

/// The state after a step, for as long as a checkpoint takes it: a segment is copied when it is
/// asked for or, if that comes first, when it is about to change.
struct StateSnapshot {
  let training: TrainingID
  let step: Int
  /// Segments that are not copied yet.
  private(set) var left: Set<Int>
  private var copies: [Int: SegmentCopy] = [:]

  init(_ training: TrainingID, step: Int, _ segments: [Int]) {
    self.training = training
    self.step = step
    left = Set(segments)
  }

  /// - Parameter copy: of a segment as it is; nil when it is not here.
  mutating func preserve(_ segment: Int, _ copy: (Int) throws -> SegmentCopy?) rethrows {
    if left.remove(segment) != nil { copies[segment] = try copy(segment) }
  }

  /// Nil for a second time, and for what is no part of it: of another training or step, too.
  mutating func take(
    _ segment: Int, of training: TrainingID, step: Int, _ copy: (Int) throws -> SegmentCopy?
  ) rethrows -> SegmentCopy? {
    guard training == self.training, step == self.step else { return nil }
    try preserve(segment, copy)
    return copies.removeValue(forKey: segment)
  }
}
