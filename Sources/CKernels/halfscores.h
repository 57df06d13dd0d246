// Attention's products of numbers rounded to bf16: keys and values lie as panels, either packed for
// one call or in pages. Groups of terms begin at multiples of 32 among a piece's keys, wherever its
// window, its pages and its prefix end; what a row does not see of a group counts with a weight of
// 0. Included by scores.h.

/// What is packed of one key head, in this order: `across` has positions in columns, as scores read
/// it; `along` has them as terms, as sums read it. Forward the first two, backward the first three
/// with values across in the second place.
typedef enum { HALF_KEYS = 0, HALF_VALUES = 1, HALF_KEYS_ALONG = 2 } half_side;

/// Panels of a piece: in pages that lie anywhere, or all together as one page.
typedef struct {
  void *const *pages;
  size_t rows;   // positions of a page
  size_t place;  // bytes to the head's panels in each
} half_panels_of;

INLINE half_panels_of half_side_of(
    const ck_attention *work, const ck_attention_piece *piece, size_t kv_head, half_side side) {
  if (piece->pages) {
    const size_t start = side == HALF_KEYS ? work->page_keys : work->page_values;
    return (half_panels_of){
        piece->pages, work->page_rows,
        start * sizeof(uint16_t) + kv_head * ck_half_side_bytes(work->page_rows, work->size)};
  }
  return (half_panels_of){
      &piece->panels, ck_half_terms(piece->prefix + piece->own),
      (kv_head * ck_half_sides(piece) + side) * ck_half_piece_bytes(work, piece)};
}

/// Floats that strips of (rows, terms) take.
INLINE size_t half_strip_words(size_t rows, size_t terms) {
  const size_t padded = (rows + HALF_ROWS - 1) / HALF_ROWS * HALF_ROWS;
  return (padded * ck_half_terms(terms) * HALF_BYTES + 63) / 64 * 16;
}

/// Floats that panels of (terms, columns) take.
INLINE size_t half_panel_words(size_t terms, size_t columns) {
  const size_t padded = (columns + HALF_PANEL - 1) / HALF_PANEL * HALF_PANEL;
  return ck_half_terms(terms) / 2 * padded;
}

INLINE size_t half_strips_of(size_t rows) { return (rows + HALF_ROWS - 1) / HALF_ROWS; }
INLINE size_t half_panels_in(size_t columns) { return (columns + HALF_PANEL - 1) / HALF_PANEL; }

/// Packs a tile's (rows, size) as strips.
INLINE float *half_tile_strips(float *strips, const float *tile, const score_shape *s) {
  const ck_product product = {.m = s->rows, .k = s->size, .a = tile, .lda = s->size};
  half_rows(&product, strips, 0, half_strips_of(s->rows));
  return strips;
}

/// scores (rows, block's columns) = strips (rows, size) · a side's panels
static void half_across(
    float *scores, const float *strips, half_panels_of side, const ck_attention *work,
    const score_shape *s, key_block block) {
  const size_t terms = ck_half_terms(s->size), begin = block.begin - block.lead;
  const size_t end = begin + block_columns(work, block);
  ck_product product = {.m = s->rows, .k = s->size, .ldc = SCORE_STRIDE};
  for (size_t key = begin, count; key < end; key += count) {
    const size_t row = key % side.rows;
    count = side.rows - row < end - key ? side.rows - row : end - key;
    product.n = count;
    product.c = scores + (key - begin);
    const ck_half half = {
        .product = &product, .strips = strips, .strips_end = half_strips_of(s->rows),
        .panels = (const uint8_t *)side.pages[key / side.rows] + side.place +
                  row * terms * sizeof(uint16_t),
        .panels_end = half_panels_in(count), .strip_terms = terms, .panel_terms = terms};
    half_product(&half);
  }
}

/// sums (rows, size) += weights (rows, block's columns) · a side's panels, or = when `fresh`.
static void half_along(
    ck_workspace *space, float *sums, const float *weights, half_panels_of side,
    const ck_attention *work, const score_shape *s, key_block block, bool fresh) {
  const size_t columns = block_columns(work, block), begin = block.begin - block.lead;
  float *strips = ck_buffer_reserve(&space->packed_a, half_strip_words(s->rows, columns));
  ck_product product = {
      .m = s->rows, .n = s->size, .k = columns, .a = weights, .lda = SCORE_STRIDE, .c = sums,
      .ldc = s->size, .accumulate = !fresh};
  half_rows(&product, strips, 0, half_strips_of(s->rows));
  for (size_t key = begin, count; key < begin + columns; key += count) {
    const size_t row = key % side.rows, left = begin + columns - key;
    count = side.rows - row < left ? side.rows - row : left;
    product.k = count;
    const ck_half half = {
        .product = &product, .strips = strips, .strips_end = half_strips_of(s->rows),
        .panels = (const uint8_t *)side.pages[key / side.rows] + side.place,
        .panels_end = half_panels_in(s->size), .strip_terms = columns,
        .strip_term = key - begin, .panel_terms = side.rows, .panel_term = row};
    half_product(&half);
    product.accumulate = true;
  }
}

