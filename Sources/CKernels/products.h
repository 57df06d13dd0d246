// Products of matrices from packed panels. Packing and tiling move numbers and never change the
// order in which an element's terms are added. Included by each set.

enum {
  /// Rows of A packed at a time: about 120 KiB, half of a small second cache.
  BLOCK_ROWS = 112 / TILE_ROWS * TILE_ROWS,
  /// Columns of B packed at a time: 768 KiB.
  BLOCK_COLUMNS = 768,
  /// Up to so many rows, an untransposed B that fits the second cache is read in place: it is not
  /// used often enough to pack.
  DIRECT_ROWS = 2 * TILE_ROWS,
  DIRECT_COUNT = 524288,
};

typedef float quad __attribute__((ext_vector_type(4), aligned(4)));

#if WIDTH == 16
#define JOIN(i)                                                                                \
  __builtin_shufflevector(                                                                     \
      __builtin_shufflevector(ROW(i), ROW(4 + i), 0, 1, 2, 3, 4, 5, 6, 7),                     \
      __builtin_shufflevector(ROW(8 + i), ROW(12 + i), 0, 1, 2, 3, 4, 5, 6, 7), 0, 1, 2, 3, 4, \
      5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15)
#define LOW(a, b) \
  __builtin_shufflevector(a, b, 0, 16, 1, 17, 4, 20, 5, 21, 8, 24, 9, 25, 12, 28, 13, 29)
#define HIGH(a, b) \
  __builtin_shufflevector(a, b, 2, 18, 3, 19, 6, 22, 7, 23, 10, 26, 11, 27, 14, 30, 15, 31)
#define LOW_PAIRS(a, b) \
  __builtin_shufflevector(a, b, 0, 1, 16, 17, 4, 5, 20, 21, 8, 9, 24, 25, 12, 13, 28, 29)
#define HIGH_PAIRS(a, b) \
  __builtin_shufflevector(a, b, 2, 3, 18, 19, 6, 7, 22, 23, 10, 11, 26, 27, 14, 15, 30, 31)
#elif WIDTH == 8
#define JOIN(i) __builtin_shufflevector(ROW(i), ROW(4 + i), 0, 1, 2, 3, 4, 5, 6, 7)
#define LOW(a, b) __builtin_shufflevector(a, b, 0, 8, 1, 9, 4, 12, 5, 13)
#define HIGH(a, b) __builtin_shufflevector(a, b, 2, 10, 3, 11, 6, 14, 7, 15)
#define LOW_PAIRS(a, b) __builtin_shufflevector(a, b, 0, 1, 8, 9, 4, 5, 12, 13)
#define HIGH_PAIRS(a, b) __builtin_shufflevector(a, b, 2, 3, 10, 11, 6, 7, 14, 15)
#else
#define JOIN(i) __builtin_shufflevector(ROW(i), ROW(i), 0, 1, 2, 3)
#define LOW(a, b) __builtin_shufflevector(a, b, 0, 4, 1, 5)
#define HIGH(a, b) __builtin_shufflevector(a, b, 2, 6, 3, 7)
#define LOW_PAIRS(a, b) __builtin_shufflevector(a, b, 0, 1, 4, 5)
#define HIGH_PAIRS(a, b) __builtin_shufflevector(a, b, 2, 3, 6, 7)
#endif

