// Products of numbers rounded to bf16, as matrix units of processors define them. Included by each
// set; `halftiles.h` is the same on such a unit.
//
// An element's terms are taken in groups of 32, the last one filled up with zeros. Of each group
// the even terms are one chain of multiply-adds from 0 and the odd ones another; then
// C = C + (even + odd). Subnormal numbers count as 0 wherever they are read or would be written.
// All of it is fixed, so every set gives the same bits.
//
// op(B) lies in panels, one after the other: the terms 2p and 2p + 1 of a column side by side, a
// "pair", and the pairs of a panel's columns one after the other.

enum {
  /// Terms of a group.
  HALF_GROUP = CK_HALF_GROUP,
#if !defined(MATRIX_TILES)
  /// Rows of A that are multiplied together, a "strip": with two registers of columns, and an even
  /// and an odd chain for each, they fill the registers.
  HALF_ROWS = WIDTH == 16 ? 6 : 2,
  /// Bytes of each of its numbers: they are kept as floats.
  HALF_BYTES = 4,
  /// Terms worked on at a time; a panel of B then stays in the first cache.
  HALF_DEPTH = 512,
#endif
};

typedef u16 u16_unaligned __attribute__((aligned(2)));

/// Sixteen numbers rounded to bf16, as floats.
INLINE v16 half16(v16 x) {
  const u16 bits = (u16)x;
  return (v16)((bits & 0x7f800000) == 0 ? bits & 0x80000000 : (u16)rounded16(x));
}

#if defined(MATRIX_TILES)
/// Thirty-two, in order.
INLINE __m512i halves32(v16 first, v16 second) {
  return (__m512i)_mm512_cvtne2ps_pbh((__m512)second, (__m512)first);
}

/// Sixteen pairs.
INLINE u16 pairs16(v16 even, v16 odd) {
  const __m512i order = (__m512i)(u16){
      0x100000, 0x110001, 0x120002, 0x130003, 0x140004, 0x150005, 0x160006, 0x170007,
      0x180008, 0x190009, 0x1a000a, 0x1b000b, 0x1c000c, 0x1d000d, 0x1e000e, 0x1f000f};
  return (u16)_mm512_permutexvar_epi16(order, halves32(even, odd));
}
#else
INLINE u16 pairs16(v16 even, v16 odd) {
  return (u16)half16(even) >> 16 | (u16)half16(odd);
}
#endif

/// Terms [0, 32) of a row, of which there are `count`, as sixteen pairs.
INLINE void row_pairs(uint32_t *to, const float *from, size_t count) {
#if defined(MATRIX_TILES)
  if (count >= HALF_GROUP) {
    _mm512_storeu_si512(to, halves32(load16(from, LANES), load16(from + LANES, LANES)));
    return;
  }
#endif
  float row[HALF_GROUP] = {0};
  memcpy(row, from, (count < HALF_GROUP ? count : HALF_GROUP) * sizeof(float));
  for (size_t p = 0; p < LANES; p++) {
    const v16 terms = half16((v16){row[2 * p], row[2 * p + 1]});
    to[p] = (uint32_t)((u16)terms)[0] >> 16 | ((u16)terms)[1];
  }
}

/// A group of columns of op(B) which lie in rows of B, by way of pairs that lie in rows.
static void pack_lying_pairs(
    uint32_t *to, const ck_product *product, size_t column, size_t term) {
  const size_t count = product->k - term < HALF_GROUP ? product->k - term : HALF_GROUP;
  uint32_t rows[PANEL * LANES];
  for (size_t j = 0; j < PANEL; j++) {
    if (column + j < product->n)
      row_pairs(rows + j * LANES, product->b + (column + j) * product->ldb + term, count);
    else
      memset(rows + j * LANES, 0, LANES * sizeof(uint32_t));
  }
  transpose((float *)to, PANEL, (const float *)rows, LANES, PANEL, LANES);
}

