// Weights in codes of few bits, read by products: decoded to the floats they stand for, or
// multiplied as the whole numbers they are (dots.h). The order of an element's terms is that of
// every product. Included by each set.

typedef int32_t vi __attribute__((ext_vector_type(WIDTH)));
typedef int32_t vi_unaligned __attribute__((ext_vector_type(WIDTH), aligned(4)));

#define AS_FLOATS(x) __builtin_convertvector(x, vf)
#define AS_INTS(x) __builtin_convertvector(x, vi)

/// Bytes of the codes of four terms of a panel, a quad.
INLINE size_t quad_bytes(int bits) { return PANEL / 2 * (size_t)bits; }

/// Bit `bit` of bytes, from a plane.
INLINE vi plane_bytes(const uint8_t *plane, const int bit) {
#if WIDTH == 16
  uint64_t bits;
  memcpy(&bits, plane, sizeof bits);
  return (vi)_mm512_maskz_set1_epi8(bits, (char)(1 << bit));
#else
  uint32_t bits = 0;
  memcpy(&bits, plane, WIDTH / 2);
  // Each lane's four bits, spread over its four bytes.
  vu lanes;
#pragma clang loop unroll(full)
  for (uint32_t i = 0; i < WIDTH; i++) lanes[i] = 4 * i;
  const vu four = (vu)(bits) >> lanes & 15;
  return (vi)((four * 0x00204081 & 0x01010101) << bit);
#endif
}

/// A quad of each column, in the four bytes of its lane: −128…127 with 8 bits, else 0 or more.
INLINE void quad_codes(vi *low, vi *high, const uint8_t *codes, const int bits) {
  const vi first = *(const vi_unaligned *)codes;
  if (bits == 8) {
    *low = first;
    *high = *(const vi_unaligned *)(codes + sizeof(vi));
    return;
  }
  *low = first & 0x0f0f0f0f;
  *high = (first >> 4) & 0x0f0f0f0f;
  const uint8_t *plane = codes + sizeof(vi);
#pragma clang loop unroll(full)
  for (int bit = 4; bit < bits; bit++, plane += WIDTH) {
    *low |= plane_bytes(plane, bit);
    *high |= plane_bytes(plane + WIDTH / 2, bit);
  }
}

/// What is taken from codes of `bits` to make them what they stand for.
INLINE int code_middle(const int bits, const bool offsets) {
  return bits == 8 || offsets ? 0 : 1 << (bits - 1);
}

/// What term `t` of a quad stands for, before it is scaled.
INLINE vf quad_term(vi quad, const int t, const int bits, const bool offsets) {
  if (bits == 8) return AS_FLOATS((quad << (24 - 8 * t)) >> 24);
  const vf code = AS_FLOATS((quad >> (8 * t)) & ((1 << bits) - 1));
  return offsets ? code : code - (float)code_middle(bits, offsets);
}

/// Half a panel's weights of one term.
INLINE vf decoded(vf code, vf scale, vf offset, bool offsets) {
  return offsets ? __builtin_elementwise_fma(code, scale, offset) : code * scale;
}

/// Numbers of f16.
INLINE vf halves(const uint8_t *from) {
#if WIDTH == 16
  return (vf)_mm512_cvtph_ps(_mm256_loadu_si256((const void *)from));
#elif WIDTH == 8
  return (vf)_mm256_cvtph_ps(_mm_loadu_si128((const void *)from));
#else
  const vu bits = __builtin_convertvector(*(const vh_unaligned *)from, vu), size = bits & 0x7fff;
  // Subnormal numbers as whole ones: they must not become 0 where others count as 0.
  const vu small = (vu)(__builtin_convertvector(size, vf) * 0x1p-24f);
  const vu number = size < 0x400 ? small : (size << 13) + (112u << 23);
  return (vf)((size < 0x7c00 ? number : size << 13 | 0x7f800000) | (bits & 0x8000) << 16);
#endif
}

