/// Which weights a training changes; all others are frozen and cost no backward pass.
public enum TrainedPart: Int, Hashable, Codable, Sendable, CaseIterable {
  case projector, projectorAndLanguage, all
}

/// How sums, and what steps add to weights, are written on their way between members.
public enum WirePrecision: String, Hashable, Codable, Sendable, CaseIterable {
  /// As they are.
  case f32
  /// Half the traffic. Every sum of the tree is rounded, wherever it is made; members compute with
  /// weights that follow the master weights by rounded changes, and what a change leaves out is in
  /// the next one (error feedback).
  case bf16

  /// Of an element.
  public var bytes: Int { self == .f32 ? 4 : 2 }
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
  /// Workers that keep the moments of each segment: 1, 2 (any one may be lost), or 0 for all.
  public var replication = 2
  /// Less memory for one more forward pass: a worker keeps only what enters each layer.
  public var recompute = false
  /// Part of the result, as another precision is: with bf16 the weights have other bits, the same
  /// for every number of workers and every history.
  public var wire: WirePrecision = .f32
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
  /// The newest durable state, from which a training goes on whose workers lost theirs.
  public var checkpoint: TrainingCheckpoint?
  /// Rises whenever all go back to the checkpoint (or, without one, to the beginning): a worker
  /// that began under a lower one begins anew, from there.
  public var lineage: UInt64 = 0

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

  /// Whether a step's epoch is one of this training as it goes on now: plans and commits of before
  /// all went back may have been long on their way.
  public func isCurrent(epoch: UInt64) -> Bool { epoch > lineage }

  /// Committed steps in the state that can be had without another worker.
  public var baseStep: Int { checkpoint?.step ?? 0 }
  public var base: TrainingBase { checkpoint.map { .checkpoint($0) } ?? .beginning }
}

/// Weights and AdamW moments after `step` committed steps.
public struct TrainingCheckpoint: Hashable, Sendable {
  public var step: Int
  /// A blob that names those of the segments.
  public var state: Digest
  public init(step: Int, state: Digest) {
    self.step = step
    self.state = state
  }
}

/// The blobs of one segment in a checkpoint.
public struct SavedSegment: Hashable, Sendable {
  public var segment: Int
  /// f32, little-endian.
  public var weights: Digest
  /// First moments, then second ones.
  public var moments: Digest
  public init(segment: Int, weights: Digest, moments: Digest) {
    self.segment = segment
    self.weights = weights
    self.moments = moments
  }
}

/// A worker that takes part in a step, and where its peers reach it.
public struct StepMember: Hashable, Sendable {
  public var worker: WorkerID
  /// ZeroMQ endpoint of its mesh.
  public var endpoint: String
  /// Public key of its mesh, Z85.
  public var publicKey: String
  public init(worker: WorkerID, endpoint: String, publicKey: String) {
    self.worker = worker
    self.endpoint = endpoint
    self.publicKey = publicKey
  }
}

/// Who keeps the moments of a segment in a step; members by their index.
public struct SegmentKeepers: Hashable, Sendable {
  /// The owner, who finishes the segment's sum; then its buddies, who do the same update.
  public var keepers: [Int]
  /// Fetches the moments in this step, to be a keeper from the next on.
  public var newcomer: Int?
  public init(_ keepers: [Int], newcomer: Int? = nil) {
    precondition(!keepers.isEmpty, "a segment has an owner")
    self.keepers = keepers
    self.newcomer = newcomer
  }

  public var owner: Int { keepers[0] }
}

/// What the commit of a step tells beside its gradient: enough to apply it.
public struct StepTotals: Hashable, Sendable {
  /// Mean loss over the trained tokens of the global batch.
  public var loss: Double
  /// Trained tokens.
  public var tokens: Int64
  /// Of the summed gradient, not divided by tokens.
  public var sumOfSquares: Double
  public init(loss: Double, tokens: Int64, sumOfSquares: Double) {
    self.loss = loss
    self.tokens = tokens
    self.sumOfSquares = sumOfSquares
  }
}

/// The state that a training can begin from without any worker that has one.
public enum TrainingBase: Hashable, Sendable {
  /// The student as it was, moments of 0.
  case beginning
  case checkpoint(TrainingCheckpoint)
}