/// Pairs of terms `term` and `term + 1` of `width` columns from `column` on.
INLINE void pack_pair(
    uint32_t *to, const ck_product *product, size_t column, size_t width, size_t term) {
  const float *even = product->b + term * product->ldb + column;
  for (size_t j = 0; j < PANEL; j += LANES) {
    const size_t count = j >= width ? 0 : width - j < LANES ? width - j : LANES;
    v16 first = 0, second = 0;
    if (count > 0 && term < product->k) first = load16(even + j, count);
    if (count > 0 && term + 1 < product->k) second = load16(even + product->ldb + j, count);
    u16 pairs = pairs16(first, second);
    memcpy(to + j, &pairs, (PANEL - j < LANES ? PANEL - j : LANES) * sizeof(uint32_t));
  }
}

/// Panels [begin, end) of op(B); `panels` is where the first of all is.
static void half_panels(const ck_product *product, void *panels, size_t begin, size_t end) {
  const size_t terms = ck_half_terms(product->k), words = terms / 2 * PANEL;
  for (size_t term = 0; term < terms; term += HALF_GROUP)
    for (size_t panel = begin; panel < end; panel++) {
      uint32_t *to = (uint32_t *)panels + panel * words + term / 2 * PANEL;
      const size_t column = panel * PANEL;
      if (product->transpose_b) {
        pack_lying_pairs(to, product, column, term);
        continue;
      }
      const size_t left = product->n - column, width = left < PANEL ? left : PANEL;
      for (size_t p = 0; p < LANES; p++)
        pack_pair(to + p * PANEL, product, column, width, term + 2 * p);
    }
}

#if !defined(MATRIX_TILES)
/// Strips [begin, end) of op(A): the numbers of a strip's rows for each term side by side.
static void half_rows(const ck_product *product, void *strips, size_t begin, size_t end) {
  const size_t terms = ck_half_terms(product->k);
  for (size_t s = begin; s < end; s++) {
    const size_t row = s * HALF_ROWS, left = product->m - row;
    const size_t rows = left < HALF_ROWS ? left : HALF_ROWS;
    float *to = (float *)strips + row * terms;
    if (product->transpose_a) {
      const float *from = product->a + row;
      for (size_t p = 0; p < product->k; p++)
        memcpy(to + p * rows, from + p * product->lda, rows * sizeof(float));
    } else {
      transpose(to, rows, product->a + row * product->lda, product->lda, rows, product->k);
    }
    memset(to + product->k * rows, 0, (terms - product->k) * rows * sizeof(float));
    for (size_t i = 0; i < terms * rows; i += LANES) store16(to + i, LANES, half16(load16(to + i, LANES)));
  }
}

/// c (rows, PANEL) = or += a strip times a panel.
INLINE void half_tile(
    const int rows, size_t depth, const float *a, const uint32_t *b, float *c, size_t ldc,
    bool fresh) {
  for (size_t term = 0; term < depth; term += HALF_GROUP, fresh = false) {
    vf even[HALF_ROWS][2], odd[HALF_ROWS][2];
#pragma clang loop unroll(full)
    for (int r = 0; r < rows; r++) even[r][0] = even[r][1] = odd[r][0] = odd[r][1] = 0;
#pragma clang loop unroll_count(2)
    for (size_t p = 0; p < HALF_GROUP / 2; p++, a += 2 * rows, b += PANEL) {
      const vu first = *(const vu_unaligned *)b, second = *(const vu_unaligned *)(b + WIDTH);
      const vf even0 = (vf)(first << 16), odd0 = (vf)(first & 0xffff0000);
      const vf even1 = (vf)(second << 16), odd1 = (vf)(second & 0xffff0000);
#pragma clang loop unroll(full)
      for (int r = 0; r < rows; r++) {
        const vf x = (vf)(a[r]), y = (vf)(a[rows + r]);
        even[r][0] = __builtin_elementwise_fma(x, even0, even[r][0]);
        even[r][1] = __builtin_elementwise_fma(x, even1, even[r][1]);
        odd[r][0] = __builtin_elementwise_fma(y, odd0, odd[r][0]);
        odd[r][1] = __builtin_elementwise_fma(y, odd1, odd[r][1]);
      }
    }
#pragma clang loop unroll(full)
    for (int r = 0; r < rows; r++)
#pragma clang loop unroll(full)
      for (int v = 0; v < 2; v++) {
        vf_unaligned *place = (vf_unaligned *)(c + (size_t)r * ldc + v * WIDTH);
        *place = (fresh ? (vf)(0) : *place) + (even[r][v] + odd[r][v]);
      }
  }
}

