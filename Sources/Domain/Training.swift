/// Which weights a training changes; all others are frozen and cost no backward pass.
public enum TrainedPart: Int, Hashable, Codable, Sendable, CaseIterable {
  case projector, projectorAndLanguage, all
}

/// The recipe of one training: stage 1 or the tuning of an iteration.
public struct TrainingRecipe: Hashable, Codable, Sendable {
  /// Samples in a global batch, over all virtual ranks.
  public var batch: Int
  public var learningRate: Double
  /// Share of the steps over which the rate rises from 0; then it falls along a cosine.
  public var warmupRatio: Double
  public var epochs: Int
  public var weightDecay: Double
  public var beta1: Double
  public var beta2: Double
  public var epsilon: Double
  /// Gradients are scaled down to this global norm; 0 leaves them.
  public var clipNorm: Double
  public var trained: TrainedPart
  /// Fixed for the run: the batch is split over these, whoever computes them.
  public var virtualRanks: Int
  public var checkpointEvery: Int
  /// Less memory for one more forward pass: a worker keeps only what enters each layer.
  public var recompute = false
  /// What is trained in place of the language model's weights; nil: the weights.
  public var adapters: LowRankAdapters?
  public var seed: UInt64
  /// f32 or bf16.
  public var precision: Precision

  public init(
    batch: Int = 16, learningRate: Double, warmupRatio: Double = 0.03, epochs: Int = 1,
    weightDecay: Double = 0, beta1: Double = 0.9, beta2: Double = 0.999, epsilon: Double = 1e-8,
    clipNorm: Double = 1, trained: TrainedPart, virtualRanks: Int = 16, checkpointEvery: Int = 50,
    seed: UInt64, precision: Precision = .f32
  ) {
    self.batch = batch
    self.learningRate = learningRate
    self.warmupRatio = warmupRatio
    self.epochs = epochs
    self.weightDecay = weightDecay
    self.beta1 = beta1
    self.beta2 = beta2
    self.epsilon = epsilon
    self.clipNorm = clipNorm
    self.trained = trained
    self.virtualRanks = virtualRanks
    self.checkpointEvery = checkpointEvery
    self.seed = seed
    self.precision = precision
  }

  /// Optimizer steps over `samples` samples: the last batch of an epoch may be smaller.
  public func steps(samples: Int) -> Int { epochs * ((samples + batch - 1) / batch) }
}

/// A part of a training sample: what the model reads, and whether it learns to say it.
public struct TrainingPart: Hashable, Sendable {
  public var part: PromptPart
  /// True where the loss is counted: answers and the `<STOP>` after them.
  public var trained: Bool
  public init(_ part: PromptPart, trained: Bool) {
    self.part = part
    self.trained = trained
  }
}

/// One conversation as the student reads it (eq. 2), with its loss mask (eq. 3).
public struct TrainingSample: Hashable, Sendable {
  public var parts: [TrainingPart]
  public init(_ parts: [TrainingPart]) { self.parts = parts }
}

/// What a worker must know to take part in a training.
public struct TrainingPlan: Hashable, Sendable {
  public var training: TrainingID
  /// The student as it was before this training.
  public var model: Digest
  /// A blob: the encoded `[TrainingSample]`.
  public var dataset: Digest
  public var recipe: TrainingRecipe
  public var stepsTotal: Int
  /// The newest durable state, from which a worker starts that has none: step and blob.
  public var checkpoint: TrainingCheckpoint?

  public init(
    training: TrainingID, model: Digest, dataset: Digest, recipe: TrainingRecipe,
    stepsTotal: Int, checkpoint: TrainingCheckpoint?
  ) {
    self.training = training
    self.model = model
    self.dataset = dataset
    self.recipe = recipe
    self.stepsTotal = stepsTotal
    self.checkpoint = checkpoint
  }
}

/// Weights and AdamW moments after `step` committed steps.
public struct TrainingCheckpoint: Hashable, Sendable {
  public var step: Int
  public var state: Digest
  public init(step: Int, state: Digest) {
    self.step = step
    self.state = state
  }
}

/// A worker that takes part in a step, and where its peers reach it.
public struct StepMember: Hashable, Sendable {
  public var worker: WorkerID
  /// ZeroMQ endpoint of its peer socket.
  public var endpoint: String
  /// CURVE public key of that socket, Z85.
  public var publicKey: String
  public init(worker: WorkerID, endpoint: String, publicKey: String) {
    self.worker = worker
    self.endpoint = endpoint
    self.publicKey = publicKey
  }
}

/// One attempt at one optimizer step. Every message of the step carries the epoch.
public struct StepPlan: Hashable, Sendable {
  public var training: TrainingID
  /// Rises with every plan; what belongs to an older one is dropped.
  public var epoch: UInt64
  /// From 0: the number of steps committed before this one.
  public var step: Int
  public var members: [StepMember]
  /// For each virtual rank, the index in `members` of who computes its gradient.
  public var rankOwners: [Int]
  /// For each segment of the parameter vector, the index in `members` of who finishes its sum.
  public var segmentOwners: [Int]

  public init(
    training: TrainingID, epoch: UInt64, step: Int, members: [StepMember],
    rankOwners: [Int], segmentOwners: [Int]
  ) {
    self.training = training
    self.epoch = epoch
    self.step = step
    self.members = members
    self.rankOwners = rankOwners
    self.segmentOwners = segmentOwners
  }
}

/// A member's word that it holds the whole sum of a step and could apply it.
public struct StepVote: Hashable, Sendable {
  public var training: TrainingID
  public var epoch: UInt64
  public var step: Int
  /// Mean loss over the trained tokens of the global batch.
  public var loss: Double
  /// SHA-256 of the reduced gradient: all members must agree.
  public var gradient: Digest
  public init(training: TrainingID, epoch: UInt64, step: Int, loss: Double, gradient: Digest) {
    self.training = training
    self.epoch = epoch
    self.step = step
    self.loss = loss
    self.gradient = gradient
  }
}

/// How far a worker's copy of the training state is.
public enum TrainingStanding: Hashable, Sendable {
  /// Still fetching model, data or state.
  case preparing
  /// Holds the state after this many committed steps.
  case ready(step: Int)
  /// As `ready`, and holds the whole sum of step `step`, not yet applied.
  case prepared(step: Int, epoch: UInt64)
  /// Could not: what and why.
  case failed(String)
}
