internal import CKernels

/// Softmax attention over packed sequences: per head, `out = softmax(scale · q · Kᵀ) · V`.
///
/// No more than a few query rows' scores exist at any time. A row's result depends on its own
/// query and on the keys and values that it sees, not on what else is packed. Where products are of
/// bf16, so are both of these, the weights of a row with them.
/// - Parameters:
///   - out: (T, heads · headSize), overwritten.
///   - logSumExp: (T, heads), overwritten: `log Σ exp(scores)` of each row, for the backward pass.
///   - q: (T, heads · headSize).
///   - k: (T, keyValueHeads · headSize).
///   - v: (T, keyValueHeads · headSize).
/// - Precondition: T is `layout.rows`.
/// - Source: Vaswani et al. 2017, eq. 1; Ainslie et al. 2023 for the grouping.
public func attention(
  into out: Floats, logSumExp: Floats, q: Floats, k: Floats, v: Floats,
  _ layout: AttentionLayout, _ shape: AttentionShape, on compute: Compute
) {
  checkAttention([out, q], [k, v], logSumExp, layout, shape)
  let pieces = unsafe layout.pieces.map { piece in
    var call = unsafe ck_attention_piece(piece, q: q, k: k, v: v, shape)
    unsafe call.out = out.base + piece.own.lowerBound * shape.columns
    unsafe call.log_sum_exp = logSumExp.base + piece.own.lowerBound * shape.heads
    return unsafe call
  }
  unsafe run(pieces, [], shape, causal: layout.causal, compute.products) { call in
    unsafe ck_attention_forward(compute.pool, &call)
  }
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
  checkAttention([dq, dOut, out, q], [dk, dv, k, v], logSumExp, layout, shape)
  dk.fill(0)
  dv.fill(0)
  var groupEnds: [Int] = []
  let layoutPieces = layout.pieces
  let pieces = unsafe layoutPieces.enumerated().map { index, piece in
    let first = piece.own.lowerBound
    var call = unsafe ck_attention_piece(piece, q: q, k: k, v: v, shape)
    unsafe call.out = out.base + first * shape.columns
    unsafe call.log_sum_exp = logSumExp.base + first * shape.heads
    unsafe call.d_out = UnsafePointer(dOut.base + first * shape.columns)
    unsafe call.dq = dq.base + first * shape.columns
    unsafe call.own_dk = dk.base + first * shape.keyValueColumns
    unsafe call.own_dv = dv.base + first * shape.keyValueColumns
    unsafe call.prefix_dk = dk.base + piece.prefix.lowerBound * shape.keyValueColumns
    unsafe call.prefix_dv = dv.base + piece.prefix.lowerBound * shape.keyValueColumns
    // Branches behind a prefix add to the same keys; whatever else follows begins a new group.
    let next = index + 1 < layoutPieces.count ? layoutPieces[index + 1] : nil
    if next.map({ $0.prefix.isEmpty || $0.prefix.lowerBound >= piece.own.upperBound }) ?? true {
      groupEnds.append(index + 1)
    }
    return unsafe call
  }
  unsafe run(pieces, groupEnds, shape, causal: layout.causal, compute.products) { call in
    unsafe ck_attention_backward(compute.pool, &call)
  }
}

extension ck_attention_piece {
  /// The queries and what they see; where results go is left open.
  fileprivate init(
    _ piece: AttentionLayout.Piece, q: Floats, k: Floats, v: Floats, _ shape: AttentionShape
  ) {
    unsafe self.init()
    let (prefix, own) = (piece.prefix.lowerBound, piece.own.lowerBound)
    unsafe self.q = UnsafePointer(q.base + own * shape.columns)
    unsafe own_k = UnsafePointer(k.base + own * shape.keyValueColumns)
    unsafe own_v = UnsafePointer(v.base + own * shape.keyValueColumns)
    unsafe prefix_k = UnsafePointer(k.base + prefix * shape.keyValueColumns)
    unsafe prefix_v = UnsafePointer(v.base + prefix * shape.keyValueColumns)
    unsafe queries = piece.own.count
    unsafe self.own = piece.own.count
    unsafe self.prefix = piece.prefix.count
  }
}

/// Lends the pieces to C for one call.
private func run(
  _ pieces: [ck_attention_piece], _ groupEnds: [Int], _ shape: AttentionShape, causal: Bool,
  _ products: ProductPrecision, _ body: (inout ck_attention) -> Void
) {
  unsafe pieces.withUnsafeBufferPointer { pieces in
    unsafe groupEnds.withUnsafeBufferPointer { ends in
      var call = unsafe ck_attention()
      unsafe (call.heads, call.kv_heads, call.size) = (
        shape.heads, shape.keyValueHeads, shape.headSize
      )
      unsafe call.scale = shape.scale
      unsafe call.causal = causal
      unsafe call.half = products == .bf16
      unsafe call.window = shape.window ?? 0
      unsafe call.piece_count = pieces.count
      unsafe call.pieces = pieces.baseAddress
      unsafe call.group_count = ends.count
      unsafe call.group_ends = ends.baseAddress
      unsafe body(&call)
    }
  }
}
