// Attention of a few query rows at a time, over blocks of keys with a running softmax. The heads
// that share a key head are rows of one product; a piece's keys are its prefix's and its own, one
// after the other, and a block begins at a multiple of its length among them, so a row gives the
// same bits whether it is packed, cached or alone. Keys in front of a row's window have weight 0,
// and a sum that begins with zeros is the sum without them: so it does not matter which rows share
// a tile, whose keys begin where its first row's do. Included by each set.

enum {
  /// Keys of a block: the scores of a tile stay in the second cache.
  KEY_BLOCK = 512,
  /// Between rows of scores: no power of two, so that rows lie in different sets of the cache.
  SCORE_STRIDE = KEY_BLOCK + 16,
};

/// One tile's sizes. It sees the keys from `first` to `end`.
typedef struct {
  size_t group, rows, first, end, size, columns, kv_columns;
} score_shape;

/// Some keys of a tile, begin ..< end. Scores begin `lead` columns before, so that those of pages
/// are of whole registers and those of bf16 of whole groups.
typedef struct {
  size_t begin, end, lead;
} key_block;

/// Behind the last key that query `t` sees.
INLINE size_t seen_end(const ck_attention *work, const ck_attention_piece *piece, size_t t) {
  return piece->prefix + (work->causal ? piece->first + t + 1 : piece->own);
}

/// The first key that query `t` sees.
INLINE size_t seen_begin(const ck_attention *work, const ck_attention_piece *piece, size_t t) {
  const size_t end = seen_end(work, piece, t);
  return work->window && end > work->window ? end - work->window : 0;
}

INLINE score_shape score_shape_of(
    const ck_attention *work, const ck_attention_piece *piece, size_t begin, size_t end) {
  score_shape s;
  s.group = work->heads / work->kv_heads;
  s.rows = (end - begin) * s.group;
  s.first = seen_begin(work, piece, begin);
  s.end = seen_end(work, piece, end - 1);
  s.size = work->size;
  s.columns = work->heads * work->size;
  s.kv_columns = work->kv_heads * work->size;
  return s;
}

/// The block with key `begin`, from it on.
INLINE key_block block_from(
    const score_shape *s, const ck_attention *work, const ck_attention_piece *piece,
    size_t begin) {
  const size_t end = (begin / KEY_BLOCK + 1) * KEY_BLOCK;
  const size_t unit = work->half ? HALF_GROUP : piece->pages ? LANES : 1;
  return (key_block){begin, end < s->end ? end : s->end, begin % unit};
}

/// Columns of a block's scores: with bf16 whole groups, beyond the last key whatever it is.
INLINE size_t block_columns(const ck_attention *work, key_block block) {
  const size_t columns = block.end - block.begin + block.lead;
  return work->half ? ck_half_terms(columns) : columns;
}

/// The part of a block in the prefix (own: 0) or among the piece's own keys (1): its first key,
/// counted there, how many they are, and their first column in the block.
typedef struct {
  size_t from, count, column;
} key_run;

INLINE key_run run_of(const ck_attention_piece *piece, key_block block, int own) {
  const size_t border = piece->prefix;
  if (own) {
    const size_t begin = block.begin > border ? block.begin : border;
    const size_t count = block.end > begin ? block.end - begin : 0;
    return (key_run){begin - border, count, begin - block.begin};
  }
  const size_t end = block.end < border ? block.end : border;
  return (key_run){block.begin, end > block.begin ? end - block.begin : 0, 0};
}

#include "halfscores.h"

/// Copies one key head's query heads between packed rows and a tile's (rows, size).
INLINE void gather_heads(
    float *tile, const float *packed, const score_shape *s, size_t kv_head, size_t begin) {
  for (size_t r = 0; r < s->rows; r++)
    memcpy(
        tile + r * s->size,
        packed + (begin + r / s->group) * s->columns +
            (kv_head * s->group + r % s->group) * s->size,
        s->size * sizeof(float));
}

/// scores (rows, keys) = tile (rows, size) · keysᵀ
static void against_keys(
    ck_workspace *space, float *scores, const float *tile, const float *prefix,
    const float *own, const ck_attention_piece *piece, const score_shape *s, key_block block,
    size_t kv_head) {
  ck_product product = {
      .m = s->rows, .k = s->size, .a = tile, .lda = s->size, .ldc = SCORE_STRIDE,
      .ldb = s->kv_columns, .transpose_b = true};
  for (int i = 0; i < 2; i++) {
    const key_run run = run_of(piece, block, i);
    if (run.count == 0) continue;
    product.n = run.count;
    product.b = (i ? own : prefix) + run.from * s->kv_columns + kv_head * s->size;
    product.c = scores + run.column;
    matmul(space, &product);
  }
}