/// One row's keys, and its values, into a page's panels, by themselves.
INLINE void into_half_row(
    uint16_t *keys, uint16_t *values, size_t rows, size_t row, const float *k, const float *v,
    size_t size) {
  const size_t terms = ck_half_terms(size);
  uint16_t *column = keys + row / HALF_PANEL * HALF_PANEL * terms + row % HALF_PANEL * 2;
  for (size_t d = 0; d < terms; d += LANES) {
    const size_t n = d >= size ? 0 : size - d < LANES ? size - d : LANES;
    const u16 key = (u16)half16(n ? load16(k + d, n) : all16(0)) >> 16;
    const u16 value = (u16)half16(n ? load16(v + d, n) : all16(0)) >> 16;
    uint16_t *line = values + (d / HALF_PANEL * rows + row / 2 * 2) * HALF_PANEL + row % 2;
    for (size_t i = 0; i < LANES; i++) {
      column[(d + i) / 2 * 2 * HALF_PANEL + i % 2] = (uint16_t)key[i];
      line[2 * i] = (uint16_t)value[i];
    }
  }
}

/// Sets the values behind `row` in its group of positions to 0: weights of 0 are multiplied with
/// them, which must give 0 whatever the page held before, as one copied from another sequence.
INLINE void clear_behind(uint16_t *values, size_t rows, size_t row, size_t terms) {
  const size_t next = row + 1, end = ck_half_terms(next);
  for (size_t panel = 0; panel < terms / HALF_PANEL; panel++) {
    uint16_t *lines = values + panel * rows * HALF_PANEL;
    for (size_t i = 0; i < HALF_PANEL && next % 2; i++) lines[row * HALF_PANEL + 2 * i + 1] = 0;
    const size_t even = (next + 1) / 2 * 2;
    memset(lines + even * HALF_PANEL, 0, (end - even) * HALF_PANEL * sizeof(uint16_t));
  }
}

/// Puts `count` keys and values, of rows `columns` apart, into one head's panels of a page, from
/// `row` on.
static void into_half_page(
    const ck_attention *work, void *page, size_t kv_head, size_t row, const float *k,
    const float *v, size_t columns, size_t count) {
  const size_t size = work->size, rows = work->page_rows, terms = ck_half_terms(size);
  const size_t head = ck_half_side_bytes(rows, size) / sizeof(uint16_t);
  uint16_t *keys = (uint16_t *)page + work->page_keys + kv_head * head;
  uint16_t *values = (uint16_t *)page + work->page_values + kv_head * head;
  for (size_t r = row; r < row + count; r++)
    into_half_row(keys, values, rows, r, k + (r - row) * columns, v + (r - row) * columns, size);
  clear_behind(values, rows, row + count - 1, terms);
}

/// Packs one side of a piece's key head out of its prefix and its own rows, by way of `gathered`.
static void pack_half_side(
    uint8_t *to, float *gathered, const float *prefix, const float *own,
    const ck_attention *work, const ck_attention_piece *piece, size_t kv_head, bool across) {
  const size_t size = work->size, columns = work->kv_heads * size;
  const size_t positions = piece->prefix + piece->own;
  for (size_t p = 0; p < positions; p++) {
    const float *row = p < piece->prefix ? prefix + p * columns
                                         : own + (p - piece->prefix) * columns;
    memcpy(gathered + p * size, row + kv_head * size, size * sizeof(float));
  }
  ck_product product = {.b = gathered, .ldb = size, .n = size, .k = positions};
  size_t panels = half_panels_in(size);
  if (across) {
    product.transpose_b = true;
    product.n = positions;
    product.k = size;
    // Whole groups of positions, as scores are.
    panels = ck_half_terms(positions) / HALF_PANEL;
  }
  half_panels(&product, to, 0, panels);
}

