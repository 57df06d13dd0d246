// Products of numbers rounded to bf16 on the processor's own tiles: halves.h says what they are.
// Included by the set that has such tiles.

enum {
  /// A strip is a tile: 16 rows.
  HALF_ROWS = 16,
  HALF_BYTES = 2,
  /// Terms worked on at a time: two strips and a panel of B of so many stay near.
  HALF_DEPTH = 1024,
  /// Bytes of a tile.
  TILE_BYTES = 1024,
};

/// Sixteen rows of pairs of op(A) from 16 columns of A.
static void pack_standing_tile(uint32_t *to, const ck_product *product, size_t row, size_t term) {
  const size_t left = product->m - row, rows = left < HALF_ROWS ? left : HALF_ROWS;
  const float *from = product->a + term * product->lda + row;
  uint32_t pairs[LANES * LANES];
  for (size_t p = 0; p < LANES; p++, from += 2 * product->lda) {
    v16 even = 0, odd = 0;
    if (term + 2 * p < product->k) even = load16(from, rows);
    if (term + 2 * p + 1 < product->k) odd = load16(from + product->lda, rows);
    *(u16_unaligned *)(pairs + p * LANES) = pairs16(even, odd);
  }
  transpose((float *)to, LANES, (const float *)pairs, LANES, LANES, LANES);
}

/// Strips [begin, end) of op(A), each as tiles of 32 terms.
static void half_rows(const ck_product *product, void *strips, size_t begin, size_t end) {
  const size_t terms = ck_half_terms(product->k);
  if (product->transpose_a) {
    // Along the rows of A, which are long.
    for (size_t term = 0; term < terms; term += HALF_GROUP)
      for (size_t s = begin; s < end; s++)
        pack_standing_tile(
            (uint32_t *)strips + (s * HALF_ROWS * terms + term * HALF_ROWS) / 2, product,
            s * HALF_ROWS, term);
    return;
  }
  for (size_t row = begin * HALF_ROWS; row < end * HALF_ROWS; row++) {
    uint32_t *to = (uint32_t *)strips + row / HALF_ROWS * HALF_ROWS * terms / 2 +
                   row % HALF_ROWS * LANES;
    for (size_t term = 0; term < terms; term += HALF_GROUP, to += TILE_BYTES / 4) {
      if (row < product->m)
        row_pairs(to, product->a + row * product->lda + term, product->k - term);
      else
        memset(to, 0, LANES * sizeof(uint32_t));
    }
  }
}

/// c (two strips, PANEL) = or += two strips times a panel; the second strip may have no rows.
INLINE void multiply_strips(
    const bool both, size_t depth, const uint8_t *a, size_t a_pair, const uint8_t *b, float *c,
    size_t ldc, bool fresh, const float *next) {
  const size_t step = ldc * sizeof(float);
  float *below = c + HALF_ROWS * ldc;
  if (fresh) {
    _tile_zero(0);
    _tile_zero(1);
    if (both) _tile_zero(2);
    if (both) _tile_zero(3);
  } else {
    _tile_loadd(0, c, step);
    _tile_loadd(1, c + LANES, step);
    if (both) _tile_loadd(2, below, step);
    if (both) _tile_loadd(3, below + LANES, step);
  }
  const size_t groups = depth / HALF_GROUP, lines = both ? 2 * HALF_ROWS : HALF_ROWS;
  const size_t each = (lines + groups - 1) / groups;
  size_t line = 0;
  for (size_t g = 0; g < groups; g++, a += TILE_BYTES, b += 2 * TILE_BYTES) {
    _tile_loadd(4, a, 64);
    _tile_loadd(6, b, 128);
    _tile_dpbf16ps(0, 4, 6);
    _tile_loadd(7, b + 64, 128);
    _tile_dpbf16ps(1, 4, 7);
    // What the next strips write is fetched meanwhile.
    for (size_t i = 0; i < each && line < lines; i++, line++) {
      __builtin_prefetch(next + line * ldc, 1);
      __builtin_prefetch(next + line * ldc + LANES, 1);
    }
    if (!both) continue;
    _tile_loadd(5, a + a_pair, 64);
    _tile_dpbf16ps(2, 5, 6);
    _tile_dpbf16ps(3, 5, 7);
  }
  _tile_stored(0, c, step);
  _tile_stored(1, c + LANES, step);
  if (both) _tile_stored(2, below, step);
  if (both) _tile_stored(3, below + LANES, step);
}

