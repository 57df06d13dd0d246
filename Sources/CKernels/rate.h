// The roofs: multiply-adds of registers alone, two operations each. Included by each set.

enum {
  /// Enough independent chains to hide the latency of two units.
  RATE_CHAINS = 12,
  RATE_ROUNDS = 200000,
};

INLINE double seconds_since(const struct timespec *begin) {
  struct timespec end;
  clock_gettime(CLOCK_MONOTONIC, &end);
  return (double)(end.tv_sec - begin->tv_sec) + 1e-9 * (double)(end.tv_nsec - begin->tv_nsec);
}

/// Of f32, fused.
static double fma_rate(void) {
  vf chain[RATE_CHAINS];
  for (int i = 0; i < RATE_CHAINS; i++) chain[i] = (vf)((float)i);
  volatile float seed = 0.5f;
  const vf factor = (vf)(seed), term = (vf)(seed);
  struct timespec begin;
  clock_gettime(CLOCK_MONOTONIC, &begin);
  for (int round = 0; round < RATE_ROUNDS; round++) {
#pragma clang loop unroll(full)
    for (int i = 0; i < RATE_CHAINS; i++)
      chain[i] = __builtin_elementwise_fma(chain[i], factor, term);
  }
  const double seconds = seconds_since(&begin);
  vf sum = (vf)(0);
  for (int i = 0; i < RATE_CHAINS; i++) sum += chain[i];
  volatile float sink = sum[0];
  (void)sink;
  return 2.0 * WIDTH * RATE_CHAINS * RATE_ROUNDS / seconds;
}

#if defined(MATRIX_TILES)
/// Rounds of four tiles, and whole tiles of 16 rows.
enum { TILE_ROUNDS = 50000, TILE_LINES = 16 };

INLINE void begin_rate_tiles(void) {
  tile_shapes shapes = {.palette = 1};
  for (size_t t = 0; t < 8; t++) {
    shapes.rows[t] = TILE_LINES;
    shapes.row_bytes[t] = 64;
  }
  tiles_begin(&shapes);
}

/// Of tiles of (16, terms) and (terms, 16).
#define TILE_RATE(name, multiply, terms)                      \
  static double name(void) {                                  \
    begin_rate_tiles();                                       \
    struct timespec begin;                                    \
    clock_gettime(CLOCK_MONOTONIC, &begin);                   \
    for (int round = 0; round < TILE_ROUNDS; round++) {       \
      multiply(0, 4, 6);                                      \
      multiply(1, 4, 7);                                      \
      multiply(2, 5, 6);                                      \
      multiply(3, 5, 7);                                      \
    }                                                         \
    const double seconds = seconds_since(&begin);             \
    tiles_end();                                              \
    return 2.0 * 4 * 16 * 16 * (terms) * TILE_ROUNDS / seconds; \
  }

/// Of bf16, and of whole numbers of 8 bits.
TILE_RATE(half_rate, _tile_dpbf16ps, 32)
TILE_RATE(whole_rate, _tile_dpbssd, 64)
#undef TILE_RATE
#else
/// Of bf16: they are multiplied as floats.
static double half_rate(void) { return fma_rate(); }

/// Of whole numbers of 8 bits.
static double whole_rate(void) {
  vi chain[RATE_CHAINS];
  for (int i = 0; i < RATE_CHAINS; i++) chain[i] = (vi)(i);
  volatile int32_t seed = 0x01020304;
  const int32_t number = seed;
  const ready_quad quad = dot_ready((vi)(number), 4);
  struct timespec begin;
  clock_gettime(CLOCK_MONOTONIC, &begin);
  for (int round = 0; round < RATE_ROUNDS; round++) {
#pragma clang loop unroll(full)
    for (int i = 0; i < RATE_CHAINS; i++) chain[i] = dot4(chain[i], quad, number, 4);
  }
  const double seconds = seconds_since(&begin);
  vi sum = (vi)(0);
  for (int i = 0; i < RATE_CHAINS; i++) sum += chain[i];
  volatile int32_t sink = sum[0];
  (void)sink;
  return 2.0 * 4 * WIDTH * RATE_CHAINS * RATE_ROUNDS / seconds;
}
#endif
