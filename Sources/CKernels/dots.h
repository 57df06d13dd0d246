// Products of activations in 8 bits with weights in codes: whole numbers are multiplied and added
// exactly, so every set gives the same bits, whatever its instructions. Included by each set.
//
// Every CHUNK terms of a row of A share a scale; a block of codes has its own. An element is, over
// its chunks in order, C = fma(scale of A, P, C), P being over the chunk's blocks in order
// fma(scale of the block, Σ code · a, P), then fma(offset, Σ a, P) where there are offsets.

enum {
  /// Terms of a row of A that share a scale.
  CHUNK = CODE_NEST,
  /// Rows of a tile; the sums of a tile are two registers for each row, of whole numbers and again
  /// of floats.
  DOT_ROWS = WIDE_ROWS,
  /// Groups of codes that a single tile of rows fetches before it needs them: without it a decoding
  /// step waits for memory a fifth of its time.
  GROUPS_AHEAD = 8,
  /// Tiles of rows from which on a panel's codes are spread to bytes first.
  SPREAD_TILES = 3,
};

/// Some rows of A in 8 bits. What belongs to different rows lies side by side: scales (chunks,
/// rows), blocks (blocks, rows), quads of terms (k / 4, rows).
typedef struct {
  float *scales;
  /// Of a block's Σ a, what its products need: where codes have offsets the sum, as a float; else
  /// what is taken from Σ (code + excess) · a to leave Σ code · a, negative, as a whole number.
  int32_t *blocks;
  int32_t *quads;
} dot_rows;

INLINE dot_rows dot_rows_at(float *memory, size_t rows, size_t k, size_t block) {
  dot_rows a = {.scales = memory};
  a.blocks = (int32_t *)(memory + (k + CHUNK - 1) / CHUNK * rows);
  a.quads = a.blocks + k / block * rows;
  return a;
}

/// Sixteen terms as whole numbers from −127 to 127, the nearest, ties to even.
INLINE i16 whole16(v16 x, float inverse) {
  const float round = 0x1.8p23f;  // adding it leaves the integer in the low bits
  const v16 shifted = x * inverse + round;
  return __builtin_bit_cast(i16, shifted) - __builtin_bit_cast(int32_t, round);
}

// A quad of codes made ready to be multiplied with many rows; what was added to each code on the
// way; and sum += Σ over the four terms of code · a. The includer may have chosen instructions:
//   DOT_VNNI    AVX-512 VNNI
//   DOT_AVX512  AVX-512 BW
//   DOT_AVX2
#if defined(DOT_VNNI)
typedef vi ready_quad;

// The instruction wants one side without a sign.
INLINE ready_quad dot_ready(vi quad, const int bits) {
  return bits == 8 ? quad ^ (vi)(int32_t)0x80808080 : quad;
}

INLINE int32_t dot_excess(const int bits, const bool offsets) {
  return bits == 8 ? 128 : code_middle(bits, offsets);
}

INLINE vi dot4(vi sum, ready_quad quad, int32_t a, const int bits) {
  (void)bits;
  return (vi)_mm512_dpbusd_epi32((__m512i)sum, (__m512i)quad, _mm512_set1_epi32(a));
}
#else
INLINE int32_t dot_excess(const int bits, const bool offsets) {
  return code_middle(bits, offsets);
}

#if defined(DOT_AVX512) || defined(DOT_AVX2)
// Pairs of products, one side without a sign, are added in 16 bits: at most 2 · 128 · 127, which
// fits. Codes of 8 bits give their sign to the other side.
#if defined(DOT_AVX512)
typedef struct { __m512i size; __mmask64 below; } ready_quad;

INLINE ready_quad dot_ready(vi quad, const int bits) {
  const __m512i codes = (__m512i)quad;
  if (bits < 8) return (ready_quad){codes, 0};
  return (ready_quad){_mm512_abs_epi8(codes), _mm512_movepi8_mask(codes)};
}

