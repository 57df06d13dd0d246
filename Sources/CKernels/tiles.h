// The register tile of products: a few rows of A times two or four registers of columns of B.
// Included by each set.

typedef float vf __attribute__((ext_vector_type(WIDTH)));
typedef float vf_unaligned __attribute__((ext_vector_type(WIDTH), aligned(4)));

enum {
  /// Columns of a panel of B.
  PANEL = 2 * WIDTH,
  /// Terms of a sum that are worked on at a time, at most; a panel of B then fits the first cache.
  DEPTH = 256,
  /// Between rows of packed A: a multiple of the cache line that is not a power of two, so that
  /// rows lie in different sets; a constant, so that one register addresses them all.
  A_STRIDE = DEPTH + 16,
  CODE_ROWS = CK_CODE_ROWS,
};

typedef uint32_t vu __attribute__((ext_vector_type(WIDTH)));
typedef uint32_t vu_unaligned __attribute__((ext_vector_type(WIDTH), aligned(4)));
typedef uint16_t vh_unaligned __attribute__((ext_vector_type(WIDTH), aligned(2)));

/// c (rows, …) = c + a · b over `depth` terms, or a · b when `fresh`; one chain of multiply-adds
/// for each element.
///
/// - a: rows `A_STRIDE` apart.
/// - b: terms `b_step` apart, pairs of registers `b_pair`.
/// - next: the c of the tile that follows, fetched meanwhile; its rows lie `ldc` apart, too.
typedef void tile_function(
    size_t depth, const float *a, const float *b, size_t b_step, size_t b_pair, float *c,
    size_t ldc, bool fresh, const float *next);

INLINE void tile(
    const int rows, const int registers, size_t depth, const float *a, const float *b,
    size_t b_step, size_t b_pair, float *c, size_t ldc, bool fresh,
    const float *next) {
  vf sum[TILE_ROWS][4];
#pragma clang loop unroll(full)
  for (int r = 0; r < rows; r++)
#pragma clang loop unroll(full)
    for (int v = 0; v < registers; v++)
      sum[r][v] = fresh ? (vf)(0) : *(const vf_unaligned *)(c + (size_t)r * ldc + v * WIDTH);
  for (size_t p = 0; p < depth; p++) {
    // Not sooner: what lies in few sets of the first cache would be gone again.
    if (depth - p == 64) {
#pragma clang loop unroll(full)
      for (int r = 0; r < rows; r++)
#pragma clang loop unroll(full)
        for (int v = 0; v < registers; v++)
          __builtin_prefetch(next + (size_t)r * ldc + v * WIDTH, 1);
    }
    vf column[4];
#pragma clang loop unroll(full)
    for (int v = 0; v < registers; v++) {
      const size_t place = p * b_step + (v / 2 ? b_pair : 0) + (v % 2) * WIDTH;
      column[v] = *(const vf_unaligned *)(b + place);
    }
#pragma clang loop unroll(full)
    for (int r = 0; r < rows; r++) {
      const vf value = (vf)(a[r * A_STRIDE + p]);
#pragma clang loop unroll(full)
      for (int v = 0; v < registers; v++)
        sum[r][v] = __builtin_elementwise_fma(value, column[v], sum[r][v]);
    }
  }
#pragma clang loop unroll(full)
  for (int r = 0; r < rows; r++)
#pragma clang loop unroll(full)
    for (int v = 0; v < registers; v++)
      *(vf_unaligned *)(c + (size_t)r * ldc + v * WIDTH) = sum[r][v];
}

#define TILE(name, rows, registers)                                                         \
  static void name(                                                                         \
      size_t depth, const float *a, const float *b, size_t b_step, size_t b_pair, float *c, \
      size_t ldc, bool fresh, const float *next) {                                          \
    tile(rows, registers, depth, a, b, b_step, b_pair, c, ldc, fresh, next);                \
  }
#define NARROW(rows) TILE(tile_##rows##_2, rows, 2)
#define WIDE(rows) TILE(tile_##rows##_4, rows, 4)

NARROW(1) NARROW(2) NARROW(3) NARROW(4) NARROW(5) NARROW(6)
WIDE(1) WIDE(2) WIDE(3)
#if TILE_ROWS == 14
NARROW(7) NARROW(8) NARROW(9) NARROW(10) NARROW(11) NARROW(12) NARROW(13) NARROW(14)
WIDE(4) WIDE(5) WIDE(6)
#endif
#undef TILE
#undef NARROW
#undef WIDE

/// [rows − 1], two registers wide.
static tile_function *const narrow_tiles[TILE_ROWS] = {
    tile_1_2, tile_2_2, tile_3_2, tile_4_2, tile_5_2, tile_6_2,
#if TILE_ROWS == 14
    tile_7_2, tile_8_2, tile_9_2, tile_10_2, tile_11_2, tile_12_2, tile_13_2, tile_14_2,
#endif
};

/// [rows − 1], four registers wide.
static tile_function *const wide_tiles[WIDE_ROWS] = {
    tile_1_4, tile_2_4, tile_3_4,
#if TILE_ROWS == 14
    tile_4_4, tile_5_4, tile_6_4,
#endif
};