/// to[p · to_stride + r] = from[r · stride + p] for r < rows, p < columns.
INLINE void transpose(
    float *to, size_t to_stride, const float *from, size_t stride, size_t rows, size_t columns) {
  size_t r = 0;
  for (; r + WIDTH <= rows; r += WIDTH) {
    const float *strip = from + r * stride;
    size_t p = 0;
    for (; p + 4 <= columns; p += 4) {
      // The next rows begin on other pages, where the processor's own prefetching stops.
      if (p % 16 == 0)
        for (size_t i = WIDTH; i < 2 * WIDTH; i++) __builtin_prefetch(strip + i * stride + p);
#define ROW(i) (*(const quad *)(strip + (i) * stride + p))
      // Lane group g of `join i` holds row 4g + i; then each group is transposed in itself.
      const vf a = JOIN(0), b = JOIN(1), c = JOIN(2), d = JOIN(3);
#undef ROW
      const vf low1 = LOW(a, b), low2 = LOW(c, d), high1 = HIGH(a, b), high2 = HIGH(c, d);
      float *target = to + p * to_stride + r;
      *(vf_unaligned *)target = LOW_PAIRS(low1, low2);
      *(vf_unaligned *)(target + to_stride) = HIGH_PAIRS(low1, low2);
      *(vf_unaligned *)(target + 2 * to_stride) = LOW_PAIRS(high1, high2);
      *(vf_unaligned *)(target + 3 * to_stride) = HIGH_PAIRS(high1, high2);
    }
    for (; p < columns; p++)
      for (size_t i = 0; i < WIDTH; i++) to[p * to_stride + r + i] = strip[i * stride + p];
  }
  for (; r < rows; r++)
    for (size_t p = 0; p < columns; p++) to[p * to_stride + r] = from[r * stride + p];
}

#undef JOIN
#undef LOW
#undef HIGH
#undef LOW_PAIRS
#undef HIGH_PAIRS

/// Rows [row, row + rows) and terms [term, term + depth) of op(A).
static void pack_a(
    float *to, const ck_product *product, size_t row, size_t rows, size_t term, size_t depth) {
  if (product->transpose_a) {
    const float *from = product->a + term * product->lda + row;
    transpose(to, A_STRIDE, from, product->lda, depth, rows);
  } else {
    const float *from = product->a + row * product->lda + term;
    for (size_t r = 0; r < rows; r++) {
      // As in `transpose`: rows lie on different pages.
      if (r + 3 < rows)
        for (size_t p = 0; p < depth; p += 16)
          __builtin_prefetch(from + (r + 3) * product->lda + p);
      memcpy(to + r * A_STRIDE, from + r * product->lda, depth * sizeof(float));
    }
  }
}

/// One panel of op(B), (depth, PANEL): `width` columns from `column`, then zeros.
static void pack_b(
    float *to, const ck_product *product, size_t column, size_t width, size_t term,
    size_t depth) {
  if (product->transpose_b) {
    const float *from = product->b + column * product->ldb + term;
    if (width < PANEL) memset(to, 0, depth * PANEL * sizeof(float));
    transpose(to, PANEL, from, product->ldb, width, depth);
    return;
  }
  const float *from = product->b + term * product->ldb + column;
  for (size_t p = 0; p < depth; p++, to += PANEL, from += product->ldb) {
    if (width == PANEL) {
      memcpy(to, from, PANEL * sizeof(float));
    } else {
      memcpy(to, from, width * sizeof(float));
      memset(to + width, 0, (PANEL - width) * sizeof(float));
    }
  }
}

/// All panels of an untransposed B, row by row.
static void pack_rows(
    float *to, const ck_product *product, size_t column, size_t columns, size_t term,
    size_t depth) {
  for (size_t p = 0; p < depth; p++) {
    const float *from = product->b + (term + p) * product->ldb + column;
    float *row = to + p * PANEL;
    size_t j = 0;
    for (; j + PANEL <= columns; j += PANEL)
      memcpy(row + j * depth, from + j, PANEL * sizeof(float));
    if (j < columns) {
      memcpy(row + j * depth, from + j, (columns - j) * sizeof(float));
      memset(row + j * depth + columns - j, 0, (PANEL - (columns - j)) * sizeof(float));
    }
  }
}

/// What the sums of a strip of C begin with.
INLINE void spread_bias(
    const ck_product *product, float *c, size_t column, size_t rows, size_t width) {
  for (size_t r = 0; r < rows; r++)
    memcpy(c + r * product->ldc, product->bias + column, width * sizeof(float));
}