/// One attempt at one optimizer step. Every message of the step carries the epoch.
public struct StepPlan: Hashable, Sendable {
  public var training: TrainingID
  /// Rises with every plan; what belongs to an older one is dropped.
  public var epoch: UInt64
  /// From 0: the number of steps committed before this one.
  public var step: Int
  public var members: [StepMember]
  /// For each virtual rank, the index in `members` of who computes its gradient. Empty after the
  /// last step: members then only fetch what they lack of the weights.
  public var rankOwners: [Int]
  /// For each segment of the parameter vector, who keeps it.
  public var segments: [SegmentKeepers]
  /// Of the step before, for who has not heard of its commit; nil before the first.
  public var before: StepTotals?
  /// Where keepers get moments that they lack; nil: from the segment's owner.
  public var base: TrainingBase?

  public init(
    training: TrainingID, epoch: UInt64, step: Int, members: [StepMember],
    rankOwners: [Int], segments: [SegmentKeepers], before: StepTotals? = nil,
    base: TrainingBase? = nil
  ) {
    self.training = training
    self.epoch = epoch
    self.step = step
    self.members = members
    self.rankOwners = rankOwners
    self.segments = segments
    self.before = before
    self.base = base
  }
}

/// What a keeper says of the sum of its segment: all its keepers must agree.
public struct SegmentSum: Hashable, Sendable {
  public var segment: Int
  public var sumOfSquares: Double
  /// Of the bits, in order.
  public var check: UInt64
  public init(segment: Int, sumOfSquares: Double, check: UInt64) {
    self.segment = segment
    self.sumOfSquares = sumOfSquares
    self.check = check
  }
}

/// A member's word that it holds the sums of all segments that it keeps, and could apply them.
public struct StepVote: Hashable, Sendable {
  public var training: TrainingID
  public var epoch: UInt64
  public var step: Int
  /// Mean loss over the trained tokens of the global batch.
  public var loss: Double
  public var tokens: Int64
  /// In order of segments.
  public var sums: [SegmentSum]
  /// How long the member's own virtual ranks take. Of those it has from an earlier attempt at the
  /// step the mean of the others is taken; zero when all are.
  public var computing: Duration
  public init(
    training: TrainingID, epoch: UInt64, step: Int, loss: Double, tokens: Int64,
    sums: [SegmentSum], computing: Duration
  ) {
    self.training = training
    self.epoch = epoch
    self.step = step
    self.loss = loss
    self.tokens = tokens
    self.sums = sums
    self.computing = computing
  }
}

/// How far a worker's copy of the training state is.
public enum TrainingStanding: Hashable, Sendable {
  /// Still fetching model, data or state.
  case preparing
  case following(TrainingProgress)
  /// Could not: what and why.
  case failed(String)
}

/// What a worker holds of a training.
public struct TrainingProgress: Hashable, Sendable {
  /// Of the plan under which it began.
  public var lineage: UInt64
  /// Elements of the vector that is trained.
  public var elements: Int
  /// Committed steps in what it holds.
  public var step: Int
  /// Whether all weights are those after `step` steps; some may be on their way.
  public var isWhole: Bool
  /// Segments whose moments it keeps, after `step` steps.
  public var kept: PieceSet
  /// Segments of which it holds the sum of step `step`, not yet applied; nil: of none.
  public var summed: PieceSet?
  public init(
    lineage: UInt64, elements: Int, step: Int, isWhole: Bool, kept: PieceSet,
    summed: PieceSet? = nil
  ) {
    self.lineage = lineage
    self.elements = elements
    self.step = step
    self.isWhole = isWhole
    self.kept = kept
    self.summed = summed
  }
}

/// A vector of a training state.
public enum StatePart: Hashable, Sendable, CaseIterable {
  case weights, firstMoment, secondMoment
  /// The weights that steps update, where members compute with others: see `WirePrecision.bf16`.
  case master
}

/// What one virtual rank adds to the loss of a step.
public struct RankStatistics: Hashable, Sendable {
  public var rank: Int
  /// Sum of the loss over its trained tokens.
  public var lossSum: Double
  /// Trained tokens.
  public var tokens: Int64
  public init(rank: Int, lossSum: Double, tokens: Int64) {
    self.rank = rank
    self.lossSum = lossSum
    self.tokens = tokens
  }
}