/// The same over pages, from the block's lead on.
static void against_pages(
    ck_workspace *space, float *scores, const float *tile, const ck_attention *work,
    const ck_attention_piece *piece, const score_shape *s, key_block block, size_t kv_head) {
  const size_t rows = work->page_rows, begin = block.begin - block.lead;
  ck_product product = {
      .m = s->rows, .k = s->size, .a = tile, .lda = s->size, .ldc = SCORE_STRIDE, .ldb = rows};
  const size_t place = work->page_keys + kv_head * s->size * rows;
  for (size_t key = begin, count; key < block.end; key += count) {
    const size_t row = key % rows, left = (block.end - key + 15) / 16 * 16;
    count = rows - row < left ? rows - row : left;
    product.n = count;
    product.b = (const float *)piece->pages[key / rows] + place + row;
    product.c = scores + (key - begin);
    matmul(space, &product);
  }
}

/// tile (rows, size) += scores (rows, keys) · values, or = when `fresh`.
static void over_keys(
    ck_workspace *space, float *tile, const float *scores, const float *prefix,
    const float *own, const ck_attention_piece *piece, const score_shape *s, key_block block,
    size_t kv_head, bool fresh) {
  ck_product product = {
      .m = s->rows, .n = s->size, .lda = SCORE_STRIDE, .c = tile, .ldc = s->size,
      .ldb = s->kv_columns, .accumulate = !fresh};
  for (int i = 0; i < 2; i++) {
    const key_run run = run_of(piece, block, i);
    if (run.count == 0) continue;
    product.k = run.count;
    product.a = scores + run.column;
    product.b = (i ? own : prefix) + run.from * s->kv_columns + kv_head * s->size;
    matmul(space, &product);
    product.accumulate = true;
  }
}

/// The same over pages.
static void over_pages(
    ck_workspace *space, float *tile, const float *scores, const ck_attention *work,
    const ck_attention_piece *piece, const score_shape *s, key_block block, size_t kv_head,
    bool fresh) {
  const size_t rows = work->page_rows;
  ck_product product = {
      .m = s->rows, .n = s->size, .lda = SCORE_STRIDE, .c = tile, .ldc = s->size, .ldb = s->size,
      .accumulate = !fresh};
  const size_t place = work->page_values + kv_head * s->size * rows;
  for (size_t key = block.begin, count; key < block.end; key += count) {
    const size_t row = key % rows, left = block.end - key;
    count = rows - row < left ? rows - row : left;
    product.k = count;
    product.a = scores + block.lead + (key - block.begin);
    product.b = (const float *)piece->pages[key / rows] + place + row * s->size;
    matmul(space, &product);
    product.accumulate = true;
  }
}

/// Puts `count` keys and values, (count, size) of rows `columns` apart, where the first of them
/// belongs: keys down a column of (size, rows), values row by row.
static void into_page(
    float *keys, float *values, size_t rows, const float *k, const float *v, size_t columns,
    size_t count, size_t size) {
  transpose(keys, rows, k, columns, count, size);
  for (size_t r = 0; r < count; r++)
    memcpy(values + r * size, v + r * columns, size * sizeof(float));
}

/// Puts the new rows of one key head where they belong in their pages.
static void into_pages(
    const ck_attention *work, const ck_attention_piece *piece, size_t kv_head) {
  const size_t size = work->size, columns = work->kv_heads * size, rows = work->page_rows;
  for (size_t t = 0, count; t < piece->queries; t += count) {
    const size_t row = (piece->first + t) % rows, left = piece->queries - t;
    count = rows - row < left ? rows - row : left;
    void *page = piece->pages[(piece->first + t) / rows];
    const float *k = piece->own_k + t * columns + kv_head * size;
    const float *v = piece->own_v + t * columns + kv_head * size;
    if (work->half) {
      into_half_page(work, page, kv_head, row, k, v, columns, count);
      continue;
    }
    float *keys = (float *)page + work->page_keys + kv_head * size * rows + row;
    float *values = (float *)page + work->page_values + (kv_head * rows + row) * size;
    into_page(keys, values, rows, k, v, columns, count, size);
  }
}

