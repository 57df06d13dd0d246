/// The heads of an attention layer.
///
/// Query head h reads key and value head `h / (heads / keyValueHeads)` (grouped-query attention).
public struct AttentionShape: Equatable, Sendable {
  public let heads: Int
  public let keyValueHeads: Int
  public let headSize: Int
  /// What the scores are multiplied with before the softmax; usually `1 / sqrt(headSize)`.
  public let scale: Float
  /// Rows that a row of a causal layout sees at most, itself the last of them; nil: all before it.
  /// Rows in front of the window cost no time.
  public let window: Int?

  /// - Precondition: `heads` is a multiple of `keyValueHeads`.
  public init(
    heads: Int, keyValueHeads: Int, headSize: Int, scale: Float? = nil, window: Int? = nil
  ) {
    precondition(heads > 0 && keyValueHeads > 0 && headSize > 0, "positive sizes expected")
    precondition(heads % keyValueHeads == 0, "\(heads) heads do not share \(keyValueHeads) evenly")
    precondition(window.map { $0 > 0 } ?? true, "a window of at least one row expected")
    self.heads = heads
    self.keyValueHeads = keyValueHeads
    self.headSize = headSize
    self.scale = scale ?? 1 / Float(headSize).squareRoot()
    self.window = window
  }

  /// Columns of the queries and of the result.
  public var columns: Int { heads * headSize }
  /// Columns of the keys and of the values.
  public var keyValueColumns: Int { keyValueHeads * headSize }
}

/// Which packed rows see which.
///
/// The rows of all sequences stand one after the other, without gaps: a sequence's prefix, then
/// its branches in order. A row of the prefix sees the prefix; a row of a branch sees the whole
/// prefix and its own branch; both only up to itself when `causal`, and then no further back than
/// the shape's window. Several questions about one picture are branches behind one visual prefix; a
/// plain sequence is a prefix alone.
public struct AttentionLayout: Equatable, Sendable {
  public struct Sequence: Equatable, Sendable {
    public var prefix: Int
    public var branches: [Int]

    public init(prefix: Int, branches: [Int] = []) {
      self.prefix = prefix
      self.branches = branches
    }

    /// Rows of the prefix and all branches.
    public var rows: Int { branches.reduce(prefix, +) }
  }

  public let sequences: [Sequence]
  public let causal: Bool

  /// - Precondition: no negative length.
  public init(_ sequences: [Sequence], causal: Bool) {
    for sequence in sequences {
      precondition(sequence.prefix >= 0 && sequence.branches.allSatisfy { $0 >= 0 })
    }
    self.sequences = sequences
    self.causal = causal
  }

  /// Plain sequences of these lengths, each row seeing itself and what is before it.
  public static func causal(_ lengths: [Int]) -> AttentionLayout {
    AttentionLayout(lengths.map { Sequence(prefix: $0) }, causal: true)
  }

  /// Plain sequences of these lengths, each row seeing its whole sequence.
  public static func full(_ lengths: [Int]) -> AttentionLayout {
    AttentionLayout(lengths.map { Sequence(prefix: $0) }, causal: false)
  }

  /// All packed rows.
  public var rows: Int { sequences.reduce(0) { $0 + $1.rows } }

  /// The place of each packed row in its own sequence; a branch goes on where the prefix ends.
  public var positions: [Int32] {
    sequences.flatMap { sequence in
      (0..<Int32(sequence.prefix))
        + sequence.branches.flatMap { Int32(sequence.prefix)..<Int32(sequence.prefix + $0) }
    }
  }

  /// A run of query rows with the rows that they see: all of `prefix` and, of `own`, up to
  /// themselves (`causal`) or all.
  struct Piece: Equatable {
    var prefix: Range<Int>
    var own: Range<Int>
  }

  /// Every prefix and branch that is not empty, in row order.
  var pieces: [Piece] {
    var pieces: [Piece] = []
    var start = 0
    for sequence in sequences {
      let prefix = start..<start + sequence.prefix
      start = prefix.upperBound
      if !prefix.isEmpty {
        pieces.append(Piece(prefix: prefix.lowerBound..<prefix.lowerBound, own: prefix))
      }
      for length in sequence.branches where length > 0 {
        pieces.append(Piece(prefix: prefix, own: start..<start + length))
        start += length
      }
    }
    return pieces
  }
}
