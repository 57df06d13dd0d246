// Weights in codes of few bits in products of bf16: what they stand for is rounded, and halves.h
// says how it is multiplied. A product has the bits of that with the decoded weight. Included by
// each set.

/// Two terms of a quad, of half a panel, rounded.
INLINE void decode_both(
    vf *even, vf *odd, vi quad, const int t, vf scale, vf offset, const ck_codes form) {
  *even = decoded(quad_term(quad, t, form.bits, form.offsets), scale, offset, form.offsets);
  *odd = decoded(quad_term(quad, t + 1, form.bits, form.offsets), scale, offset, form.offsets);
}

/// c (rows, PANEL) = or += a few rows of A, `stride` apart and rounded, times a panel of codes.
INLINE void half_code_tile(
    const int rows, size_t k, const float *a, size_t stride, const uint8_t *unit, float *c,
    size_t ldc, bool fresh, const ck_codes form) {
  const size_t block = form.block, terms = ck_unit_terms(&form);
  const size_t skip = ck_unit_head(&form, PANEL), size = ck_unit_bytes(&form, PANEL);
  // As in `code_tile`.
  const size_t ahead = 4 * CODE_GROUP * PANEL / 8 * (size_t)form.bits;
  vf sum[CODE_ROWS][2], even[CODE_ROWS][2], odd[CODE_ROWS][2];
#pragma clang loop unroll(full)
  for (int r = 0; r < rows; r++)
#pragma clang loop unroll(full)
    for (int v = 0; v < 2; v++)
      sum[r][v] = fresh ? (vf)(0) : *(const vf_unaligned *)(c + (size_t)r * ldc + v * WIDTH);
  for (size_t p = 0; p < k; p += terms, unit += size) {
    const uint8_t *codes = unit + skip;
    for (size_t b = 0; b < terms / block; b++) {
      const float *x = a + p + b * block;
      const vf scale0 = block_scales(unit, form, b, 0, 0);
      const vf scale1 = block_scales(unit, form, b, 0, WIDTH);
      const vf offset0 = form.offsets ? block_scales(unit, form, b, 1, 0) : (vf)(0);
      const vf offset1 = form.offsets ? block_scales(unit, form, b, 1, WIDTH) : (vf)(0);
      if (b * block % CODE_GROUP == 0) {
#pragma clang loop unroll(full)
        for (int r = 0; r < rows; r++) even[r][0] = even[r][1] = odd[r][0] = odd[r][1] = 0;
      }
#pragma clang loop unroll(disable)
      for (size_t q = 0; q < block / 4; q++, x += 4, codes += quad_bytes(form.bits)) {
        __builtin_prefetch(codes + ahead);
        vi low, high;
        quad_codes(&low, &high, codes, form.bits);
#pragma clang loop unroll(full)
        for (int t = 0; t < 4; t += 2) {
          vf first0, first1, second0, second1;
          decode_both(&first0, &second0, low, t, scale0, offset0, form);
          decode_both(&first1, &second1, high, t, scale1, offset1, form);
          round_both(&first0, &second0);
          round_both(&first1, &second1);
#pragma clang loop unroll(full)
          for (int r = 0; r < rows; r++) {
            const vf y = (vf)(x[(size_t)r * stride + (size_t)t]);
            const vf z = (vf)(x[(size_t)r * stride + (size_t)t + 1]);
            even[r][0] = __builtin_elementwise_fma(y, first0, even[r][0]);
            even[r][1] = __builtin_elementwise_fma(y, first1, even[r][1]);
            odd[r][0] = __builtin_elementwise_fma(z, second0, odd[r][0]);
            odd[r][1] = __builtin_elementwise_fma(z, second1, odd[r][1]);
          }
        }
      }
      if ((b + 1) * block % CODE_GROUP != 0) continue;
#pragma clang loop unroll(full)
      for (int r = 0; r < rows; r++)
#pragma clang loop unroll(full)
        for (int v = 0; v < 2; v++) sum[r][v] += even[r][v] + odd[r][v];
    }
  }
#pragma clang loop unroll(full)
  for (int r = 0; r < rows; r++)
#pragma clang loop unroll(full)
    for (int v = 0; v < 2; v++)
      *(vf_unaligned *)(c + (size_t)r * ldc + v * WIDTH) = sum[r][v];
}