/// All row tiles of a block for one panel, or for two beside each other (`wide`).
typedef struct {
  size_t rows, depth, width, b_step, b_pair;
  const float *a, *b;
  // Instead of b: two panels in codes.
  const ck_codes *codes;
  const uint8_t *first, *second;
  float *c;
  size_t ldc;
  bool fresh, wide;
} strip;

static void run_strip(const strip *s) {
  if (s->codes) {
    code_tiles[s->rows - 1](
        s->depth, s->a, s->first, s->second, s->c, s->ldc, s->fresh, s->codes);
    return;
  }
  const size_t highest = s->wide ? WIDE_ROWS : TILE_ROWS;
  const size_t tiles = (s->rows + highest - 1) / highest;
  size_t row = 0;
  for (size_t t = 0; t < tiles; t++) {
    // Even heights: 15 rows are 8 and 7, not 14 and 1.
    const size_t rows = (s->rows - row) / (tiles - t);
    const float *a = s->a + row * A_STRIDE;
    float *c = s->c + row * s->ldc;
    const float *next = c + rows * s->ldc;
    if (s->wide) {
      wide_tiles[rows - 1](s->depth, a, s->b, s->b_step, s->b_pair, c, s->ldc, s->fresh, next);
    } else if (s->width == PANEL) {
      narrow_tiles[rows - 1](s->depth, a, s->b, s->b_step, s->b_pair, c, s->ldc, s->fresh, next);
    } else {
      // The last columns go by way of a whole tile.
      float whole[TILE_ROWS * PANEL];
      if (!s->fresh)
        for (size_t r = 0; r < rows; r++)
          memcpy(whole + r * PANEL, c + r * s->ldc, s->width * sizeof(float));
      narrow_tiles[rows - 1](s->depth, a, s->b, s->b_step, 0, whole, PANEL, s->fresh, whole);
      for (size_t r = 0; r < rows; r++)
        memcpy(c + r * s->ldc, whole + r * PANEL, s->width * sizeof(float));
    }
    row += rows;
  }
}

/// Two panels of codes for a few rows; else panels that are decoded when they are first used.
static void place_codes(
    strip *s, float *slot, const ck_product *product, size_t column, size_t term, bool decode) {
  const ck_codes *codes = product->codes;
  if (s->wide && product->m <= CODE_ROWS) {
    s->codes = codes;
    s->first = code_unit(codes, product->k, column, term);
    s->second = code_unit(codes, product->k, column + PANEL, term);
    return;
  }
  if (!decode) return;
  unpack_panel(slot, codes, product->k, column, term, s->depth);
  if (s->wide) unpack_panel(slot + s->b_pair, codes, product->k, column + PANEL, term, s->depth);
}

/// Where the strip's columns of B are: packed now, packed before, packed for good, or in place.
INLINE void place_b(
    strip *s, float *slot, const ck_product *product, size_t column, size_t term, bool direct,
    bool pack) {
  if (direct && (s->wide || s->width == PANEL)) {
    s->b = product->b + term * product->ldb + column;
    s->b_step = product->ldb;
    s->b_pair = PANEL;
    return;
  }
  s->b_step = PANEL;
  s->b_pair = s->depth * PANEL;
  if (product->panels) {
    s->b = (const float *)product->panels + term * product->panel_columns +
           (product->first_column + column) * s->depth;
    return;
  }
  s->b = slot;
  if (product->codes) {
    place_codes(s, slot, product, product->first_column + column, term, pack);
    return;
  }
  if (!pack) return;
  pack_b(slot, product, column, s->wide ? PANEL : s->width, term, s->depth);
  if (s->wide) pack_b(slot + s->b_pair, product, column + PANEL, PANEL, term, s->depth);
}

