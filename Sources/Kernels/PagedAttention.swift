internal import CKernels

/// How the keys and values of a sequence in generation lie in pages of memory.
///
/// A page has the keys and values of `rows` positions in all layers, one layer after the other:
/// keys as (keyValueHeads, headSize, rows), which is how scores read them, then values as
/// (keyValueHeads, rows, headSize). In bf16 each head has panels of the right side of a product
/// instead, of keys as columns and of (rows, headSize), all filled up to whole groups.
public struct PageLayout: Equatable, Sendable {
  public let layers: Int
  /// Positions of a page.
  public let rows: Int
  public let keyValueHeads, headSize: Int
  /// What keys and values are rounded to when they are put in, and what attention multiplies.
  public let precision: ProductPrecision

  /// - Precondition: `rows` is a multiple of 16, in bf16 of 32.
  public init(
    layers: Int, rows: Int, keyValueHeads: Int, headSize: Int, precision: ProductPrecision = .f32
  ) {
    precondition(
      layers > 0 && rows > 0 && rows % (precision == .f32 ? 16 : 32) == 0,
      "\(layers) layers, \(rows) rows")
    (self.layers, self.rows, self.precision) = (layers, rows, precision)
    (self.keyValueHeads, self.headSize) = (keyValueHeads, headSize)
  }

  var columns: Int { keyValueHeads * headSize }

  /// Numbers of a page.
  var count: Int { layers * 2 * half }
  /// The room that a page takes, in f32: two numbers of bf16 share the place of one.
  public var words: Int { precision == .f32 ? count : count / 2 }
  /// Pages of so many positions.
  public func pages(_ positions: Int) -> Int { (positions + rows - 1) / rows }

  /// Numbers of one head's keys, or values.
  var headCount: Int {
    precision == .f32 ? rows * headSize : ck_half_side_bytes(rows, headSize) / 2
  }

  private var half: Int { keyValueHeads * headCount }
  func keysOffset(_ layer: Int) -> Int { 2 * layer * half }
  func valuesOffset(_ layer: Int) -> Int { (2 * layer + 1) * half }
}

/// The sequences of one pass through a decoder: their pages, and how many of their rows are new.
///
/// Made once and filled anew for each pass, so that its layers allocate nothing. It belongs to one
/// thread at a time.
@safe
public final class PagedBatch {
  struct Sequence {
    /// In the order of positions.
    var pages: [Floats]
    /// Positions, the new rows included.
    var length: Int
    var newRows: Int
  }

  public let layout: PageLayout
  private(set) var sequences: [Sequence] = []
  /// New rows of all sequences.
  public private(set) var rows = 0
  private var pieces: [ck_attention_piece] = unsafe []
  private var pages: [UnsafeMutableRawPointer?] = unsafe []

  public init(_ layout: PageLayout) { self.layout = layout }

  public func removeAll() {
    sequences.removeAll(keepingCapacity: true)
    unsafe pieces.removeAll(keepingCapacity: true)
    unsafe pages.removeAll(keepingCapacity: true)
    rows = 0
  }

  /// Adds a sequence behind the others.
  ///
  /// - Parameters:
  ///   - pages: of `layout.words` each, enough for all positions. Positions before the new
  ///     rows are filled; no other sequence may have a page with new rows.
  ///   - length: positions, the new rows included.
  ///   - newRows: the last of them, whose queries, keys and values each layer will bring.
  public func append(pages new: [Floats], length: Int, newRows: Int) {
    precondition(newRows >= 0 && newRows <= length, "\(newRows) new of \(length) rows")
    let count = layout.pages(length)
    precondition(
      new.count >= count && new.allSatisfy { $0.count == layout.words },
      "\(count) pages of \(layout.words) words expected")
    sequences.append(Sequence(pages: new, length: length, newRows: newRows))
    rows += newRows
    var piece = unsafe ck_attention_piece()
    unsafe piece.queries = newRows
    unsafe piece.first = length - newRows
    unsafe piece.own = length
    unsafe pieces.append(piece)
    for page in new.prefix(count) { unsafe pages.append(UnsafeMutableRawPointer(page.base)) }
  }

  /// Lends the pieces to C with what a layer gave.
  fileprivate func withPieces(
    _ out: Floats, _ q: Floats, _ k: Floats, _ v: Floats, columns: Int,
    _ body: (UnsafeBufferPointer<ck_attention_piece>) -> Void
  ) {
    let own = layout.columns
    unsafe pages.withUnsafeBufferPointer { pages in
      unsafe pieces.withUnsafeMutableBufferPointer { pieces in
        var (row, page) = (0, 0)
        for index in sequences.indices {
          unsafe pieces[index].q = UnsafePointer(q.base + row * columns)
          unsafe pieces[index].out = out.base + row * columns
          unsafe pieces[index].own_k = UnsafePointer(k.base + row * own)
          unsafe pieces[index].own_v = UnsafePointer(v.base + row * own)
          unsafe pieces[index].pages = pages.baseAddress.map { unsafe $0 + page }
          unsafe row += Int(pieces[index].queries)
          unsafe page += layout.pages(Int(pieces[index].own))
        }
        unsafe body(UnsafeBufferPointer(pieces))
      }
    }
  }
}

/// Causal attention of new rows over all positions of their sequences; their keys and values are
/// put into the pages.
///
/// A row's result is the same bits as `attention` gives it in the whole sequence, however the
/// sequence was cut into calls and whatever other sequences are in the batch; of pages in bf16, as
/// `attention` gives it with products of bf16.
/// - Parameters:
///   - out: (rows, heads · headSize), overwritten.
///   - q: (rows, heads · headSize), the new rows of the sequences in order.
///   - k: (rows, keyValueHeads · headSize).
///   - v: (rows, keyValueHeads · headSize).
///   - layer: below the layout's `layers`.
///   - shape: of this layer; heads for keys and their size are those of the layout.
public func attentionOverPages(
  into out: Floats, q: Floats, k: Floats, v: Floats, _ batch: PagedBatch, layer: Int,
  _ shape: AttentionShape, on compute: Compute
) {
  let layout = batch.layout
  precondition(
    shape.keyValueHeads == layout.keyValueHeads && shape.headSize == layout.headSize,
    "pages of other heads")
  precondition(layer >= 0 && layer < layout.layers, "layer \(layer) of \(layout.layers)")
  precondition(
    q.count == batch.rows * shape.columns && out.count == q.count, "(rows, heads·size) expected")
  precondition(
    k.count == batch.rows * shape.keyValueColumns && v.count == k.count,
    "(rows, kv·size) expected")
  unsafe batch.withPieces(out, q, k, v, columns: shape.columns) { pieces in
    var call = unsafe ck_attention()
    unsafe (call.heads, call.kv_heads, call.size) = (
      shape.heads, shape.keyValueHeads, shape.headSize
    )
    unsafe call.scale = shape.scale
    unsafe call.causal = true
    unsafe call.window = shape.window ?? 0
    unsafe call.piece_count = pieces.count
    unsafe call.pieces = pieces.baseAddress
    unsafe call.page_rows = layout.rows
    unsafe call.page_keys = layout.keysOffset(layer)
    unsafe call.page_values = layout.valuesOffset(layer)
    unsafe call.half = layout.precision == .bf16
    unsafe ck_attention_forward(compute.pool, &call)
  }
}
