public import Domain

/// To the bulk socket of the coordinator, or of a worker that has what another one wants: blobs, by
/// their SHA-256.
///
/// A message is one frame, `encode(_:)`; where "raw" stands, the bytes themselves are a second one.
/// `request` is the sender's own number and comes back in every reply.
public enum BulkRequest: Hashable, Sendable {
  /// Asks for `length` bytes from `offset`; fewer come at the blob's end.
  case fetch(request: UInt64, blob: Digest, offset: Int64, length: Int)
  /// Says that a blob of this size could be uploaded, or read where it lies. To the coordinator
  /// alone.
  case offer(request: UInt64, blob: Digest, size: Int64, place: FilePlace? = nil)
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

/// Where on its own machine a process holds a file that has the bytes of a blob.
public struct FilePlace: Hashable, Sendable {
  public var process: Int
  public var descriptor: Int
  public var offset: Int64
  public init(process: Int, descriptor: Int, offset: Int64) {
    self.process = process
    self.descriptor = descriptor
    self.offset = offset
  }
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

/// What the values of a cell are.
public enum CellKind: Hashable, Sendable {
  /// The sum over a subtree of virtual ranks, as the summation tree numbers its nodes.
  case partial(node: Int)
  /// The finished sum.
  case sum
  /// Of the state after as many steps as the message says.
  case state(StatePart)
  /// What the last of so many steps adds to the weights.
  case change
}

/// A cell of a training's vector on its way between two members.
public struct VectorCell: Hashable, Sendable {
  public var training: TrainingID
  /// Of the attempt at a step that a sum belongs to.
  public var epoch: UInt64
  public var step: Int
  public var kind: CellKind
  /// Index of the cell, and how many elements the raw frame holds, in which precision.
  public var cell: Int
  public var count: Int
  public var precision: WirePrecision
  /// With sums: of the virtual ranks in them.
  public var ranks: [RankStatistics]

  public init(
    training: TrainingID, epoch: UInt64, step: Int, kind: CellKind, cell: Int, count: Int,
    precision: WirePrecision = .f32, ranks: [RankStatistics]
  ) {
    self.training = training
    self.epoch = epoch
    self.step = step
    self.kind = kind
    self.cell = cell
    self.count = count
    self.precision = precision
    self.ranks = ranks
  }
}

/// Between two members of a training, over their mesh.
public enum PeerMessage: Hashable, Sendable {
  /// Raw: `count` little-endian f32 or bf16.
  case cell(VectorCell)
  /// Asks for a segment's part of the state after `step` steps; of a moment, for all that its
  /// keepers have.
  case ask(TrainingID, step: Int, part: StatePart, segment: Int)
}