/// keys (keys, size) += scoresᵀ · tile
static void into_keys(
    ck_workspace *space, float *prefix, float *own, const float *scores, const float *tile,
    const ck_attention_piece *piece, const score_shape *s, key_block block, size_t kv_head) {
  ck_product product = {
      .n = s->size, .k = s->rows, .lda = SCORE_STRIDE, .b = tile, .ldb = s->size,
      .ldc = s->kv_columns, .transpose_a = true, .accumulate = true};
  for (int i = 0; i < 2; i++) {
    const key_run run = run_of(piece, block, i);
    if (run.count == 0) continue;
    product.m = run.count;
    product.a = scores + run.column;
    product.c = (i ? own : prefix) + run.from * s->kv_columns + kv_head * s->size;
    matmul(space, &product);
  }
}

/// The columns of a block's scores that a row sees, `begin` ..< `end`; none when they are equal.
typedef struct {
  size_t begin, end;
} seen_columns;

INLINE seen_columns columns_seen(
    const ck_attention *work, const ck_attention_piece *piece, key_block block, size_t t) {
  const size_t first = seen_begin(work, piece, t), last = seen_end(work, piece, t);
  const size_t begin = first > block.begin ? first : block.begin;
  const size_t end = last < block.end ? last : block.end;
  const size_t before = block.begin - block.lead;
  if (end <= begin) return (seen_columns){0, 0};
  return (seen_columns){begin - before, end - before};
}

/// Sets what a row does not see of its scores to 0.
INLINE void hide(float *row, size_t columns, seen_columns seen) {
  memset(row, 0, seen.begin * sizeof(float));
  memset(row + seen.end, 0, (columns - seen.end) * sizeof(float));
}

/// What has been seen of a row so far: the largest score, and the sum of the weights beside it.
typedef struct {
  double sum;
  float top;
} running;

/// A row's scores become weights beside the largest score so far; what was summed up with a smaller
/// one, `sums` (size) among it, is brought to it.
INLINE void weigh(
    running *now, float *row, seen_columns seen, float scale, float *sums, size_t size) {
  if (seen.end == seen.begin) return;
  const size_t count = seen.end - seen.begin;
  float *scores = row + seen.begin;
  const float top = row_max(scores, count) * scale;
  const float before = now->top;
  if (!(top <= before)) now->top = top;
  if (before > -INFINITY && now->top != before) {
    const float factor = exp16(all16(before - now->top))[0];
    now->sum *= factor;
    row_scale(sums, sums, size, factor);
  }
  now->sum += row_exp(scores, scores, count, scale, now->top);
}

/// A block's scores, of a tile's queries: `q`, or with bf16 their strips.
static void block_scores_of(
    ck_workspace *space, float *scores, const float *q, const ck_attention *work,
    const ck_attention_piece *piece, const score_shape *s, key_block block, size_t kv_head) {
  if (work->half)
    half_across(scores, q, half_side_of(work, piece, kv_head, HALF_KEYS), work, s, block);
  else if (piece->pages)
    against_pages(space, scores, q, work, piece, s, block, kv_head);
  else
    against_keys(space, scores, q, piece->prefix_k, piece->own_k, piece, s, block, kv_head);
}

/// sums (rows, size) += a block's weights · values, or = when `fresh`.
static void block_sums(
    ck_workspace *space, float *sums, const float *weights, const ck_attention *work,
    const ck_attention_piece *piece, const score_shape *s, key_block block, size_t kv_head,
    bool fresh) {
  if (work->half)
    half_along(
        space, sums, weights, half_side_of(work, piece, kv_head, HALF_VALUES), work, s, block,
        fresh);
  else if (piece->pages)
    over_pages(space, sums, weights, work, piece, s, block, kv_head, fresh);
  else
    over_keys(
        space, sums, weights, piece->prefix_v, piece->own_v, piece, s, block, kv_head, fresh);
}

static void attention(
    ck_workspace *space, const ck_attention *work, const ck_attention_piece *piece,
    size_t kv_head, size_t begin, size_t end) {
  const score_shape s = score_shape_of(work, piece, begin, end);
  float *scores = ck_buffer_reserve(&space->scores, s.rows * SCORE_STRIDE);
  const size_t state = (s.rows * sizeof(running) + 63) / 64 * 16;
  const size_t strips = work->half ? half_strip_words(s.rows, s.size) : 0;
  float *part = ck_buffer_reserve(&space->tiles, state + strips + 2 * s.rows * s.size);
  running *rows = (running *)part;
  float *q = part + state + strips, *sums = q + s.rows * s.size;
  gather_heads(q, piece->q, &s, kv_head, begin);
  if (work->half) q = half_tile_strips(part + state, q, &s);
  for (size_t r = 0; r < s.rows; r++) rows[r] = (running){0, -INFINITY};
  for (size_t key = s.first; key < s.end;) {
    const key_block block = block_from(&s, work, piece, key);
    const size_t columns = block_columns(work, block);
    block_scores_of(space, scores, q, work, piece, &s, block, kv_head);
    for (size_t r = 0; r < s.rows; r++) {
      const seen_columns seen = columns_seen(work, piece, block, begin + r / s.group);
      float *row = scores + r * SCORE_STRIDE;
      weigh(&rows[r], row, seen, work->scale, sums + r * s.size, s.size);
      hide(row, columns, seen);
    }
    block_sums(space, sums, scores, work, piece, &s, block, kv_head, key == s.first);
    key = block.end;
  }
  for (size_t r = 0; r < s.rows; r++) {
    const size_t t = begin + r / s.group, head = kv_head * s.group + r % s.group;
    row_scale(
        piece->out + t * s.columns + head * s.size, sums + r * s.size, s.size,
        (float)(1 / rows[r].sum));
    if (piece->log_sum_exp)
      piece->log_sum_exp[t * work->heads + head] = (float)(rows[r].top + ck_log(rows[r].sum));
  }
}