#define HALF_TILE(rows)                                                                       \
  static void half_tile_##rows(                                                               \
      size_t depth, const float *a, const uint32_t *b, float *c, size_t ldc, bool fresh) {    \
    half_tile(rows, depth, a, b, c, ldc, fresh);                                              \
  }
HALF_TILE(1) HALF_TILE(2)
#if WIDTH == 16
HALF_TILE(3) HALF_TILE(4) HALF_TILE(5) HALF_TILE(6)
#endif
#undef HALF_TILE

/// [rows − 1]
static void (*const half_tiles[HALF_ROWS])(
    size_t, const float *, const uint32_t *, float *, size_t, bool) = {
    half_tile_1, half_tile_2,
#if WIDTH == 16
    half_tile_3, half_tile_4, half_tile_5, half_tile_6,
#endif
};

/// Subnormal numbers count as 0 on this thread until `flush_end`.
INLINE uint64_t flush_begin(void) {
#if defined(__SSE__)
  const uint32_t before = __builtin_ia32_stmxcsr(), flushing = before | 0x8040;
  __asm__ volatile("ldmxcsr %0" : : "m"(flushing) : "memory");
  return before;
#elif defined(__aarch64__)
  uint64_t before;
  __asm__ volatile("mrs %0, fpcr" : "=r"(before));
  __asm__ volatile("msr fpcr, %0" : : "r"(before | 1 << 24) : "memory");
  return before;
#else
  return 0;
#endif
}

INLINE void flush_end(uint64_t before) {
#if defined(__SSE__)
  const uint32_t word = (uint32_t)before;
  __asm__ volatile("ldmxcsr %0" : : "m"(word) : "memory");
#elif defined(__aarch64__)
  __asm__ volatile("msr fpcr, %0" : : "r"(before) : "memory");
#else
  (void)before;
#endif
}

/// One strip times one panel, of which C has `width` columns.
static void half_strip(
    size_t rows, size_t depth, const float *a, const uint32_t *b, float *c, size_t ldc,
    size_t width, bool fresh) {
  if (width == PANEL) {
    half_tiles[rows - 1](depth, a, b, c, ldc, fresh);
    return;
  }
  float whole[HALF_ROWS * PANEL] = {0};
  if (!fresh)
    for (size_t r = 0; r < rows; r++)
      memcpy(whole + r * PANEL, c + r * ldc, width * sizeof(float));
  half_tiles[rows - 1](depth, a, b, whole, PANEL, fresh);
  for (size_t r = 0; r < rows; r++)
    memcpy(c + r * ldc, whole + r * PANEL, width * sizeof(float));
}

/// Strips of `a` times panels of `b`, into the product's C.
static void half_product(const ck_half *work) {
  const ck_product *product = work->product;
  const size_t terms = ck_half_terms(product->k);
  const uint64_t before = flush_begin();
  for (size_t term = 0; term < terms; term += HALF_DEPTH) {
    const size_t depth = terms - term < HALF_DEPTH ? terms - term : HALF_DEPTH;
    const bool fresh = term == 0 && !product->accumulate && !product->bias;
    for (size_t panel = work->panel; panel < work->panels_end; panel++) {
      const size_t column = panel * PANEL, left = product->n - column;
      const size_t width = left < PANEL ? left : PANEL;
      const uint32_t *b =
          (const uint32_t *)work->panels + panel * (terms / 2) * PANEL + term / 2 * PANEL;
      for (size_t s = work->strip; s < work->strips_end; s++) {
        const size_t row = s * HALF_ROWS, below = product->m - row;
        const size_t rows = below < HALF_ROWS ? below : HALF_ROWS;
        float *c = product->c + row * product->ldc + column;
        if (product->bias && term == 0) spread_bias(product, c, column, rows, width);
        half_strip(
            rows, depth, (const float *)work->strips + row * terms + term * rows, b, c,
            product->ldc, width, fresh);
      }
    }
  }
  flush_end(before);
}
#endif