INLINE vi dot4(vi sum, ready_quad quad, int32_t a, const int bits) {
  __m512i terms = _mm512_set1_epi32(a);
  if (bits == 8) terms = _mm512_mask_sub_epi8(terms, quad.below, _mm512_setzero_si512(), terms);
  const __m512i pairs = _mm512_maddubs_epi16(quad.size, terms);
  return sum + (vi)_mm512_madd_epi16(pairs, _mm512_set1_epi16(1));
}
#else
typedef struct { __m256i size, codes; } ready_quad;

INLINE ready_quad dot_ready(vi quad, const int bits) {
  const __m256i codes = (__m256i)quad;
  return (ready_quad){bits == 8 ? _mm256_abs_epi8(codes) : codes, codes};
}

INLINE vi dot4(vi sum, ready_quad quad, int32_t a, const int bits) {
  __m256i terms = _mm256_set1_epi32(a);
  if (bits == 8) terms = _mm256_sign_epi8(terms, quad.codes);
  const __m256i pairs = _mm256_maddubs_epi16(quad.size, terms);
  return sum + (vi)_mm256_madd_epi16(pairs, _mm256_set1_epi16(1));
}
#endif
#else
typedef vi ready_quad;

INLINE ready_quad dot_ready(vi quad, const int bits) {
  (void)bits;
  return quad;
}

INLINE vi dot4(vi sum, ready_quad quad, int32_t a, const int bits) {
  (void)bits;
#pragma clang loop unroll(full)
  for (int t = 0; t < 4; t++)
    sum += ((quad << (24 - 8 * t)) >> 24) * ((int32_t)((uint32_t)a << (24 - 8 * t)) >> 24);
  return sum;
}
#endif
#endif

/// Brings row `r` of `rows` into 8 bits.
static void dot_row(
    const dot_rows *a, size_t r, size_t rows, const float *x, size_t k, const ck_codes *codes) {
  const size_t block = codes->block;
  const int32_t excess = dot_excess(codes->bits, codes->offsets);
  for (size_t start = 0; start < k; start += CHUNK) {
    const size_t length = k - start < CHUNK ? k - start : CHUNK;
    v16 top = 0;
    for (size_t i = 0; i < length; i += LANES) {
      const v16 size = abs16(load16(x + start + i, LANES));
      top = size > top ? size : top;
    }
    // Sizes have the order of their bits, and of whole numbers the largest is found in a tree.
    const float most = __builtin_bit_cast(float, __builtin_reduce_max((i16)top));
    // What is not a number, or too large or small for a scale, becomes 0.
    const bool usable = most >= 0x1p-100f && most <= 0x1p120f;
    const float inverse = usable ? 127 / most : 0;
    a->scales[start / CHUNK * rows + r] = usable ? most / 127 : 0;
    for (size_t i = 0; i < length; i += block) {
      i16 sum = 0;
      for (size_t j = i; j < i + block; j += LANES) {
        v16 value = load16(x + start + j, LANES);
        if (!usable) value = 0;
        const i16 whole = whole16(value == value ? value : all16(0), inverse);
        sum += whole;
        typedef int8_t c16 __attribute__((ext_vector_type(16)));
        const c16 bytes = __builtin_convertvector(whole, c16);
        int32_t quads[4];
        memcpy(quads, &bytes, sizeof quads);
        for (size_t q = 0; q < 4; q++) a->quads[((start + j) / 4 + q) * rows + r] = quads[q];
      }
      const int32_t total = __builtin_reduce_add(sum);
      a->blocks[(start + i) / block * rows + r] =
          codes->offsets ? __builtin_bit_cast(int32_t, (float)total) : -excess * total;
    }
  }
}

/// What is brought into the caches while a tile is multiplied: of the codes from `next` on, for
/// each block of the tile's own `bytes`, a line of 64 every `step` from `first` on.
typedef struct {
  const uint8_t *next;
  size_t bytes, first, step;
} dot_fetch;