#define HALF_CODE_TILE(rows)                                                                  \
  static void half_code_tile_##rows(                                                          \
      size_t k, const float *a, size_t stride, const uint8_t *unit, float *c, size_t ldc,     \
      bool fresh, const ck_codes *codes) {                                                    \
    BY_FORM(codes, HALF_CALL_##rows);                                                         \
  }
#define HALF_CALL(rows, form) half_code_tile(rows, k, a, stride, unit, c, ldc, fresh, form)
#define HALF_CALL_1(form) HALF_CALL(1, form)
#define HALF_CALL_2(form) HALF_CALL(2, form)
#define HALF_CALL_3(form) HALF_CALL(3, form)
#define HALF_CALL_4(form) HALF_CALL(4, form)
HALF_CODE_TILE(1) HALF_CODE_TILE(2) HALF_CODE_TILE(3) HALF_CODE_TILE(4)
#undef HALF_CODE_TILE

/// [rows − 1]
static void (*const half_code_tiles[CODE_ROWS])(
    size_t, const float *, size_t, const uint8_t *, float *, size_t, bool, const ck_codes *) = {
    half_code_tile_1, half_code_tile_2, half_code_tile_3, half_code_tile_4};

/// A product of a few rows straight from codes, without a copy of the weights in between: what a
/// decoding step does.
static void half_code_rows(ck_workspace *space, const ck_product *product) {
  const size_t rows = product->m, k = product->k;
  const bool fresh = !product->accumulate && !product->bias;
  float *a = ck_buffer_reserve(&space->packed_a, rows * k);
  for (size_t r = 0; r < rows; r++)
    for (size_t p = 0; p < k; p += LANES)
      store16(a + r * k + p, LANES, half16(load16(product->a + r * product->lda + p, LANES)));
  const uint64_t before = flush_begin();
  for (size_t column = 0; column < product->n; column += PANEL) {
    const size_t left = product->n - column, width = left < PANEL ? left : PANEL;
    const uint8_t *unit = code_unit(product->codes, k, product->first_column + column, 0);
    float *c = product->c + column;
    if (product->bias) spread_bias(product, c, column, rows, width);
    if (width == PANEL) {
      half_code_tiles[rows - 1](k, a, k, unit, c, product->ldc, fresh, product->codes);
      continue;
    }
    float whole[CODE_ROWS * PANEL] = {0};
    for (size_t r = 0; r < rows && !fresh; r++)
      memcpy(whole + r * PANEL, c + r * product->ldc, width * sizeof(float));
    half_code_tiles[rows - 1](k, a, k, unit, whole, PANEL, fresh, product->codes);
    for (size_t r = 0; r < rows; r++)
      memcpy(c + r * product->ldc, whole + r * PANEL, width * sizeof(float));
  }
  flush_end(before);
}

/// A unit of codes as pairs in the panels of halves.h, which are `words` apart.
INLINE void unit_pairs(
    uint32_t *to, size_t words, size_t column, const uint8_t *unit, const ck_codes form) {
  uint32_t *low_to = to + column / HALF_PANEL * words + column % HALF_PANEL;
  uint32_t *high_to =
      to + (column + WIDTH) / HALF_PANEL * words + (column + WIDTH) % HALF_PANEL;
  const uint8_t *codes = unit + ck_unit_head(&form, PANEL);
  for (size_t b = 0; b < ck_unit_terms(&form) / form.block; b++) {
    const vf scale0 = block_scales(unit, form, b, 0, 0);
    const vf scale1 = block_scales(unit, form, b, 0, WIDTH);
    const vf offset0 = form.offsets ? block_scales(unit, form, b, 1, 0) : (vf)(0);
    const vf offset1 = form.offsets ? block_scales(unit, form, b, 1, WIDTH) : (vf)(0);
    for (size_t q = 0; q < form.block / 4; q++, codes += quad_bytes(form.bits)) {
      vi low, high;
      quad_codes(&low, &high, codes, form.bits);
#pragma clang loop unroll(full)
      for (int t = 0; t < 4; t += 2, low_to += HALF_PANEL, high_to += HALF_PANEL) {
        vf even, odd;
        decode_both(&even, &odd, low, t, scale0, offset0, form);
        *(vu_unaligned *)low_to = half_pairs(even, odd);
        decode_both(&even, &odd, high, t, scale1, offset1, form);
        *(vu_unaligned *)high_to = half_pairs(even, odd);
      }
    }
  }
}

/// The columns of a product's codes as panels of halves.h: whole panels of codes, so one panel more
/// may be written than the columns need.
static void half_code_panels(const ck_product *product, void *panels) {
  const ck_codes *codes = product->codes;
  const size_t k = product->k, terms = ck_unit_terms(codes), size = ck_unit_bytes(codes, PANEL);
  const size_t words = k / 2 * HALF_PANEL;
  const uint64_t before = flush_begin();
  for (size_t column = 0; column < product->n; column += PANEL) {
    const uint8_t *unit = code_unit(codes, k, product->first_column + column, 0);
    uint32_t *to = (uint32_t *)panels;
    for (size_t p = 0; p < k; p += terms, unit += size, to += terms / 2 * HALF_PANEL) {
#define CALL(form) unit_pairs(to, words, column, unit, form)
      BY_FORM(codes, CALL);
#undef CALL
    }
  }
  flush_end(before);
}
