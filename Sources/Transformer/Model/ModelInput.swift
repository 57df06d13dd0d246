public import Formats

/// A position group in what a model reads: one token, or one picture with all its features.
public enum Piece: Hashable, Sendable {
  case token(Int32)
  /// Index into the images that come with the pieces.
  case image(Int)
}

/// A picture as a model reads it.
public struct ModelImage: Sendable {
  /// Names the picture among all that this model sees: features of equal keys are computed once
  /// and kept. nil: computed every time.
  public var key: String?
  /// Pixel values (3, H, W), fetched only when the features are not there yet.
  public var load: @Sendable () throws -> PixelValues

  public init(key: String? = nil, load: @escaping @Sendable () throws -> PixelValues) {
    self.key = key
    self.load = load
  }

  public init(_ pixels: PixelValues, key: String? = nil) {
    self.init(key: key) { pixels }
  }
}

/// All that a model reads before it answers.
public struct ModelInput: Sendable {
  public var pieces: [Piece]
  public var images: [ModelImage]

  public init(pieces: [Piece], images: [ModelImage] = []) {
    self.pieces = pieces
    self.images = images
  }

  public init(tokens: [Int32]) { self.init(pieces: tokens.map { .token($0) }) }
}

/// A piece of a training sample, and whether the model learns to say it.
public struct TrainingPiece: Hashable, Sendable {
  public var piece: Piece
  /// True: the loss counts how well this token was foreseen. Ignored for pictures, and for the
  /// first token of a sample, which nothing foresees.
  public var trained: Bool

  public init(_ piece: Piece, trained: Bool) {
    self.piece = piece
    self.trained = trained
  }
}

/// One training sample: a sequence, or a prefix that several independent branches share.
///
/// A token of a branch sees the whole prefix and what stands before it in its own branch, at the
/// positions it would have if the branch followed the prefix directly. Loss and gradient are those
/// of the sequences `prefix + branch`, with the prefix counted once.
public struct TrainingInput: Sendable {
  public var images: [ModelImage]
  public var prefix: [TrainingPiece]
  public var branches: [[TrainingPiece]]

  public init(images: [ModelImage] = [], prefix: [TrainingPiece], branches: [[TrainingPiece]] = [])
  {
    self.images = images
    self.prefix = prefix
    self.branches = branches
  }
}
