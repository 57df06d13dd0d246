// Puts rows of codes into panels, and reads them back.
#include "internal.h"

size_t ck_codes_bytes(const ck_pool *pool, const ck_codes *codes, size_t n, size_t k) {
  const size_t panel = ck_pool_kernels(pool)->panel;
  return ck_unit_place(codes, panel, k, (n + panel - 1) / panel * panel, 0);
}

/// A number of f16 as its bits, and back.
static uint16_t half_bits(float x) {
  uint32_t bits;
  memcpy(&bits, &x, sizeof bits);
  const uint32_t sign = bits >> 16 & 0x8000, size = bits & 0x7fffffff;
  if (size >= 0x7f800000) return (uint16_t)(sign | 0x7c00 | (size & 0x7fffff ? 0x200 : 0));
  if (size >= 0x38800000) return (uint16_t)(sign | ((size - 0x38000000) >> 13));
  return (uint16_t)(sign | (uint32_t)(fabsf(x) * 0x1p24f));
}

static float half_value(uint16_t bits) {
  const float sign = bits & 0x8000 ? -1 : 1, size = (float)(bits & 0x3ff);
  const int exponent = bits >> 10 & 31;
  if (exponent == 31) return size > 0 ? NAN : sign * INFINITY;
  return sign * (exponent ? ldexpf(1024 + size, exponent - 25) : size * 0x1p-24f);
}

/// Puts a unit's scales (which = 0) or offsets (1) of a column into its head.
static void place_scales(
    const ck_codes *codes, size_t panel, uint8_t *unit, size_t column, size_t which, size_t index,
    const float *values, const int8_t *steps) {
  const size_t blocks = ck_unit_terms(codes) / codes->block;
  if (codes->scales == CK_SCALES_NESTED)
    ((uint16_t *)unit)[which * panel + column] = half_bits(values[index]);
  for (size_t b = 0; b < blocks; b++) {
    uint8_t *place = unit + ck_scales_place(codes, panel, b, which);
    const size_t from = index * blocks + b;
    switch (codes->scales) {
      case CK_SCALES_F32: ((float *)place)[column] = values[from]; break;
      case CK_SCALES_F16: ((uint16_t *)place)[column] = half_bits(values[from]); break;
      case CK_SCALES_NESTED: ((int8_t *)place)[column] = steps[from]; break;
    }
  }
}

static float placed_scale(
    const ck_codes *codes, size_t panel, const uint8_t *unit, size_t column, size_t block,
    size_t which) {
  const uint8_t *place = unit + ck_scales_place(codes, panel, block, which);
  switch (codes->scales) {
    case CK_SCALES_F32: return ((const float *)place)[column];
    case CK_SCALES_F16: return half_value(((const uint16_t *)place)[column]);
    case CK_SCALES_NESTED: break;
  }
  return half_value(((const uint16_t *)unit)[which * panel + column]) *
         (float)((const int8_t *)place)[column];
}

/// Where the quad of a unit's term `p` begins, behind the head.
static size_t quad_place(const ck_codes *codes, size_t panel, size_t p) {
  return p / 4 * (panel / 2 * (size_t)codes->bits);
}

/// Puts a code of term `p` into its quad, whose bits are 0.
static void put_code(
    const ck_codes *codes, size_t panel, uint8_t *quad, size_t p, size_t column, uint8_t code) {
  const size_t half = panel / 2, place = column * 4 + p % 4;
  if (codes->bits == 8) {
    quad[place] = code;
    return;
  }
  quad[column % half * 4 + p % 4] |= (uint8_t)((code & 15) << (column < half ? 0 : 4));
  uint8_t *plane = quad + 4 * half;
  for (int bit = 4; bit < codes->bits; bit++, plane += half)
    plane[place / 8] |= (uint8_t)((code >> bit & 1) << place % 8);
}

/// What a code of a quad stands for before it is scaled.
static int code_meaning(
    const ck_codes *codes, size_t panel, const uint8_t *quad, size_t p, size_t column) {
  const size_t half = panel / 2, place = column * 4 + p % 4;
  if (codes->bits == 8) return (int8_t)quad[place];
  int code = quad[column % half * 4 + p % 4] >> (column < half ? 0 : 4) & 15;
  const uint8_t *plane = quad + 4 * half;
  for (int bit = 4; bit < codes->bits; bit++, plane += half)
    code |= (plane[place / 8] >> place % 8 & 1) << bit;
  return codes->offsets ? code : code - (1 << (codes->bits - 1));
}

void ck_codes_place(
    const ck_pool *pool, const ck_codes *codes, size_t k, size_t row, const ck_coded_row *values) {
  const size_t panel = ck_pool_kernels(pool)->panel, column = row % panel;
  const size_t terms = ck_unit_terms(codes);
  const size_t head = ck_unit_head(codes, panel), size = ck_unit_bytes(codes, panel);
  uint8_t *unit = codes->panels + ck_unit_place(codes, panel, k, row, 0);
  for (size_t u = 0; u < k / terms; u++, unit += size) {
    place_scales(codes, panel, unit, column, 0, u, values->scales, values->scale_steps);
    if (codes->offsets)
      place_scales(codes, panel, unit, column, 1, u, values->offsets, values->offset_steps);
    for (size_t p = 0; p < terms; p++)
      put_code(
          codes, panel, unit + head + quad_place(codes, panel, p), p, column,
          values->codes[u * terms + p]);
  }
}

void ck_codes_row(
    const ck_pool *pool, const ck_codes *codes, size_t k, size_t row, float *values) {
  const size_t panel = ck_pool_kernels(pool)->panel, column = row % panel;
  const size_t terms = ck_unit_terms(codes);
  const size_t head = ck_unit_head(codes, panel), size = ck_unit_bytes(codes, panel);
  const uint8_t *unit = codes->panels + ck_unit_place(codes, panel, k, row, 0);
  for (size_t term = 0; term < k; term += terms, unit += size) {
    float scale = 0, offset = 0;
    for (size_t p = 0; p < terms; p++) {
      if (p % codes->block == 0) {
        scale = placed_scale(codes, panel, unit, column, p / codes->block, 0);
        if (codes->offsets)
          offset = placed_scale(codes, panel, unit, column, p / codes->block, 1);
      }
      const uint8_t *quad = unit + head + quad_place(codes, panel, p);
      const float code = (float)code_meaning(codes, panel, quad, p, column);
      values[term + p] = codes->offsets ? fmaf(code, scale, offset) : code * scale;
    }
  }
}