/// All sides of a piece's key head.
static void pack_half_sides(
    ck_workspace *space, const ck_attention *work, const ck_attention_piece *piece,
    size_t kv_head) {
  const size_t bytes = ck_half_piece_bytes(work, piece);
  const bool back = piece->d_out;
  float *gathered =
      ck_buffer_reserve(&space->tiles, (piece->prefix + piece->own) * work->size);
  uint8_t *to = (uint8_t *)piece->panels + kv_head * ck_half_sides(piece) * bytes;
  pack_half_side(to, gathered, piece->prefix_k, piece->own_k, work, piece, kv_head, true);
  if (back)
    pack_half_side(
        to + HALF_KEYS_ALONG * bytes, gathered, piece->prefix_k, piece->own_k, work, piece,
        kv_head, false);
  pack_half_side(
      to + HALF_VALUES * bytes, gathered, piece->prefix_v, piece->own_v, work, piece, kv_head,
      back);
}

/// A tile's queries and their derivatives as the backward pass multiplies them.
typedef struct {
  float *q_strips, *d_out_strips;
  uint32_t *q_panels, *d_out_panels;  // (rows, size), rows as terms
} half_back;

INLINE size_t half_back_words(const score_shape *s) {
  return 16 + 2 * (half_strip_words(s->rows, s->size) + half_panel_words(s->rows, s->size));
}

static half_back half_back_of(
    float *memory, const float *q, const float *d_out, const score_shape *s) {
  const size_t strips = half_strip_words(s->rows, s->size);
  half_back packed;
  packed.q_strips = (float *)(((uintptr_t)memory + 63) / 64 * 64);
  packed.d_out_strips = packed.q_strips + strips;
  packed.q_panels = (uint32_t *)packed.d_out_strips + strips;
  packed.d_out_panels = packed.q_panels + half_panel_words(s->rows, s->size);
  half_tile_strips(packed.q_strips, q, s);
  half_tile_strips(packed.d_out_strips, d_out, s);
  ck_product product = {.k = s->rows, .n = s->size, .b = q, .ldb = s->size};
  half_panels(&product, packed.q_panels, 0, half_panels_in(s->size));
  product.b = d_out;
  half_panels(&product, packed.d_out_panels, 0, half_panels_in(s->size));
  return packed;
}

/// A block's scores, and the derivatives of its weights.
INLINE void half_block_scores(
    float *scores, float *slopes, const half_back *packed, const ck_attention *work,
    const ck_attention_piece *piece, const score_shape *s, key_block block, size_t kv_head) {
  half_across(
      scores, packed->q_strips, half_side_of(work, piece, kv_head, HALF_KEYS), work, s, block);
  half_across(
      slopes, packed->d_out_strips, half_side_of(work, piece, kv_head, HALF_VALUES), work, s,
      block);
}

/// keys (keys, size) += scoresᵀ · a tile's panels
static void half_into_keys(
    ck_workspace *space, float *prefix, float *own, const float *scores, const uint32_t *panels,
    const ck_attention_piece *piece, const score_shape *s, key_block block, size_t kv_head) {
  const size_t terms = ck_half_terms(s->rows);
  ck_product product = {
      .n = s->size, .k = s->rows, .lda = SCORE_STRIDE, .ldc = s->kv_columns, .transpose_a = true,
      .accumulate = true};
  for (int i = 0; i < 2; i++) {
    const key_run run = run_of(piece, block, i);
    if (run.count == 0) continue;
    float *strips = ck_buffer_reserve(&space->packed_a, half_strip_words(run.count, terms));
    product.m = run.count;
    product.a = scores + block.lead + run.column;
    product.c = (i ? own : prefix) + run.from * s->kv_columns + kv_head * s->size;
    half_rows(&product, strips, 0, half_strips_of(run.count));
    const ck_half half = {
        .product = &product, .strips = strips, .strips_end = half_strips_of(run.count),
        .panels = panels, .panels_end = half_panels_in(s->size), .strip_terms = terms,
        .panel_terms = terms};
    half_product(&half);
  }
}

/// What a block gives to the derivatives of values, keys and queries.
INLINE void half_block_back(
    ck_workspace *space, const float *scores, const float *slopes, const half_back *packed,
    float *dq, const ck_attention *work, const ck_attention_piece *piece, const score_shape *s,
    key_block block, size_t kv_head, bool fresh) {
  half_into_keys(
      space, piece->prefix_dv, piece->own_dv, scores, packed->d_out_panels, piece, s, block,
      kv_head);
  half_into_keys(
      space, piece->prefix_dk, piece->own_dk, slopes, packed->q_panels, piece, s, block, kv_head);
  half_along(
      space, dq, slopes, half_side_of(work, piece, kv_head, HALF_KEYS_ALONG), work, s, block,
      fresh);
}
