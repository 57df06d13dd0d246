import Domain
import Formats
import Hashing
import Kernels
import Protocol
import Scheduling
import Transformer

/// Fetches all that a training needs: the student, the samples, their pictures, the newest state.
struct TrainingLoader: Sendable {
  let library: ModelLibrary
  let blobs: BlobClient
  let cache: BlobCache

  /// Works on the caller's thread, which is the training's.
  nonisolated(nonsending) func load(
    _ plan: TrainingPlan, compute: Compute
  ) async throws -> TrainingState {
    let model = TrainingState.begin(try await library.newModel(plan.model), plan.recipe)
    let samples = try decodeTrainingSamples(await blobs.bytes(of: plan.dataset))
    let reader = try PromptReader(model)
    var inputs: [TrainingInput] = []
    inputs.reserveCapacity(samples.count)
    let shown = Set(samples.flatMap(\.images))
    // They are read when their turn comes: until the training is over they stay.
    let pin = cache.pin(shown)
    for sample in samples {
      let (pieces, images) = try reader.read(sample)
      inputs.append(
        TrainingInput(
          images: images.map { modelImage($0, model, pin) }, prefix: pieces, branches: []))
    }
    try await blobs.fetch(shown)
    let state = TrainingState(plan: plan, model: model, inputs: inputs, compute: compute)
    if let checkpoint = plan.checkpoint {
      try await SavedState(checkpoint, blobs).restore(state.weights, blobs, cache)
    }
    return state
  }

  /// The moments of a segment, as a training begins or as a checkpoint has them.
  /// - Parameter weights: (N), as the training begins or as the checkpoint has them.
  nonisolated(nonsending) func moments(
    of segment: Int, segments: Int, weights: Floats, _ base: TrainingBase, _ wire: WirePrecision
  ) async throws -> Moments {
    let range = segmentRange(segment, of: weights.count, segments: segments)
    switch base {
    case .beginning: return Moments(from: weights[range], wire)
    case .checkpoint(let checkpoint):
      return try await SavedState(checkpoint, blobs)
        .moments(of: segment, segments: segments, count: weights.count, wire, blobs)
    }
  }

  private func modelImage(
    _ digest: Digest, _ model: Model, _ pin: BlobCache.Pin
  ) -> ModelImage {
    let cache = cache
    let processor = model.imageProcessor
    return ModelImage(key: digest.hex) {
      guard let processor else { throw PromptReader.Mismatch.noVision }
      defer { withExtendedLifetime(pin) {} }
      return try processor.pixelValues(cache.read(digest), name: digest.hex)
    }
  }
}

extension TrainingSample {
  /// The pictures it shows.
  var images: [Digest] {
    parts.compactMap { if case .image(let digest) = $0.part { digest } else { nil } }
  }
}
