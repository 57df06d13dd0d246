public import Domain

/// From a worker to the coordinator's bulk socket: blobs, by their SHA-256.
///
/// A message is one frame, `encode(_:)`; where "raw" stands, the bytes themselves are a second one.
/// `request` is the sender's own number and comes back in every reply.
public enum BulkRequest: Hashable, Sendable {
  /// Asks for `length` bytes from `offset`; fewer come at the blob's end.
  case fetch(request: UInt64, blob: Digest, offset: Int64, length: Int)
  /// Says that a blob of this size could be uploaded.
  case offer(request: UInt64, blob: Digest, size: Int64)
  /// The next bytes of an offered blob. Raw: `length` bytes.
  case chunk(request: UInt64, blob: Digest, offset: Int64, length: Int)
}

/// From the coordinator's bulk socket to a worker.
public enum BulkReply: Hashable, Sendable {
  /// A piece of a blob that has `size` bytes in all. Raw: `length` bytes.
  case chunk(request: UInt64, blob: Digest, size: Int64, offset: Int64, length: Int)
  /// Go on with the upload from this offset.
  case wanted(request: UInt64, blob: Digest, from: Int64)
  /// The whole blob is durable.
  case stored(request: UInt64, blob: Digest)
  case refused(request: UInt64, blob: Digest, BulkRefusal)
}

/// Why a blob is not sent or not taken.
public enum BulkRefusal: Hashable, Sendable {
  case unknownBlob
  /// The asked-for range or the chunk's offset does not fit the blob.
  case range
  case tooLarge(limit: Int64)
  /// The uploaded bytes are not those that the digest names.
  case mismatch
  /// Too many transfers at once: try again later.
  case busy
  case storage(String)
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

/// A piece of a gradient on its way between two members of a step.
public struct GradientSegment: Hashable, Sendable {
  public enum Role: Hashable, Sendable {
    /// The sum over a subtree of virtual ranks, to the owner of the segment.
    case partial
    /// The finished sum, to all members.
    case total
  }
  public var training: TrainingID
  public var epoch: UInt64
  public var step: Int
  public var role: Role
  /// Index of the segment of the parameter vector.
  public var segment: Int
  /// The node of the summation tree whose sum this is, as the reduction plan numbers it.
  public var node: Int
  /// Index of the sender in the step's members.
  public var sender: Int
  /// The first element within the segment, and how many f32 elements the raw frame holds.
  public var offset: Int
  public var count: Int
  public var ranks: [RankStatistics]

  public init(
    training: TrainingID, epoch: UInt64, step: Int, role: Role, segment: Int, node: Int,
    sender: Int, offset: Int, count: Int, ranks: [RankStatistics]
  ) {
    self.training = training
    self.epoch = epoch
    self.step = step
    self.role = role
    self.segment = segment
    self.node = node
    self.sender = sender
    self.offset = offset
    self.count = count
    self.ranks = ranks
  }
}

/// One of the three vectors of a training state.
public enum StatePart: Hashable, Sendable, CaseIterable { case weights, firstMoment, secondMoment }

/// Between two workers, on a worker's peer socket.
public enum PeerMessage: Hashable, Sendable {
  /// Raw: `count` little-endian f32.
  case segment(GradientSegment)
  /// Asks for `count` elements of a part of the state after `step` committed steps.
  case stateFetch(
    request: UInt64, training: TrainingID, step: Int, part: StatePart, offset: Int, count: Int)
  /// A piece of a part that has `total` elements in all. Raw: `count` little-endian f32.
  case state(
    request: UInt64, training: TrainingID, step: Int, part: StatePart, offset: Int, count: Int,
    total: Int)
  /// The asked peer holds the state of `standing` steps instead; nil when it holds none.
  case stateUnavailable(request: UInt64, training: TrainingID, standing: Int?)
}