/// C[all rows, column ..< column + columns] over the terms term ..< term + depth.
static void run_block(
    ck_workspace *space, const ck_product *product, size_t column, size_t columns, size_t term,
    size_t depth) {
  float *packed_a = ck_buffer_reserve(&space->packed_a, BLOCK_ROWS * A_STRIDE);
  const bool packed = product->panels;
  float *packed_b =
      ck_buffer_reserve(&space->packed_b, packed ? 0 : BLOCK_COLUMNS * DEPTH);
  const size_t blocks = (product->m + BLOCK_ROWS - 1) / BLOCK_ROWS;
  const bool lies = !product->panels && !product->codes && !product->transpose_b;
  const bool direct =
      lies && product->m <= DIRECT_ROWS && depth * product->ldb <= DIRECT_COUNT;
  // A transposed B is packed panel by panel when it is first used; another one row by row before,
  // to read whole rows.
  const bool early = lies && !direct;
  if (early) pack_rows(packed_b, product, column, columns, term, depth);
  size_t row = 0;
  for (size_t block = 0; block < blocks; block++) {
    const size_t rows = (product->m - row) / (blocks - block);
    pack_a(packed_a, product, row, rows, term, depth);
    for (size_t j = 0; j < columns;) {
      const size_t left = columns - j;
      strip s = {
          .rows = rows, .depth = depth, .width = left < PANEL ? left : PANEL, .a = packed_a,
          .c = product->c + row * product->ldc + column + j, .ldc = product->ldc,
          .fresh = term == 0 && !product->accumulate && !product->bias,
          .wide = product->m <= WIDE_ROWS && left >= 2 * PANEL};
      // A panel that is used by one block only stays in the first cache.
      float *slot = packed || (blocks == 1 && !early) ? packed_b : packed_b + j * depth;
      place_b(&s, slot, product, column + j, term, direct, block == 0 && !early);
      // Just before the sums are read, so that they come from the first cache.
      if (product->bias && term == 0)
        spread_bias(product, s.c, column + j, rows, s.wide ? 2 * PANEL : s.width);
      run_strip(&s);
      j += s.wide ? 2 * PANEL : s.width;
    }
    row += rows;
  }
}

/// All columns of op(B) over the terms [begin, end): blocks of terms, in each the panels one after
/// the other, the last one filled up with zeros.
static void pack_panels(const ck_product *product, void *panels, size_t begin, size_t end) {
  const size_t whole = (product->n + PANEL - 1) / PANEL * PANEL;
  const size_t most = ck_even_depth(product->k, DEPTH);
  for (size_t term = begin; term < end; term += most) {
    const size_t depth = end - term < most ? end - term : most;
    for (size_t column = 0; column < product->n; column += PANEL) {
      const size_t left = product->n - column, place = term * whole + column * depth;
      const size_t width = left < PANEL ? left : PANEL;
      pack_b((float *)panels + place, product, column, width, term, depth);
    }
  }
}

static void matmul(ck_workspace *space, const ck_product *product) {
  if (product->k == 0 && product->bias) {
    spread_bias(product, product->c, 0, product->m, product->n);
  } else if (product->k == 0 && !product->accumulate) {
    for (size_t row = 0; row < product->m; row++)
      memset(product->c + row * product->ldc, 0, product->n * sizeof(float));
  }
  // Even blocks of whole panels: 800 columns are 416 and 384, not 768 and 32.
  const size_t blocks = (product->n + BLOCK_COLUMNS - 1) / BLOCK_COLUMNS;
  const size_t even = blocks ? (product->n + blocks * PANEL - 1) / (blocks * PANEL) * PANEL : 0;
  const size_t depth = ck_even_depth(product->k, DEPTH);
  for (size_t column = 0, columns; column < product->n; column += columns) {
    const size_t left = product->n - column;
    columns = left < even ? left : even;
    for (size_t term = 0; term < product->k; term += depth) {
      const size_t rest = product->k - term;
      run_block(space, product, column, columns, term, rest < depth ? rest : depth);
    }
  }
}
