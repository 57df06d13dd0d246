// Products of numbers rounded to bf16 on the processor's own tiles: halves.h says what they are.
// Included by halves.h.

enum {
  /// Bytes of a tile.
  TILE_BYTES = 1024,
  /// Bytes of panels that rows go through one after the other: they stay in the second cache, so
  /// that C is written row by row, as memory likes it. Panel by panel it took twice as long.
  NEAR_BYTES = 1 << 20,
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

/// What one step of products on tiles is: one or two strips times one or two panels. Tiles 0 and 1
/// are C of the upper strip, 2 and 3 of the lower one; 4 and 5 the strips, 6 and 7 the panels.
typedef struct {
  size_t depth;
  const uint8_t *a, *b;
  size_t a_pair, b_pair;  // bytes to the second of each
  float *c;
  size_t ldc;
  bool fresh;
  const float *bias;      // with which the sums begin instead of with C; NULL: none
} half_step;

INLINE void multiply_tiles(const bool rows, const bool columns, const half_step *s) {
  const size_t step = s->ldc * sizeof(float);
  float *below = s->c + HALF_ROWS * s->ldc;
  // One row for all rows of a tile, or those of C.
  const size_t from_step = s->bias ? 0 : step;
  const float *from = s->bias ? s->bias : s->c, *from_below = s->bias ? s->bias : below;
  if (s->fresh) {
    _tile_zero(0);
    if (columns) _tile_zero(1);
    if (rows) _tile_zero(2);
    if (rows && columns) _tile_zero(3);
  } else {
    _tile_loadd(0, from, from_step);
    if (columns) _tile_loadd(1, from + LANES, from_step);
    if (rows) _tile_loadd(2, from_below, from_step);
    if (rows && columns) _tile_loadd(3, from_below + LANES, from_step);
  }
  const uint8_t *a = s->a, *b = s->b, *end = a + s->depth / HALF_GROUP * TILE_BYTES;
  for (; a < end; a += TILE_BYTES, b += TILE_BYTES) {
    _tile_loadd(4, a, 64);
    _tile_loadd(6, b, 64);
    _tile_dpbf16ps(0, 4, 6);
    if (columns) _tile_loadd(7, b + s->b_pair, 64);
    if (columns) _tile_dpbf16ps(1, 4, 7);
    if (rows) _tile_loadd(5, a + s->a_pair, 64);
    if (rows) _tile_dpbf16ps(2, 5, 6);
    if (rows && columns) _tile_dpbf16ps(3, 5, 7);
  }
  _tile_stored(0, s->c, step);
  if (columns) _tile_stored(1, s->c + LANES, step);
  if (rows) _tile_stored(2, below, step);
  if (rows && columns) _tile_stored(3, below + LANES, step);
}

/// A step of which C has `rows` rows and `width` columns.
static void half_strips(half_step s, size_t rows, size_t width) {
  enum { COLUMNS = HALF_SIDE * HALF_PANEL };
  float whole[2 * HALF_ROWS * COLUMNS];
  float *c = s.c;
  const size_t ldc = s.ldc;
  const bool part = width % HALF_PANEL != 0;
  if (part) {
    s.c = whole;
    s.ldc = COLUMNS;
    for (size_t r = 0; r < rows && !s.fresh; r++)
      memcpy(whole + r * COLUMNS, s.bias ? s.bias : c + r * ldc, width * sizeof(float));
    s.bias = NULL;
  }
  if (rows > HALF_ROWS && width > HALF_PANEL)
    multiply_tiles(true, true, &s);
  else if (rows > HALF_ROWS)
    multiply_tiles(true, false, &s);
  else if (width > HALF_PANEL)
    multiply_tiles(false, true, &s);
  else
    multiply_tiles(false, false, &s);
  for (size_t r = 0; r < rows && part; r++)
    memcpy(c + r * ldc, whole + r * COLUMNS, width * sizeof(float));
}

/// Shapes the tiles for steps of so many rows.
static void begin_half_tiles(size_t rows) {
  const size_t upper = rows < HALF_ROWS ? rows : HALF_ROWS, lower = rows - upper;
  const size_t heights[8] = {upper, upper, lower, lower, upper, lower, LANES, LANES};
  tile_shapes shapes = {.palette = 1};
  for (size_t t = 0; t < 8; t++) {
    shapes.rows[t] = (uint8_t)heights[t];
    shapes.row_bytes[t] = heights[t] ? 64 : 0;
  }
  tiles_begin(&shapes);
}

/// Rows [row, row + rows), those of a step, times the panels [panel, panels_end).
static void half_line(
    const ck_half *work, size_t row, size_t rows, size_t panel, size_t panels_end) {
  const ck_product *product = work->product;
  const size_t terms = ck_half_terms(product->k);
  const size_t panel_bytes = work->panel_terms * HALF_PANEL * HALF_BYTES;
  for (size_t term = 0; term < terms; term += HALF_DEPTH) {
    half_step s = {
        .depth = terms - term < HALF_DEPTH ? terms - term : HALF_DEPTH, .ldc = product->ldc,
        .a_pair = HALF_ROWS * work->strip_terms * HALF_BYTES, .b_pair = panel_bytes,
        .fresh = term == 0 && !product->accumulate && !product->bias};
    s.a = (const uint8_t *)work->strips +
          (row * work->strip_terms + (work->strip_term + term) * HALF_ROWS) * HALF_BYTES;
    s.b = (const uint8_t *)work->panels + panel * panel_bytes +
          (work->panel_term + term) * HALF_PANEL * HALF_BYTES;
    s.c = product->c + row * s.ldc + panel * HALF_PANEL;
    for (size_t p = panel; p < panels_end; p += HALF_SIDE) {
      if (product->bias && term == 0) s.bias = product->bias + p * HALF_PANEL;
      half_strips(s, rows, half_width(work, p));
      s.b += HALF_SIDE * panel_bytes;
      s.c += HALF_SIDE * HALF_PANEL;
    }
  }
}

/// Strips of `a` times panels of `b`, into the product's C.
static void half_product(const ck_half *work) {
  const size_t first = work->strip * HALF_ROWS, last = work->strips_end * HALF_ROWS;
  const size_t end = last < work->product->m ? last : work->product->m;
  const size_t step = 2 * HALF_ROWS, even = first + (end - first) / step * step;
  const size_t panel_bytes = ck_half_terms(work->product->k) * HALF_PANEL * HALF_BYTES;
  const size_t near = (NEAR_BYTES / panel_bytes + 1) / HALF_SIDE * HALF_SIDE;
  const size_t panels = near > HALF_SIDE ? near : (size_t)HALF_SIDE;
  for (size_t panel = work->panel; panel < work->panels_end; panel += panels) {
    const size_t panels_end =
        panel + panels < work->panels_end ? panel + panels : work->panels_end;
    if (even > first) begin_half_tiles(step);
    for (size_t row = first; row < even; row += step)
      half_line(work, row, step, panel, panels_end);
    if (even < end) begin_half_tiles(end - even);
    if (even < end) half_line(work, even, end - even, panel, panels_end);
  }
  tiles_end();
}
