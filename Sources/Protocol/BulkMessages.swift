public import Domain

/// To the bulk socket of the coordinator, or of a worker that has what another one wants: blobs, by
/// their SHA-256.
///
/// A message is one frame, `encode(_:)`; where "raw" stands, the bytes themselves are a second one.
/// `request` is the sender's own number and comes back in every reply.
public enum BulkRequest: Hashable, Sendable {
  /// Asks for `length` bytes from `offset`; fewer come at the blob's end.
  case fetch(request: UInt64, blob: Digest, offset: Int64, length: Int)
  /// Says that a blob of this size could be uploaded. To the coordinator alone.
  case offer(request: UInt64, blob: Digest, size: Int64)
  /// The next bytes of an offered blob. Raw: `length` bytes. To the coordinator alone.
  case chunk(request: UInt64, blob: Digest, offset: Int64, length: Int)
  /// Where can this blob be had? Answered by `found`; by the whole blob, as a `chunk`, when it is
  /// small and few have asked for it. To the coordinator alone.
  case find(request: UInt64, blob: Digest)
  /// Where other workers reach the sender's own bulk socket, and large blobs that it has. After
  /// every connection to the coordinator; not answered.
  case announce(endpoint: String, publicKey: String, blobs: [Digest])
  /// Which pieces of this blob do you have? Answered by `holding`. To a worker alone.
  case survey(request: UInt64, blob: Digest)
  /// A piece that the worker of this name has sent is not what it should be. To the coordinator
  /// alone; not answered.
  case complain(blob: Digest, piece: Int, source: String)
}

/// A worker that others may fetch blobs from.
public struct BlobSource: Hashable, Sendable {
  public var name: String
  public var endpoint: String
  /// Of its bulk socket, in Z85.
  public var publicKey: String
  public init(name: String, endpoint: String, publicKey: String) {
    self.name = name
    self.endpoint = endpoint
    self.publicKey = publicKey
  }
}

/// From a bulk socket.
public enum BulkReply: Hashable, Sendable {
  /// A piece of a blob that has `size` bytes in all. Raw: `length` bytes.
  case chunk(request: UInt64, blob: Digest, size: Int64, offset: Int64, length: Int)
  /// Go on with the upload from this offset.
  case wanted(request: UInt64, blob: Digest, from: Int64)
  /// The whole blob is durable.
  case stored(request: UInt64, blob: Digest)
  case refused(request: UInt64, blob: Digest, BulkRefusal)
  /// Workers that have, or are fetching, this blob, and may fetch from you. Raw: the SHA-256 of
  /// each of its pieces, in order (`PieceList`); none for a blob of one piece.
  case found(request: UInt64, blob: Digest, size: Int64, sources: [BlobSource])
  /// Raw: a bit for each piece that can be had here, the lowest one first.
  case holding(request: UInt64, blob: Digest)
  /// Unasked, from the coordinator: this worker has been named you as a source of a blob. It may
  /// fetch from you, and you from it when you are fetching the same blob.
  case letIn(BlobSource, blob: Digest)
  /// Unasked, from the coordinator: nobody of this name may fetch any more.
  case shutOut(name: String)
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