/// A block's scores → weights, d_weights → derivatives of the scores, in place.
static void score_slopes(
    const ck_attention *work, const ck_attention_piece *piece, const score_shape *s,
    key_block block, size_t kv_head, size_t begin, float *scores, float *d_weights) {
  const size_t columns = block_columns(work, block);
  for (size_t r = 0; r < s->rows; r++) {
    const size_t t = begin + r / s->group, head = kv_head * s->group + r % s->group;
    const seen_columns seen = columns_seen(work, piece, block, t);
    const size_t place = t * s->columns + head * s->size;
    const float mean = row_dot(piece->d_out + place, piece->out + place, s->size);
    const float top = piece->log_sum_exp[t * work->heads + head];
    float *row = scores + r * SCORE_STRIDE, *slopes = d_weights + r * SCORE_STRIDE;
    const size_t count = seen.end - seen.begin;
    EACH_PIECE(count) {
      float *score = row + seen.begin + i, *slope = slopes + seen.begin + i;
      v16 weight = exp16(fma16(load16(score, n), all16(work->scale), all16(-top)));
      store16(score, n, weight);
      store16(slope, n, weight * (load16(slope, n) - mean) * work->scale);
    }
    hide(row, columns, seen);
    hide(slopes, columns, seen);
  }
}

static void attention_back(
    ck_workspace *space, const ck_attention *work, const ck_attention_piece *piece,
    size_t kv_head, size_t begin, size_t end) {
  const score_shape s = score_shape_of(work, piece, begin, end);
  float *scores = ck_buffer_reserve(&space->scores, 2 * s.rows * SCORE_STRIDE);
  float *slopes = scores + s.rows * SCORE_STRIDE;
  const size_t half = work->half ? half_back_words(&s) : 0;
  float *q = ck_buffer_reserve(&space->tiles, 3 * s.rows * s.size + half);
  float *d_out = q + s.rows * s.size, *dq = d_out + s.rows * s.size;
  gather_heads(q, piece->q, &s, kv_head, begin);
  gather_heads(d_out, piece->d_out, &s, kv_head, begin);
  half_back packed = {0};
  if (work->half) packed = half_back_of(dq + s.rows * s.size, q, d_out, &s);
  for (size_t key = s.first; key < s.end;) {
    const key_block block = block_from(&s, work, piece, key);
    const bool fresh = key == s.first;
    key = block.end;
    if (work->half) {
      half_block_scores(scores, slopes, &packed, work, piece, &s, block, kv_head);
      score_slopes(work, piece, &s, block, kv_head, begin, scores, slopes);
      half_block_back(
          space, scores, slopes, &packed, dq, work, piece, &s, block, kv_head, fresh);
      continue;
    }
    against_keys(space, scores, q, piece->prefix_k, piece->own_k, piece, &s, block, kv_head);
    against_keys(space, slopes, d_out, piece->prefix_v, piece->own_v, piece, &s, block, kv_head);
    score_slopes(work, piece, &s, block, kv_head, begin, scores, slopes);
    into_keys(
        space, piece->prefix_dv, piece->own_dv, scores, d_out, piece, &s, block, kv_head);
    into_keys(space, piece->prefix_dk, piece->own_dk, slopes, q, piece, &s, block, kv_head);
    over_keys(
        space, dq, slopes, piece->prefix_k, piece->own_k, piece, &s, block, kv_head, fresh);
  }
  for (size_t r = 0; r < s.rows; r++) {
    const size_t t = begin + r / s.group, head = kv_head * s.group + r % s.group;
    memcpy(
        piece->dq + t * s.columns + head * s.size, dq + r * s.size, s.size * sizeof(float));
  }
}
