// Weights in codes of 4 or 8 bits: w = scale · code + offset, scale and offset shared by the terms
// of a block. Decoding gives exactly the numbers that the file's own definition gives, so a product
// has the bits of the product with the decoded matrix. Included by each set.

typedef uint8_t vb __attribute__((ext_vector_type(WIDTH), aligned(1)));
typedef int8_t vsb __attribute__((ext_vector_type(WIDTH), aligned(1)));
typedef int32_t vi __attribute__((ext_vector_type(WIDTH)));
#define AS_FLOATS(x) __builtin_convertvector(x, vf)
#define AS_INTS(x) __builtin_convertvector(x, vi)

/// Half a panel's weights of one term.
INLINE vf decoded(vf code, vf scale, vf offset, bool offsets) {
  return offsets ? __builtin_elementwise_fma(code, scale, offset) : code * scale;
}

/// The two registers of one term's codes.
INLINE void term_codes(
    vf *low, vf *high, const uint8_t *codes, const int bits, const bool offsets) {
  if (bits == 4) {
    const vi pair = AS_INTS(*(const vb *)codes);
    const int middle = offsets ? 0 : 8;
    *low = AS_FLOATS((pair & 15) - middle);
    *high = AS_FLOATS((pair >> 4) - middle);
  } else {
    *low = AS_FLOATS(AS_INTS(*(const vsb *)codes));
    *high = AS_FLOATS(AS_INTS(*(const vsb *)(codes + WIDTH)));
  }
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
    for (size_t p = 0; p < block; p++, codes += PANEL / 8 * (size_t)bits, to += PANEL) {
      vf low, high;
      term_codes(&low, &high, codes, bits, offsets);
      *(vf_unaligned *)to = decoded(low, scale0, offset0, offsets);
      *(vf_unaligned *)(to + WIDTH) = decoded(high, scale1, offset1, offsets);
    }
  }
}

/// The group of the panel that begins at `column` whose first term is `term`.
INLINE const uint8_t *code_group(
    const ck_codes *codes, size_t k, size_t column, size_t term) {
  return codes->panels + ck_group_place(codes, PANEL, k, column, term);
}

/// (depth, PANEL) floats of the panel that begins at `column`, terms [term, term + depth).
static void unpack_panel(
    float *to, const ck_codes *codes, size_t k, size_t column, size_t term, size_t depth) {
  const size_t size = ck_group_bytes(codes, PANEL);
  const uint8_t *group = code_group(codes, k, column, term);
  for (size_t p = 0; p < depth; p += CODE_GROUP, group += size, to += CODE_GROUP * PANEL) {
    if (codes->bits == 4 && codes->offsets)
      unpack_group(to, group, 4, 32, true);
    else if (codes->bits == 4)
      unpack_group(to, group, 4, 32, false);
    else if (codes->block == 32 && codes->offsets)
      unpack_group(to, group, 8, 32, true);
    else if (codes->block == 32)
      unpack_group(to, group, 8, 32, false);
    else
      unpack_group(to, group, 8, 16, codes->offsets);
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
#pragma clang loop unroll_count(2)
      for (size_t t = 0; t < block; t++) {
        __builtin_prefetch(codes0 + 4 * size);
        vf column[4];
        term_codes(column, column + 1, codes0, bits, offsets);
        term_codes(column + 2, column + 3, codes1, bits, offsets);
        codes0 += PANEL / 8 * bits;
        codes1 += PANEL / 8 * bits;
#pragma clang loop unroll(full)
        for (int v = 0; v < 4; v++) column[v] = decoded(column[v], scale[v], offset[v], offsets);
#pragma clang loop unroll(full)
        for (int r = 0; r < rows; r++) {
          const vf value = (vf)(a[r * A_STRIDE + p + b * block + t]);
#pragma clang loop unroll(full)
          for (int v = 0; v < 4; v++)
            sum[r][v] = __builtin_elementwise_fma(value, column[v], sum[r][v]);
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
    if (codes->bits == 4 && codes->offsets)                                                    \
      code_tile(rows, depth, a, first, second, c, ldc, fresh, 4, 32, true);                    \
    else if (codes->bits == 4)                                                                 \
      code_tile(rows, depth, a, first, second, c, ldc, fresh, 4, 32, false);                   \
    else if (codes->block == 32 && codes->offsets)                                             \
      code_tile(rows, depth, a, first, second, c, ldc, fresh, 8, 32, true);                    \
    else if (codes->block == 32)                                                               \
      code_tile(rows, depth, a, first, second, c, ldc, fresh, 8, 32, false);                   \
    else                                                                                       \
      code_tile(rows, depth, a, first, second, c, ldc, fresh, 8, 16, codes->offsets);          \
  }

CODE_TILE(1) CODE_TILE(2) CODE_TILE(3) CODE_TILE(4)
#undef CODE_TILE

/// [rows − 1]
static void (*const code_tiles[CODE_ROWS])(
    size_t, const float *, const uint8_t *, const uint8_t *, float *, size_t, bool,
    const ck_codes *) = {code_tile_1, code_tile_2, code_tile_3, code_tile_4};

#undef AS_FLOATS
#undef AS_INTS
