/// Softmax attention over packed sequences: per head, `out = softmax(scale · q · Kᵀ) · V`.
///
/// No more than a few query rows' scores exist at any time. A row's result depends on its own
/// query and on the keys and values that it sees, not on what else is packed.
/// - Parameters:
///   - out: (T, heads · headSize), overwritten.
///   - logSumExp: (T, heads), overwritten: `log Σ exp(scores)` of each row, for `attentionBackward`.
///   - q: (T, heads · headSize).
///   - k: (T, keyValueHeads · headSize).
///   - v: (T, keyValueHeads · headSize).
/// - Precondition: T is `layout.rows`.
/// - Source: Vaswani et al. 2017, eq. 1; Ainslie et al. 2023 for the grouping.
public func attention(
  into out: Floats, logSumExp: Floats, q: Floats, k: Floats, v: Floats,
  _ layout: AttentionLayout, _ shape: AttentionShape, on compute: Compute
) {
  attentionReference(into: out, logSumExp: logSumExp, q: q, k: k, v: v, layout, shape)
}

/// The derivatives of `attention`; the scores are computed again, not kept.
///
/// - Parameters:
///   - dq: (T, heads · headSize), overwritten.
///   - dk: (T, keyValueHeads · headSize), overwritten.
///   - dv: (T, keyValueHeads · headSize), overwritten.
///   - dOut: (T, heads · headSize).
///   - out: what `attention` gave.
///   - logSumExp: what `attention` gave.
/// - Source: Dao et al. 2022, algorithm 4.
public func attentionBackward(
  dq: Floats, dk: Floats, dv: Floats, dOut: Floats, out: Floats, logSumExp: Floats,
  q: Floats, k: Floats, v: Floats,
  _ layout: AttentionLayout, _ shape: AttentionShape, on compute: Compute
) {
  attentionBackwardReference(
    dq: dq, dk: dk, dv: dv, dOut: dOut, out: out, logSumExp: logSumExp, q: q, k: k, v: v,
    layout, shape)
}

/// The keys and values of one sequence in generation, and how many of its rows are new.
public struct CachedSequence: Sendable {
  /// (capacity, keyValueHeads · headSize), the first `length` rows filled, the new ones included.
  public var keys: Floats
  /// (capacity, keyValueHeads · headSize), the first `length` rows filled, the new ones included.
  public var values: Floats
  /// Rows filled.
  public var length: Int
  /// The last `newRows` of the `length` rows are those whose queries are given.
  public var newRows: Int

  public init(keys: Floats, values: Floats, length: Int, newRows: Int) {
    precondition(newRows >= 0 && newRows <= length, "\(newRows) new of \(length) rows")
    self.keys = keys
    self.values = values
    self.length = length
    self.newRows = newRows
  }
}

/// Causal attention of new rows over cached keys and values (generation).
///
/// A row's result is the same bits as `attention` gives it in the whole sequence, however the
/// sequence was cut into calls and whatever other sequences are in the call.
/// - Parameters:
///   - out: (Σ newRows, heads · headSize), overwritten.
///   - q: (Σ newRows, heads · headSize), the new rows of the sequences in order.
public func attentionOverCache(
  into out: Floats, q: Floats, _ sequences: [CachedSequence], _ shape: AttentionShape,
  on compute: Compute
) {
  attentionOverCacheReference(into: out, q: q, sequences, shape)
}