/// A unit's scales of a block (which = 0) or offsets (1), of half a panel from `lane` on.
INLINE vf block_scales(
    const uint8_t *unit, const ck_codes form, size_t block, size_t which, size_t lane) {
  const uint8_t *place = unit + ck_scales_place(&form, PANEL, block, which);
  if (form.scales == CK_SCALES_F32) return *(const vf_unaligned *)(place + 4 * lane);
  if (form.scales == CK_SCALES_F16) return halves(place + 2 * lane);
  typedef int8_t vs __attribute__((ext_vector_type(WIDTH), aligned(1)));
  return halves(unit + 2 * (which * PANEL + lane)) * AS_FLOATS(*(const vs *)(place + lane));
}

INLINE void unpack_unit(float *to, const uint8_t *unit, const ck_codes form) {
  const int bits = form.bits;
  const bool offsets = form.offsets;
  const uint8_t *codes = unit + ck_unit_head(&form, PANEL);
  for (size_t b = 0; b < ck_unit_terms(&form) / form.block; b++) {
    const vf scale0 = block_scales(unit, form, b, 0, 0);
    const vf scale1 = block_scales(unit, form, b, 0, WIDTH);
    vf offset0 = 0, offset1 = 0;
    if (offsets) {
      offset0 = block_scales(unit, form, b, 1, 0);
      offset1 = block_scales(unit, form, b, 1, WIDTH);
    }
    for (size_t q = 0; q < form.block / 4; q++, codes += quad_bytes(bits)) {
      vi low, high;
      quad_codes(&low, &high, codes, bits);
#pragma clang loop unroll(full)
      for (int t = 0; t < 4; t++, to += PANEL) {
        *(vf_unaligned *)to = decoded(quad_term(low, t, bits, offsets), scale0, offset0, offsets);
        *(vf_unaligned *)(to + WIDTH) =
            decoded(quad_term(high, t, bits, offsets), scale1, offset1, offsets);
      }
    }
  }
}

/// The unit of the panel that begins at `column` whose first term is `term`.
INLINE const uint8_t *code_unit(
    const ck_codes *codes, size_t k, size_t column, size_t term) {
  return codes->panels + ck_unit_place(codes, PANEL, k, column, term);
}

