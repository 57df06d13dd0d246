// Weights in codes of few bits, read by products: decoded to the floats they stand for, or
// multiplied as the whole numbers they are (dots.h). The order of an element's terms is that of
// every product. Included by each set.

typedef int32_t vi __attribute__((ext_vector_type(WIDTH)));
typedef int32_t vi_unaligned __attribute__((ext_vector_type(WIDTH), aligned(4)));

#define AS_FLOATS(x) __builtin_convertvector(x, vf)
#define AS_INTS(x) __builtin_convertvector(x, vi)

/// Bytes of the codes of four terms of a panel, a quad.
INLINE size_t quad_bytes(int bits) { return PANEL / 2 * (size_t)bits; }

/// A quad of each column, in the four bytes of its lane: 0…15 with 4 bits, −128…127 with 8.
INLINE void quad_codes(vi *low, vi *high, const uint8_t *codes, const int bits) {
  const vi first = *(const vi_unaligned *)codes;
  *low = bits == 4 ? first & 0x0f0f0f0f : first;
  *high =
      bits == 4 ? (first >> 4) & 0x0f0f0f0f : *(const vi_unaligned *)(codes + sizeof(vi));
}

/// What term `t` of a quad stands for, before it is scaled.
INLINE vf quad_term(vi quad, const int t, const int bits, const bool offsets) {
  if (bits == 8) return AS_FLOATS((quad << (24 - 8 * t)) >> 24);
  const vf code = AS_FLOATS((quad >> (8 * t)) & 15);
  return offsets ? code : code - 8.0f;
}

/// Half a panel's weights of one term.
INLINE vf decoded(vf code, vf scale, vf offset, bool offsets) {
  return offsets ? __builtin_elementwise_fma(code, scale, offset) : code * scale;
}

INLINE void unpack_group(
    float *to, const uint8_t *group, const int bits, const size_t block, const bool offsets) {
  const ck_codes form = {.bits = bits, .block = block, .offsets = offsets};
  const float *head = (const float *)group;
  const uint8_t *codes = group + ck_group_head(&form, PANEL);
  for (size_t b = 0; b < CODE_GROUP / block; b++, head += ck_block_floats(&form, PANEL)) {
    const vf scale0 = *(const vf_unaligned *)head, scale1 = *(const vf_unaligned *)(head + WIDTH);
    vf offset0 = 0, offset1 = 0;
    if (offsets) {
      offset0 = *(const vf_unaligned *)(head + PANEL);
      offset1 = *(const vf_unaligned *)(head + PANEL + WIDTH);
    }
    for (size_t q = 0; q < block / 4; q++, codes += quad_bytes(bits)) {
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

/// The group of the panel that begins at `column` whose first term is `term`.
INLINE const uint8_t *code_group(
    const ck_codes *codes, size_t k, size_t column, size_t term) {
  return codes->panels + ck_group_place(codes, PANEL, k, column, term);
}

/// Calls a function of `bits, block, offsets` as constants, whichever form the codes have.
#define BY_FORM(codes, call)                                     \
  if ((codes)->bits == 4 && (codes)->offsets) call(4, 32, true); \
  else if ((codes)->bits == 4) call(4, 32, false);               \
  else if ((codes)->block == 32 && (codes)->offsets) call(8, 32, true); \
  else if ((codes)->block == 32) call(8, 32, false);             \
  else call(8, 16, (codes)->offsets)

/// (depth, PANEL) floats of the panel that begins at `column`, terms [term, term + depth).
static void unpack_panel(
    float *to, const ck_codes *codes, size_t k, size_t column, size_t term, size_t depth) {
  const size_t size = ck_group_bytes(codes, PANEL);
  const uint8_t *group = code_group(codes, k, column, term);
  for (size_t p = 0; p < depth; p += CODE_GROUP, group += size, to += CODE_GROUP * PANEL) {
#define CALL(bits, block, offsets) unpack_group(to, group, bits, block, offsets)
    BY_FORM(codes, CALL);
#undef CALL
  }
}

/// The tile of a few rows and two panels straight from codes, without a copy of the weights in
/// between: what a decoding step does.
INLINE void code_tile(
    const int rows, size_t depth, const float *a, const uint8_t *first, const uint8_t *second,
    float *c, size_t ldc, bool fresh, const int bits, const size_t block, const bool offsets) {
  vf sum[CODE_ROWS][4];
#pragma clang loop unroll(full)
  for (int r = 0; r < rows; r++)
#pragma clang loop unroll(full)
    for (int v = 0; v < 4; v++)
      sum[r][v] = fresh ? (vf)(0) : *(const vf_unaligned *)(c + (size_t)r * ldc + v * WIDTH);
  const ck_codes form = {.bits = bits, .block = block, .offsets = offsets};
  const size_t heads = ck_block_floats(&form, PANEL), blocks = CODE_GROUP / block;
  const size_t skip = ck_group_head(&form, PANEL), size = ck_group_bytes(&form, PANEL);
  for (size_t p = 0; p < depth; p += CODE_GROUP, first += size, second += size) {
    const uint8_t *codes0 = first + skip, *codes1 = second + skip;
    for (size_t b = 0; b < blocks; b++) {
      const float *head0 = (const float *)first + b * heads;
      const float *head1 = (const float *)second + b * heads;
      vf scale[4], offset[4];
#pragma clang loop unroll(full)
      for (int v = 0; v < 4; v++) {
        const float *head = (v / 2 ? head1 : head0) + (v % 2) * WIDTH;
        scale[v] = *(const vf_unaligned *)head;
        offset[v] = offsets ? *(const vf_unaligned *)(head + PANEL) : (vf)(0);
      }
#pragma clang loop unroll(disable)
      for (size_t q = 0; q < block / 4; q++) {
        __builtin_prefetch(codes0 + 4 * size);
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
#define CALL_1(bits, block, offsets) \
  code_tile(1, depth, a, first, second, c, ldc, fresh, bits, block, offsets)
#define CALL_2(bits, block, offsets) \
  code_tile(2, depth, a, first, second, c, ldc, fresh, bits, block, offsets)
#define CALL_3(bits, block, offsets) \
  code_tile(3, depth, a, first, second, c, ldc, fresh, bits, block, offsets)
#define CALL_4(bits, block, offsets) \
  code_tile(4, depth, a, first, second, c, ldc, fresh, bits, block, offsets)

CODE_TILE(1) CODE_TILE(2) CODE_TILE(3) CODE_TILE(4)
#undef CODE_TILE

/// [rows − 1]
static void (*const code_tiles[CODE_ROWS])(
    size_t, const float *, const uint8_t *, const uint8_t *, float *, size_t, bool,
    const ck_codes *) = {code_tile_1, code_tile_2, code_tile_3, code_tile_4};
