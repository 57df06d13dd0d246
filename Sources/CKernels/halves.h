// Products of numbers rounded to bf16, as matrix units of processors define them. Included by each
// set; `halftiles.h` is the same on such a unit.
//
// An element's terms are taken in groups of 32, the last one filled up with zeros. Of each group
// the even terms are one chain of multiply-adds from 0 and the odd ones another; then
// C = C + (even + odd). Subnormal numbers count as 0 wherever they are read or would be written.
// All of it is fixed, so every set gives the same bits.
//
// op(B) lies in panels of 16 columns, one after the other, the same with each set: the terms 2p
// and 2p + 1 of a column side by side, a "pair", and the pairs of a panel's columns one after the
// other.

enum {
  /// Terms of a group.
  HALF_GROUP = CK_HALF_GROUP,
  /// Columns of a panel.
  HALF_PANEL = CK_HALF_PANEL,
  /// 32-bit words, each a pair, of a panel's group.
  HALF_WORDS = HALF_GROUP / 2 * HALF_PANEL,
#if defined(MATRIX_TILES)
  /// A strip is a tile of 16 rows; two of them are multiplied with two panels.
  HALF_ROWS = 16,
  HALF_SIDE = 2,
  HALF_BYTES = 2,
  /// Terms worked on at a time: two strips of so many stay in the first cache.
  HALF_DEPTH = 640,
#else
  /// Rows of A that are multiplied together, a "strip", and the panels: with an even and an odd
  /// chain for each number, they fill the registers.
  HALF_ROWS = WIDTH == 16 ? 6 : 2,
  HALF_SIDE = WIDTH == 16 ? 2 : 1,
  /// Registers of a panel's columns.
  HALF_REGISTERS = HALF_PANEL / WIDTH,
  /// Bytes of each of its numbers: they are kept as floats.
  HALF_BYTES = 4,
  /// Terms worked on at a time; what is multiplied with all strips, as floats, then stays in the
  /// first cache.
  HALF_DEPTH = 256,
  /// Strips from which on a panel's pairs are taken apart first, and not in each of them.
  HALF_APART = 3,
#endif
};