/// c (rows, PANEL) = or += the rows of `a` times a panel of codes.
///
/// - spread: the codes are bytes without a sign, whatever their bits were.
INLINE void dot_tile(
    const int rows, dot_rows a, const uint8_t *unit, size_t k, float *c, size_t ldc,
    bool fresh, dot_fetch fetch, const ck_codes form, const bool spread) {
  const int bits = spread ? 4 : form.bits;
  const size_t block = form.block, terms = ck_unit_terms(&form), quad = quad_bytes(form.bits);
  const bool offsets = form.offsets;
  for (size_t start = 0; start < k; start += CHUNK) {
    const size_t length = k - start < CHUNK ? k - start : CHUNK;
    vf part[DOT_ROWS][2];
#pragma clang loop unroll(full)
    for (int r = 0; r < rows; r++) part[r][0] = part[r][1] = 0;
    for (size_t p = 0; p < length; p += terms, unit += ck_unit_bytes(&form, PANEL)) {
      const uint8_t *codes = unit + ck_unit_head(&form, PANEL);
      for (size_t b = 0; b < terms / block; b++, fetch.next += fetch.bytes) {
        for (size_t i = fetch.first; i < fetch.bytes; i += fetch.step)
          __builtin_prefetch(fetch.next + i);
        vi sum[DOT_ROWS][2];
#pragma clang loop unroll(full)
        for (int r = 0; r < rows; r++)
          sum[r][0] = sum[r][1] = (vi)(offsets ? 0 : a.blocks[r]);
#pragma clang loop unroll(full)
        for (size_t q = 0; q < block / 4; q++, codes += quad, a.quads += rows) {
          vi low, high;
          quad_codes(&low, &high, codes, form.bits);
          const ready_quad ready0 = dot_ready(low, bits), ready1 = dot_ready(high, bits);
#pragma clang loop unroll(full)
          for (int r = 0; r < rows; r++) {
            sum[r][0] = dot4(sum[r][0], ready0, a.quads[r], bits);
            sum[r][1] = dot4(sum[r][1], ready1, a.quads[r], bits);
          }
        }
        const vf scale0 = block_scales(unit, form, b, 0, 0);
        const vf scale1 = block_scales(unit, form, b, 0, WIDTH);
#pragma clang loop unroll(full)
        for (int r = 0; r < rows; r++) {
          part[r][0] = __builtin_elementwise_fma(AS_FLOATS(sum[r][0]), scale0, part[r][0]);
          part[r][1] = __builtin_elementwise_fma(AS_FLOATS(sum[r][1]), scale1, part[r][1]);
        }
        if (offsets) {
          const vf offset0 = block_scales(unit, form, b, 1, 0);
          const vf offset1 = block_scales(unit, form, b, 1, WIDTH);
#pragma clang loop unroll(full)
          for (int r = 0; r < rows; r++) {
            const vf total = (vf)(__builtin_bit_cast(float, a.blocks[r]));
            part[r][0] = __builtin_elementwise_fma(total, offset0, part[r][0]);
            part[r][1] = __builtin_elementwise_fma(total, offset1, part[r][1]);
          }
        }
        a.blocks += rows;
      }
    }
#pragma clang loop unroll(full)
    for (int r = 0; r < rows; r++)
#pragma clang loop unroll(full)
      for (int v = 0; v < 2; v++) {
        vf_unaligned *place = (vf_unaligned *)(c + (size_t)r * ldc + v * WIDTH);
        const vf before = fresh && start == 0 ? (vf)(0) : *place;
        *place = __builtin_elementwise_fma(part[r][v], (vf)(a.scales[r]), before);
      }
    a.scales += rows;
  }
}

/// A form as `spread_panel` leaves it: bytes, scales in f32.
#define SPREAD(block, offsets) FORM(8, block, offsets, F32)