/// One or two strips of `rows` in all times a panel, of which C has `width` columns.
static void half_strips(
    size_t rows, size_t depth, const uint8_t *a, size_t a_pair, const uint8_t *b, float *c,
    size_t ldc, size_t width, bool fresh, const float *next) {
  float whole[2 * HALF_ROWS * PANEL];
  float *target = width == PANEL ? c : whole;
  const size_t step = width == PANEL ? ldc : (size_t)PANEL;
  if (target == whole && !fresh)
    for (size_t r = 0; r < rows; r++)
      memcpy(whole + r * PANEL, c + r * ldc, width * sizeof(float));
  if (rows > HALF_ROWS)
    multiply_strips(true, depth, a, a_pair, b, target, step, fresh, next);
  else
    multiply_strips(false, depth, a, a_pair, b, target, step, fresh, next);
  if (target == whole)
    for (size_t r = 0; r < rows; r++)
      memcpy(c + r * ldc, whole + r * PANEL, width * sizeof(float));
}

/// Pairs of strips that have `rows` rows each, from row `first` to `end`.
static void half_pass(const ck_half *work, size_t first, size_t end, size_t rows) {
  const ck_product *product = work->product;
  const size_t terms = ck_half_terms(product->k), ldc = product->ldc;
  const size_t upper = rows < HALF_ROWS ? rows : HALF_ROWS, lower = rows - upper;
  tile_shapes shapes = {.palette = 1};
  for (size_t t = 0; t < 8; t++) {
    shapes.row_bytes[t] = 64;
    shapes.rows[t] = (uint8_t)(t >= 6 ? 16 : t == 2 || t == 3 || t == 5 ? lower : upper);
    if (shapes.rows[t] == 0) shapes.row_bytes[t] = 0;
  }
  tiles_begin(&shapes);
  for (size_t term = 0; term < terms; term += HALF_DEPTH) {
    const size_t depth = terms - term < HALF_DEPTH ? terms - term : HALF_DEPTH;
    const bool fresh = term == 0 && !product->accumulate && !product->bias;
    for (size_t panel = work->panel; panel < work->panels_end; panel++) {
      const size_t column = panel * PANEL, left = product->n - column;
      const size_t width = left < PANEL ? left : PANEL;
      const uint8_t *b =
          (const uint8_t *)work->panels + panel * terms * PANEL * 2 + term * PANEL * 2;
      for (size_t row = first; row < end; row += rows) {
        float *c = product->c + row * ldc + column;
        if (product->bias && term == 0) spread_bias(product, c, column, rows, width);
        const float *next = row + rows < end ? c + rows * ldc : product->c + first * ldc + column + PANEL;
        half_strips(
            rows, depth, (const uint8_t *)work->strips + (row * terms + term * HALF_ROWS) * 2,
            HALF_ROWS * terms * 2, b, c, ldc, width, fresh, next);
      }
    }
  }
  tiles_end();
}

/// Strips of `a` times panels of `b`, into the product's C.
static void half_product(const ck_half *work) {
  const size_t first = work->strip * HALF_ROWS, last = work->strips_end * HALF_ROWS;
  const size_t end = last < work->product->m ? last : work->product->m;
  const size_t even = (end - first) / (2 * HALF_ROWS) * (2 * HALF_ROWS);
  if (even > 0) half_pass(work, first, first + even, 2 * HALF_ROWS);
  if (first + even < end) half_pass(work, first + even, end, end - first - even);
}
