public import Domain
import Hashing
import Kernels
import Scheduling
public import Transformer

/// A training's state as the coordinator has it stored.
struct SavedState: Sendable {
  private enum Form: Sendable {
    case segments(CheckpointManifest)
    /// Of before there were segments: weights, first and second moments in one blob.
    case whole([UInt8])
  }

  let checkpoint: TrainingCheckpoint
  private let form: Form
  private static let wholeMagic = Array("comd-state-1".utf8)

  /// Fetches what names the state's parts.
  nonisolated(nonsending) init(_ checkpoint: TrainingCheckpoint, _ blobs: BlobClient) async throws {
    try self.init(checkpoint, bytes: await blobs.bytes(of: checkpoint.state))
  }

  /// - Parameter bytes: of the blob that names the state's parts, or is all of it.
  init(_ checkpoint: TrainingCheckpoint, bytes: [UInt8]) throws {
    self.checkpoint = checkpoint
    form =
      bytes.starts(with: Self.wholeMagic)
      ? .whole(bytes) : .segments(try CheckpointManifest(parsing: bytes))
  }

  /// Puts the stored weights into `weights`, (N).
  nonisolated(nonsending) func restore(
    _ weights: Floats, _ blobs: BlobClient, _ cache: BlobCache
  ) async throws {
    let wanted = Set(weightParts)
    let pin = cache.pin(wanted)
    defer { withExtendedLifetime(pin) {} }
    try await blobs.fetch(wanted)
    try restore(weights) { try cache.read($0) }
  }

  /// - Parameter read: gives a blob.
  func restore(_ weights: Floats, read: (Digest) throws -> [UInt8]) throws {
    if case .whole(let bytes) = form {
      return try copy(bytes, part: 0, 0..<weights.count, into: weights)
    }
    for (segment, digest) in weightParts.enumerated() {
      let range = segmentRange(segment, of: weights.count, segments: weightParts.count)
      try fill(weights[range], from: read(digest)[...])
    }
  }

  /// Blobs of the segments' weights.
  private var weightParts: [Digest] {
    switch form {
    case .whole: []
    case .segments(let manifest): manifest.segments.map(\.weights)
    }
  }

  /// The stored moments of a segment of a vector of `count` elements.
  nonisolated(nonsending) func moments(
    of segment: Int, segments: Int, count: Int, _ wire: WirePrecision, _ blobs: BlobClient
  ) async throws -> Moments {
    let range = segmentRange(segment, of: count, segments: segments)
    let moments = Moments(zeros: range.count, wire)
    switch form {
    case .whole(let bytes):
      try copy(bytes, part: 1, range, of: count, into: moments.first)
      try copy(bytes, part: 2, range, of: count, into: moments.second)
    case .segments(let manifest):
      guard manifest.segments.count == segments else {
        throw TrainingStateError.foreign(bytes: manifest.segments.count, expected: segments)
      }
      let bytes = try await blobs.bytes(of: manifest.segments[segment].moments)
      let parts = moments.parts
      let size = 4 * range.count
      guard bytes.count == parts.count * size else {
        throw TrainingStateError.foreign(bytes: bytes.count, expected: parts.count * size)
      }
      for (place, part) in parts.enumerated() {
        try fill(part, from: bytes[place * size..<(place + 1) * size])
      }
    }
    return moments
  }

  private func copy(
    _ bytes: [UInt8], part: Int, _ range: Range<Int>, of count: Int? = nil, into target: Floats
  ) throws {
    let count = count ?? target.count
    let head = Self.wholeMagic.count + 16
    guard bytes.count == head + 12 * count else {
      throw TrainingStateError.foreign(bytes: bytes.count, expected: head + 12 * count)
    }
    let start = head + 4 * (part * count + range.lowerBound)
    try fill(target, from: bytes[start..<start + 4 * range.count])
  }

  private func fill(_ values: Floats, from bytes: ArraySlice<UInt8>) throws {
    guard bytes.count == 4 * values.count else {
      throw TrainingStateError.foreign(bytes: bytes.count, expected: 4 * values.count)
    }
    values.withUnsafeMutableBufferPointer { target in
      bytes.withUnsafeBytes { UnsafeMutableRawBufferPointer(target).copyMemory(from: $0) }
    }
  }
}

/// The student as a checkpoint of its training has it, adapters merged.
///
/// - Parameters:
///   - base: the student that the training began with; nobody else may use its memory from now on.
///   - read: gives a blob.
public func student(
  of plan: TrainingPlan, at checkpoint: TrainingCheckpoint, base: Model,
  read: (Digest) throws -> [UInt8]
) throws -> Model {
  let model = TrainingState.begin(base, plan.recipe)
  let weights = model.parameters[model.layout.range(of: TrainedParts(plan.recipe))]
  try SavedState(checkpoint, bytes: read(checkpoint.state)).restore(weights, read: read)
  return model.adapters == nil ? model : model.merged(on: try Compute())
}