#define DOT_TILE(rows)                                                                     \
  static void dot_tile_##rows(                                                             \
      const ck_codes *codes, dot_rows a, const uint8_t *unit, size_t k, float *c, size_t ldc, \
      bool fresh, dot_fetch fetch) {                                                       \
    BY_FORM(codes, DOT_CALL_##rows);                                                       \
  }                                                                                        \
  static void spread_tile_##rows(                                                          \
      const ck_codes *codes, dot_rows a, const uint8_t *unit, size_t k, float *c, size_t ldc, \
      bool fresh, dot_fetch fetch) {                                                       \
    if (codes->block == 16)                                                                \
      dot_tile(rows, a, unit, k, c, ldc, fresh, fetch, SPREAD(16, false), true);          \
    else if (codes->offsets)                                                               \
      dot_tile(rows, a, unit, k, c, ldc, fresh, fetch, SPREAD(32, true), true);           \
    else                                                                                   \
      dot_tile(rows, a, unit, k, c, ldc, fresh, fetch, SPREAD(32, false), true);          \
  }
#define DOT_CALL(rows, form) dot_tile(rows, a, unit, k, c, ldc, fresh, fetch, form, false)
#define DOT_CALL_1(form) DOT_CALL(1, form)
#define DOT_CALL_2(form) DOT_CALL(2, form)
#define DOT_CALL_3(form) DOT_CALL(3, form)
DOT_TILE(1) DOT_TILE(2) DOT_TILE(3)
#if WIDE_ROWS == 6
#define DOT_CALL_4(form) DOT_CALL(4, form)
#define DOT_CALL_5(form) DOT_CALL(5, form)
#define DOT_CALL_6(form) DOT_CALL(6, form)
DOT_TILE(4) DOT_TILE(5) DOT_TILE(6)
#endif
#undef DOT_TILE

typedef void dot_function(
    const ck_codes *codes, dot_rows a, const uint8_t *unit, size_t k, float *c, size_t ldc,
    bool fresh, dot_fetch fetch);

/// [rows − 1], of codes as they lie and of spread ones.
static dot_function *const dot_tiles[DOT_ROWS] = {
    dot_tile_1, dot_tile_2, dot_tile_3,
#if WIDE_ROWS == 6
    dot_tile_4, dot_tile_5, dot_tile_6,
#endif
};
static dot_function *const spread_tiles[DOT_ROWS] = {
    spread_tile_1, spread_tile_2, spread_tile_3,
#if WIDE_ROWS == 6
    spread_tile_4, spread_tile_5, spread_tile_6,
#endif
};

INLINE void spread_unit(uint8_t *to, const uint8_t *unit, const ck_codes form) {
  const ck_codes wide = SPREAD(form.block, form.offsets);
  const size_t head = ck_unit_head(&wide, PANEL), within = CODE_GROUP / form.block;
  const uint8_t *codes = unit + ck_unit_head(&form, PANEL);
  for (size_t b = 0; b < ck_unit_terms(&form) / form.block; b++) {
    uint8_t *target = to + b / within * ck_unit_bytes(&wide, PANEL);
    for (size_t which = 0; which < (form.offsets ? 2 : 1); which++) {
      vf_unaligned *scales =
          (vf_unaligned *)(target + ck_scales_place(&wide, PANEL, b % within, which));
      scales[0] = block_scales(unit, form, b, which, 0);
      scales[1] = block_scales(unit, form, b, which, WIDTH);
    }
    vi_unaligned *quads = (vi_unaligned *)(target + head) + b % within * form.block / 2;
    for (size_t q = 0; q < form.block / 4; q++, codes += quad_bytes(form.bits)) {
      vi low, high;
      quad_codes(&low, &high, codes, form.bits);
      quads[2 * q] = low;
      quads[2 * q + 1] = high;
    }
  }
}