/// Terms [0, 32) of a row, of which there are `count`, as sixteen pairs.
INLINE void row_pairs(uint32_t *to, const float *from, size_t count) {
#if defined(MATRIX_TILES)
  if (count >= HALF_GROUP) {
    _mm512_storeu_si512(to, halves32(load16(from, LANES), load16(from + LANES, LANES)));
    return;
  }
#endif
  const v16 low = load16(from, count < LANES ? count : LANES);
  const v16 high = count > LANES ? load16(from + LANES, count < HALF_GROUP ? count - LANES : LANES)
                                 : (v16)(0);
  const v16 even = __builtin_shufflevector(
      low, high, 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
  const v16 odd = __builtin_shufflevector(
      low, high, 1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31);
  *(u16_unaligned *)to = pairs16(even, odd);
}

/// Sixteen columns' group of op(B) out of rows of B.
static void pack_lying_pairs(
    uint32_t *to, const ck_product *product, size_t column, size_t term) {
  uint32_t rows[HALF_WORDS];
  for (size_t j = 0; j < HALF_PANEL; j++) {
    if (column + j < product->n)
      row_pairs(
          rows + j * LANES, product->b + (column + j) * product->ldb + term, product->k - term);
    else
      memset(rows + j * LANES, 0, LANES * sizeof(uint32_t));
  }
  transpose((float *)to, HALF_PANEL, (const float *)rows, LANES, HALF_PANEL, LANES);
}

/// The same out of columns of B.
static void pack_standing_pairs(
    uint32_t *to, const ck_product *product, size_t column, size_t term) {
  const size_t left = product->n - column, width = left < HALF_PANEL ? left : HALF_PANEL;
  const float *from = product->b + term * product->ldb + column;
  for (size_t p = 0; p < LANES; p++, from += 2 * product->ldb) {
    v16 even = 0, odd = 0;
    if (term + 2 * p < product->k) even = load16(from, width);
    if (term + 2 * p + 1 < product->k) odd = load16(from + product->ldb, width);
    *(u16_unaligned *)(to + p * HALF_PANEL) = pairs16(even, odd);
  }
}

/// Panels [begin, end) of op(B); `panels` is where the first of all is.
static void half_panels(const ck_product *product, void *panels, size_t begin, size_t end) {
  const size_t words = ck_half_terms(product->k) / 2 * HALF_PANEL;
  // A few panels at a time: whole lines of rows, and few pages at once.
  enum { TOGETHER = 8 };
  for (size_t first = begin; first < end; first += TOGETHER) {
    const size_t last = first + TOGETHER < end ? first + TOGETHER : end;
    for (size_t term = 0; term < product->k; term += HALF_GROUP)
      for (size_t panel = first; panel < last; panel++) {
        uint32_t *to = (uint32_t *)panels + panel * words + term / 2 * HALF_PANEL;
        if (product->transpose_b)
          pack_lying_pairs(to, product, panel * HALF_PANEL, term);
        else
          pack_standing_pairs(to, product, panel * HALF_PANEL, term);
      }
  }
}

/// Columns of C that one step from `panel` on computes.
INLINE size_t half_width(const ck_half *work, size_t panel) {
  const size_t end = panel + HALF_SIDE < work->panels_end ? panel + HALF_SIDE : work->panels_end;
  const size_t columns = end * HALF_PANEL, n = work->product->n;
  return (columns < n ? columns : n) - panel * HALF_PANEL;
}

#if defined(MATRIX_TILES)
#include "halftiles.h"
#else
/// Strips [begin, end) of op(A): the numbers of a strip's rows for each term side by side.
static void half_rows(const ck_product *product, void *strips, size_t begin, size_t end) {
  const size_t terms = ck_half_terms(product->k);
  for (size_t s = begin; s < end; s++) {
    const size_t row = s * HALF_ROWS, left = product->m - row;
    const size_t rows = left < HALF_ROWS ? left : HALF_ROWS;
    float *to = (float *)strips + row * terms;
    if (product->transpose_a) {
      const float *from = product->a + row;
      // A copy of a fixed size is two instructions and no call.
      if (rows == HALF_ROWS)
        for (size_t p = 0; p < product->k; p++)
          memcpy(to + p * HALF_ROWS, from + p * product->lda, HALF_ROWS * sizeof(float));
      else
        for (size_t p = 0; p < product->k; p++)
          memcpy(to + p * rows, from + p * product->lda, rows * sizeof(float));
    } else {
      transpose(to, rows, product->a + row * product->lda, product->lda, rows, product->k);
    }
    memset(to + product->k * rows, 0, (terms - product->k) * rows * sizeof(float));
    for (size_t i = 0; i < terms * rows; i += LANES)
      store16(to + i, LANES, half16(load16(to + i, LANES)));
  }
}

/// c (rows, columns of the panels) = or += a strip times one panel, or two `pair` words apart.
///
/// - apart: each pair's two terms are floats, those of a panel's columns side by side; pairs else.
INLINE void half_tile(
    const int rows, const int panels, const bool apart, size_t depth, const float *a,
    const uint32_t *b, size_t pair, float *c, size_t ldc, bool fresh) {
  enum { MOST = HALF_SIDE * HALF_REGISTERS };
  const int registers = panels * HALF_REGISTERS;
  for (size_t term = 0; term < depth; term += HALF_GROUP, fresh = false) {
    vf even[HALF_ROWS][MOST], odd[HALF_ROWS][MOST];
#pragma clang loop unroll(full)
    for (int r = 0; r < rows; r++)
#pragma clang loop unroll(full)
      for (int v = 0; v < registers; v++) even[r][v] = odd[r][v] = 0;
#pragma clang loop unroll_count(2)
    for (size_t p = 0; p < HALF_GROUP / 2; p++, a += 2 * rows) {
      vf first[MOST], second[MOST];
#pragma clang loop unroll(full)
      for (int v = 0; v < registers; v++) {
        const size_t place = v / HALF_REGISTERS ? pair : 0;
        const uint32_t *from = b + place + v % HALF_REGISTERS * WIDTH;
        const vu pairs = *(const vu_unaligned *)from;
        first[v] = (vf)(apart ? pairs : pairs << 16);
        second[v] =
            (vf)(apart ? *(const vu_unaligned *)(from + HALF_PANEL) : pairs & 0xffff0000);
      }
      b += apart ? 2 * HALF_PANEL : HALF_PANEL;
#pragma clang loop unroll(full)
      for (int r = 0; r < rows; r++) {
        const vf x = (vf)(a[r]), y = (vf)(a[rows + r]);
#pragma clang loop unroll(full)
        for (int v = 0; v < registers; v++) {
          even[r][v] = __builtin_elementwise_fma(x, first[v], even[r][v]);
          odd[r][v] = __builtin_elementwise_fma(y, second[v], odd[r][v]);
        }
      }
    }
#pragma clang loop unroll(full)
    for (int r = 0; r < rows; r++)
#pragma clang loop unroll(full)
      for (int v = 0; v < registers; v++) {
        vf_unaligned *place = (vf_unaligned *)(c + (size_t)r * ldc + v * WIDTH);
        *place = (fresh ? (vf)(0) : *place) + (even[r][v] + odd[r][v]);
      }
  }
}

typedef void half_function(
    size_t depth, const float *a, const uint32_t *b, size_t pair, float *c, size_t ldc,
    bool fresh);

#define HALF_TILE(rows, panels)                                                               \
  static void half_tile_##rows##_##panels(                                                    \
      size_t depth, const float *a, const uint32_t *b, size_t pair, float *c, size_t ldc,     \
      bool fresh) {                                                                           \
    half_tile(rows, panels, false, depth, a, b, pair, c, ldc, fresh);                         \
  }                                                                                           \
  static void apart_tile_##rows##_##panels(                                                   \
      size_t depth, const float *a, const uint32_t *b, size_t pair, float *c, size_t ldc,     \
      bool fresh) {                                                                           \
    half_tile(rows, panels, true, depth, a, b, pair, c, ldc, fresh);                          \
  }