#define FORM(b, l, o, s) \
  ((ck_codes){.bits = b, .block = l, .offsets = o, .scales = CK_SCALES_##s})

/// Calls a function of a form whose numbers are constants. These are all the forms there are.
#define BY_FORM(codes, call)                                                      \
  if ((codes)->bits == 4 && !(codes)->offsets) call(FORM(4, 32, false, F16));     \
  else if ((codes)->bits == 4 && (codes)->scales == CK_SCALES_F16)                \
    call(FORM(4, 32, true, F16));                                                 \
  else if ((codes)->bits == 4) call(FORM(4, 32, true, NESTED));                   \
  else if ((codes)->bits == 5 && !(codes)->offsets) call(FORM(5, 32, false, F16)); \
  else if ((codes)->bits == 5 && (codes)->scales == CK_SCALES_F16)                \
    call(FORM(5, 32, true, F16));                                                 \
  else if ((codes)->bits == 5) call(FORM(5, 32, true, NESTED));                   \
  else if ((codes)->bits == 6) call(FORM(6, 16, false, NESTED));                  \
  else if ((codes)->scales == CK_SCALES_F32) call(FORM(8, 32, false, F32));       \
  else call(FORM(8, 32, false, F16))

/// (depth, PANEL) floats of the panel that begins at `column`, terms [term, term + depth).
static void unpack_panel(
    float *to, const ck_codes *codes, size_t k, size_t column, size_t term, size_t depth) {
  const size_t terms = ck_unit_terms(codes), size = ck_unit_bytes(codes, PANEL);
  const uint8_t *unit = code_unit(codes, k, column, term);
  for (size_t p = 0; p < depth; p += terms, unit += size, to += terms * PANEL) {
#define CALL(form) unpack_unit(to, unit, form)
    BY_FORM(codes, CALL);
#undef CALL
  }
}

/// The tile of a few rows and two panels straight from codes, without a copy of the weights in
/// between: what a decoding step does.
INLINE void code_tile(
    const int rows, size_t depth, const float *a, const uint8_t *first, const uint8_t *second,
    float *c, size_t ldc, bool fresh, const ck_codes form) {
  const int bits = form.bits;
  const size_t block = form.block;
  const bool offsets = form.offsets;
  vf sum[CODE_ROWS][4];
#pragma clang loop unroll(full)
  for (int r = 0; r < rows; r++)
#pragma clang loop unroll(full)
    for (int v = 0; v < 4; v++)
      sum[r][v] = fresh ? (vf)(0) : *(const vf_unaligned *)(c + (size_t)r * ldc + v * WIDTH);
  const size_t terms = ck_unit_terms(&form), blocks = terms / block;
  const size_t skip = ck_unit_head(&form, PANEL), size = ck_unit_bytes(&form, PANEL);
  // Codes are fetched about four groups ahead.
  const size_t ahead = 4 * CODE_GROUP * PANEL / 8 * (size_t)bits;
  for (size_t p = 0; p < depth; p += terms, first += size, second += size) {
    const uint8_t *codes0 = first + skip, *codes1 = second + skip;
    for (size_t b = 0; b < blocks; b++) {
      vf scale[4], offset[4];
#pragma clang loop unroll(full)
      for (int v = 0; v < 4; v++) {
        const uint8_t *unit = v / 2 ? second : first;
        const size_t lane = v % 2 * WIDTH;
        scale[v] = block_scales(unit, form, b, 0, lane);
        offset[v] = offsets ? block_scales(unit, form, b, 1, lane) : (vf)(0);
      }
#pragma clang loop unroll(disable)
      for (size_t q = 0; q < block / 4; q++) {
        __builtin_prefetch(codes0 + ahead);
        vi quad[4];
        quad_codes(quad, quad + 1, codes0, bits);
        quad_codes(quad + 2, quad + 3, codes1, bits);
        codes0 += quad_bytes(bits);
        codes1 += quad_bytes(bits);
#pragma clang loop unroll(full)
        for (int t = 0; t < 4; t++) {
          vf column[4];
#pragma clang loop unroll(full)
          for (int v = 0; v < 4; v++)
            column[v] = decoded(quad_term(quad[v], t, bits, offsets), scale[v], offset[v], offsets);
#pragma clang loop unroll(full)
          for (int r = 0; r < rows; r++) {
            const vf value = (vf)(a[r * A_STRIDE + p + b * block + 4 * q + (size_t)t]);
#pragma clang loop unroll(full)
            for (int v = 0; v < 4; v++)
              sum[r][v] = __builtin_elementwise_fma(value, column[v], sum[r][v]);
          }
        }
      }
    }
  }
#pragma clang loop unroll(full)
  for (int r = 0; r < rows; r++)
#pragma clang loop unroll(full)
    for (int v = 0; v < 4; v++)
      *(vf_unaligned *)(c + (size_t)r * ldc + v * WIDTH) = sum[r][v];
}

#define CODE_TILE(rows)                                                                        \
  static void code_tile_##rows(                                                                \
      size_t depth, const float *a, const uint8_t *first, const uint8_t *second, float *c,     \
      size_t ldc, bool fresh, const ck_codes *codes) {                                         \
    BY_FORM(codes, CALL_##rows);                                                               \
  }
#define CALL_1(form) code_tile(1, depth, a, first, second, c, ldc, fresh, form)
#define CALL_2(form) code_tile(2, depth, a, first, second, c, ldc, fresh, form)
#define CALL_3(form) code_tile(3, depth, a, first, second, c, ldc, fresh, form)
#define CALL_4(form) code_tile(4, depth, a, first, second, c, ldc, fresh, form)

CODE_TILE(1) CODE_TILE(2) CODE_TILE(3) CODE_TILE(4)
#undef CODE_TILE

/// [rows − 1]
static void (*const code_tiles[CODE_ROWS])(
    size_t, const float *, const uint8_t *, const uint8_t *, float *, size_t, bool,
    const ck_codes *) = {code_tile_1, code_tile_2, code_tile_3, code_tile_4};
