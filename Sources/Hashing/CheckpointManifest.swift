public import Domain
import Foundation

/// What a training's state after some steps is made of; its text is a blob, written when all that
/// it names is stored.
///
/// The order of samples, and the place in it, follow from the seed and the step.
public struct CheckpointManifest: Hashable, Sendable, Codable {
  public struct Segment: Hashable, Sendable, Codable {
    /// f32, little-endian.
    public var weights: Digest
    /// First moments, then second ones.
    public var moments: Digest
  }

  private var format = "comd-checkpoint-1"
  /// 0 for stage 1, else the iteration.
  public var training: Int
  public var step: Int
  /// Of the order of samples.
  public var seed: UInt64
  /// The student as it was before the training.
  public var model: Digest
  /// In the order of the vector.
  public var segments: [Segment]

  public init(_ plan: TrainingPlan, step: Int, _ saved: [SavedSegment]) {
    training = plan.training.iteration
    self.step = step
    seed = plan.recipe.seed
    model = plan.model
    segments = saved.sorted { $0.segment < $1.segment }
      .map { Segment(weights: $0.weights, moments: $0.moments) }
  }

  public init(parsing bytes: [UInt8]) throws(ManifestError) {
    do {
      self = try JSONDecoder().decode(CheckpointManifest.self, from: Data(bytes))
    } catch {
      throw .notAManifest(reason: "of a checkpoint: \(error)")
    }
    guard format == "comd-checkpoint-1" else {
      throw .notAManifest(reason: "of a checkpoint: its format is \(format)")
    }
  }

  /// Equal checkpoints give equal bytes.
  public var bytes: [UInt8] {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .prettyPrinted]
    return (try? encoder.encode(self)).map(Array.init) ?? []
  }
}