/// A panel of codes of fewer than 8 bits as bytes, with scales in f32: for so many rows that taking
/// the codes apart for each tile costs more.
static const uint8_t *spread_panel(
    ck_workspace *space, const ck_codes *codes, const uint8_t *unit, size_t k) {
  const ck_codes wide = SPREAD(codes->block, codes->offsets);
  const size_t terms = ck_unit_terms(codes), size = ck_unit_bytes(codes, PANEL);
  const size_t spread = ck_unit_bytes(&wide, PANEL) * terms / CODE_GROUP;
  uint8_t *all = (uint8_t *)ck_buffer_reserve(&space->packed_b, k / terms * spread / 4), *to = all;
  for (size_t p = 0; p < k; p += terms, unit += size, to += spread) {
#define CALL(form) spread_unit(to, unit, form)
    BY_FORM(codes, CALL);
#undef CALL
  }
  return all;
}

/// Tiles of rows are as even as can be; where tile `t` begins.
INLINE size_t tile_row(size_t m, size_t t) { return m * t / ((m + DOT_ROWS - 1) / DOT_ROWS); }

static void round_rows(const ck_product *product, float *a, size_t begin, size_t end) {
  const size_t k = product->k, block = product->codes->block, words = ck_dot_words(product);
  for (size_t t = begin; t < end; t++) {
    const size_t first = tile_row(product->m, t), height = tile_row(product->m, t + 1) - first;
    const dot_rows rows = dot_rows_at(a + first * words, height, k, block);
    for (size_t r = 0; r < height; r++)
      dot_row(&rows, r, height, product->a + (first + r) * product->lda, k, product->codes);
  }
}

/// Tiles [begin, end) of rows against the columns of the product, panel by panel.
static void dot_product(
    ck_workspace *space, const ck_product *product, float *a, size_t begin, size_t end) {
  const ck_codes *codes = product->codes;
  const size_t k = product->k, words = ck_dot_words(product);
  // A unit's share for each of its blocks.
  const size_t bytes = ck_unit_bytes(codes, PANEL) * codes->block / ck_unit_terms(codes);
  const bool spread = codes->bits < 8 && end - begin >= SPREAD_TILES;
  const bool fresh = !product->accumulate && !product->bias;
  dot_function *const *functions = spread ? spread_tiles : dot_tiles;
  for (size_t column = 0; column < product->n; column += PANEL) {
    const size_t width = product->n - column < PANEL ? product->n - column : PANEL;
    const uint8_t *unit = code_unit(codes, k, product->first_column + column, 0);
    // The tiles of rows share fetching the next panel; one alone fetches its own.
    const size_t tiles = end - begin;
    dot_fetch fetch = {.bytes = bytes, .step = 64 * tiles};
    fetch.next = unit + (tiles > 1 ? k : GROUPS_AHEAD * CODE_GROUP) / codes->block * bytes;
    if (spread) unit = spread_panel(space, codes, unit, k);
    float whole[DOT_ROWS * PANEL];
    for (size_t t = begin; t < end; t++) {
      const size_t first = tile_row(product->m, t), height = tile_row(product->m, t + 1) - first;
      float *c = product->c + first * product->ldc + column;
      const dot_rows rows = dot_rows_at(a + first * words, height, k, codes->block);
      fetch.first = 64 * (t - begin);
      if (product->bias) spread_bias(product, c, column, height, width);
      if (width == PANEL) {
        functions[height - 1](codes, rows, unit, k, c, product->ldc, fresh, fetch);
        continue;
      }
      if (!fresh)
        for (size_t r = 0; r < height; r++)
          memcpy(whole + r * PANEL, c + r * product->ldc, width * sizeof(float));
      functions[height - 1](codes, rows, unit, k, whole, PANEL, fresh, fetch);
      for (size_t r = 0; r < height; r++)
        memcpy(c + r * product->ldc, whole + r * PANEL, width * sizeof(float));
    }
  }
}