HALF_TILE(1, 1) HALF_TILE(2, 1)
#if WIDTH == 16
HALF_TILE(3, 1) HALF_TILE(4, 1) HALF_TILE(5, 1) HALF_TILE(6, 1)
HALF_TILE(1, 2) HALF_TILE(2, 2) HALF_TILE(3, 2) HALF_TILE(4, 2) HALF_TILE(5, 2) HALF_TILE(6, 2)
#endif
#undef HALF_TILE

/// [apart][panels − 1][rows − 1]
static half_function *const half_tiles[2][HALF_SIDE][HALF_ROWS] = {
#if WIDTH == 16
#define TILES(kind, panels) \
  {kind##_1_##panels, kind##_2_##panels, kind##_3_##panels, \
   kind##_4_##panels, kind##_5_##panels, kind##_6_##panels}
    {TILES(half_tile, 1), TILES(half_tile, 2)},
    {TILES(apart_tile, 1), TILES(apart_tile, 2)},
#undef TILES
#else
    {{half_tile_1_1, half_tile_2_1}},
    {{apart_tile_1_1, apart_tile_2_1}},
#endif
};

/// Takes the pairs of a panel apart.
static void take_apart(float *to, const uint32_t *panel, size_t depth) {
  for (size_t p = 0; p < depth / 2; p++, panel += HALF_PANEL, to += 2 * HALF_PANEL)
    for (int v = 0; v < HALF_REGISTERS; v++) {
      const vu pairs = *(const vu_unaligned *)(panel + v * WIDTH);
      *(vf_unaligned *)(to + v * WIDTH) = (vf)(pairs << 16);
      *(vf_unaligned *)(to + HALF_PANEL + v * WIDTH) = (vf)(pairs & 0xffff0000);
    }
}

/// One strip times one or two panels, of which C has `width` columns.
static void half_strip(
    size_t rows, bool apart, size_t depth, const float *a, const uint32_t *b, size_t pair,
    float *c, size_t ldc, size_t width, bool fresh) {
  const size_t panels = (width + HALF_PANEL - 1) / HALF_PANEL;
  half_function *const tile = half_tiles[apart][panels - 1][rows - 1];
  if (width % HALF_PANEL == 0) {
    tile(depth, a, b, pair, c, ldc, fresh);
    return;
  }
  enum { COLUMNS = HALF_SIDE * HALF_PANEL };
  float whole[HALF_ROWS * COLUMNS] = {0};
  if (!fresh)
    for (size_t r = 0; r < rows; r++)
      memcpy(whole + r * COLUMNS, c + r * ldc, width * sizeof(float));
  tile(depth, a, b, pair, whole, COLUMNS, fresh);
  for (size_t r = 0; r < rows; r++)
    memcpy(c + r * ldc, whole + r * COLUMNS, width * sizeof(float));
}

/// Strips of `a` times panels of `b`, into the product's C.
static void half_product(const ck_half *work) {
  const ck_product *product = work->product;
  const size_t terms = ck_half_terms(product->k), words = work->panel_terms / 2 * HALF_PANEL;
  const bool apart = work->strips_end - work->strip >= HALF_APART;
  float floats[HALF_SIDE * HALF_DEPTH * HALF_PANEL] __attribute__((aligned(64)));
  const uint64_t before = flush_begin();
  for (size_t term = 0; term < terms; term += HALF_DEPTH) {
    const size_t depth = terms - term < HALF_DEPTH ? terms - term : HALF_DEPTH;
    const bool fresh = term == 0 && !product->accumulate && !product->bias;
    for (size_t panel = work->panel; panel < work->panels_end; panel += HALF_SIDE) {
      const size_t width = half_width(work, panel), column = panel * HALF_PANEL;
      const uint32_t *b =
          (const uint32_t *)work->panels + panel * words +
          (work->panel_term + term) / 2 * HALF_PANEL;
      size_t pair = words;
      if (apart) {
        for (size_t p = 0; p * HALF_PANEL < width; p++)
          take_apart(floats + p * depth * HALF_PANEL, b + p * words, depth);
        b = (const uint32_t *)floats;
        pair = depth * HALF_PANEL;
      }
      for (size_t s = work->strip; s < work->strips_end; s++) {
        const size_t row = s * HALF_ROWS, below = product->m - row;
        const size_t rows = below < HALF_ROWS ? below : HALF_ROWS;
        float *c = product->c + row * product->ldc + column;
        const float *a = (const float *)work->strips + row * work->strip_terms +
                         (work->strip_term + term) * rows;
        if (product->bias && term == 0) spread_bias(product, c, column, rows, width);
        // C of the next strip, while this one is multiplied.
        for (size_t r = HALF_ROWS; r < 2 * HALF_ROWS && r < below; r++)
          for (size_t i = 0; i < width; i += LANES)
            __builtin_prefetch(c + r * product->ldc + i, 1);
        half_strip(rows, apart, depth, a, b, pair, c, product->ldc, width, fresh);
      }
    }
  }
  flush_end(before);
}
#endif
