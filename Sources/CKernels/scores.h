// Attention of a few query rows at a time. The heads that share a key head are rows of one
// product; a piece's keys are its prefix's and its own, one after the other, so a row gives the
// same bits whether it is packed, cached or alone. Keys in front of a row's window have weight 0,
// and a sum that begins with zeros is the sum without them: so it does not matter which rows share
// a tile, whose keys begin where its first row's do. Included by each set.

/// One tile's sizes and scratch. Its keys are the prefix's from `prefix_first` and the own ones
/// from `own_first` on; `first` is the first of them among all. Of pages they begin with a whole
/// page, `skipped` keys of which no row sees.
typedef struct {
  size_t group, rows, first, skipped, prefix_first, prefix, own_first, own, keys, stride;
  size_t size, columns, kv_columns;
} score_shape;

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
  // Whole pages are multiplied, so that one half seen or half filled needs no packing.
  const size_t unit = piece->pages ? work->page_rows : 16;
  s.skipped = piece->pages ? s.first % unit : 0;
  s.first -= s.skipped;
  s.prefix_first = s.first < piece->prefix ? s.first : piece->prefix;
  s.prefix = piece->prefix - s.prefix_first;
  s.own_first = s.first - s.prefix_first;
  s.own = (work->causal ? piece->first + end : piece->own) - s.own_first;
  s.keys = s.prefix + s.own;
  s.stride = (s.keys + unit - 1) / unit * unit;
  s.size = work->size;
  s.columns = work->heads * work->size;
  s.kv_columns = work->kv_heads * work->size;
  return s;
}

/// Where a head's rows begin for the tile, of the prefix's keys (or values) and of its own.
INLINE size_t prefix_place(const score_shape *s, size_t kv_head) {
  return s->prefix_first * s->kv_columns + kv_head * s->size;
}

INLINE size_t own_place(const score_shape *s, size_t kv_head) {
  return s->own_first * s->kv_columns + kv_head * s->size;
}

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
    const float *own, const score_shape *s, size_t kv_head) {
  ck_product product = {
      .m = s->rows, .n = s->prefix, .k = s->size, .a = tile, .lda = s->size, .c = scores,
      .ldc = s->stride, .ldb = s->kv_columns, .transpose_b = true};
  if (s->prefix > 0) {
    product.b = prefix + prefix_place(s, kv_head);
    matmul(space, &product);
  }
  product.n = s->own;
  product.b = own + own_place(s, kv_head);
  product.c = scores + s->prefix;
  matmul(space, &product);
}

/// One key head's keys or values of a page in f32: where they lie, or widened into `scratch`.
INLINE const float *page_part(
    const ck_attention *work, const void *page, size_t place, float *scratch) {
  if (!work->half_pages) return (const float *)page + place;
  widen(scratch, (const uint16_t *)page + place, work->page_rows * work->size);
  return scratch;
}

/// The same over pages.
static void against_pages(
    ck_workspace *space, float *scores, const float *tile, const ck_attention *work,
    const ck_attention_piece *piece, const score_shape *s, size_t kv_head, float *scratch) {
  ck_product product = {
      .m = s->rows, .n = work->page_rows, .k = s->size, .a = tile, .lda = s->size,
      .ldc = s->stride, .ldb = work->page_rows};
  const size_t place = work->page_keys + kv_head * s->size * work->page_rows;
  for (size_t key = 0; key < s->keys; key += work->page_rows) {
    const void *page = piece->pages[(s->first + key) / work->page_rows];
    product.b = page_part(work, page, place, scratch);
    product.c = scores + key;
    matmul(space, &product);
  }
}

/// tile (rows, size) = scores (rows, keys) · values
static void over_keys(
    ck_workspace *space, float *tile, const float *scores, const float *prefix,
    const float *own, const score_shape *s, size_t kv_head) {
  ck_product product = {
      .m = s->rows, .n = s->size, .k = s->prefix, .a = scores, .lda = s->stride, .c = tile,
      .ldc = s->size, .ldb = s->kv_columns};
  if (s->prefix > 0) {
    product.b = prefix + prefix_place(s, kv_head);
    matmul(space, &product);
  }
  product.accumulate = s->prefix > 0;
  product.k = s->own;
  product.b = own + own_place(s, kv_head);
  product.a = scores + s->prefix;
  matmul(space, &product);
}

/// The same over pages.
static void over_pages(
    ck_workspace *space, float *tile, const float *scores, const ck_attention *work,
    const ck_attention_piece *piece, const score_shape *s, size_t kv_head, float *scratch) {
  ck_product product = {
      .m = s->rows, .n = s->size, .lda = s->stride, .c = tile, .ldc = s->size, .ldb = s->size};
  const size_t place = work->page_values + kv_head * s->size * work->page_rows;
  for (size_t key = 0; key < s->keys; key += work->page_rows) {
    const size_t left = s->keys - key, skipped = key == 0 ? s->skipped : 0;
    product.k = (left < work->page_rows ? left : work->page_rows) - skipped;
    product.a = scores + key + skipped;
    const void *page = piece->pages[(s->first + key) / work->page_rows];
    product.b = page_part(work, page, place, scratch) + skipped * s->size;
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

/// The same, rounded to bf16; `scratch` has `size` places.
static void into_half_page(
    uint16_t *keys, uint16_t *values, size_t rows, const float *k, const float *v, size_t columns,
    size_t count, size_t size, uint16_t *scratch) {
  for (size_t r = 0; r < count; r++) {
    narrow(scratch, k + r * columns, size);
    for (size_t d = 0; d < size; d++) keys[d * rows + r] = scratch[d];
    narrow(values + r * size, v + r * columns, size);
  }
}

/// Puts the new rows of one key head where they belong in their pages.
static void into_pages(
    ck_workspace *space, const ck_attention *work, const ck_attention_piece *piece,
    size_t kv_head) {
  const size_t size = work->size, columns = work->kv_heads * size, rows = work->page_rows;
  uint16_t *scratch = (uint16_t *)ck_buffer_reserve(&space->tiles, size);
  for (size_t t = 0, count; t < piece->queries; t += count) {
    const size_t row = (piece->first + t) % rows, left = piece->queries - t;
    count = rows - row < left ? rows - row : left;
    void *page = piece->pages[(piece->first + t) / rows];
    const size_t keys = work->page_keys + kv_head * size * rows + row;
    const size_t values = work->page_values + (kv_head * rows + row) * size;
    const float *k = piece->own_k + t * columns + kv_head * size;
    const float *v = piece->own_v + t * columns + kv_head * size;
    if (work->half_pages) {
      uint16_t *half = page;
      into_half_page(half + keys, half + values, rows, k, v, columns, count, size, scratch);
    } else {
      float *whole = page;
      into_page(whole + keys, whole + values, rows, k, v, columns, count, size);
    }
  }
}

/// keys (keys, size) += scoresᵀ · tile
static void into_keys(
    ck_workspace *space, float *prefix, float *own, const float *scores, const float *tile,
    const score_shape *s, size_t kv_head) {
  ck_product product = {
      .m = s->prefix, .n = s->size, .k = s->rows, .a = scores, .lda = s->stride, .b = tile,
      .ldb = s->size, .ldc = s->kv_columns, .transpose_a = true, .accumulate = true};
  if (s->prefix > 0) {
    product.c = prefix + prefix_place(s, kv_head);
    matmul(space, &product);
  }
  product.m = s->own;
  product.c = own + own_place(s, kv_head);
  product.a = scores + s->prefix;
  matmul(space, &product);
}

static void attention(
    ck_workspace *space, const ck_attention *work, const ck_attention_piece *piece,
    size_t kv_head, size_t begin, size_t end) {
  const score_shape s = score_shape_of(work, piece, begin, end);
  float *scores = ck_buffer_reserve(&space->scores, s.rows * s.stride);
  const size_t widened = work->half_pages ? work->page_rows * s.size : 0;
  float *part = ck_buffer_reserve(&space->tiles, widened + s.rows * (2 * s.size + 1));
  float *q = part + widened, *sums = q + s.rows * s.size, *inverse = sums + s.rows * s.size;
  gather_heads(q, piece->q, &s, kv_head, begin);
  if (piece->pages)
    against_pages(space, scores, q, work, piece, &s, kv_head, part);
  else
    against_keys(space, scores, q, piece->prefix_k, piece->own_k, &s, kv_head);
  for (size_t r = 0; r < s.rows; r++) {
    const size_t t = begin + r / s.group;
    const size_t hidden = seen_begin(work, piece, t) - s.first;
    const size_t seen = seen_end(work, piece, t) - s.first - hidden;
    float *all = scores + r * s.stride, *row = all + hidden;
    const float top = row_max(row, seen) * work->scale;
    const double sum = row_exp(row, row, seen, work->scale, top);
    memset(all, 0, hidden * sizeof(float));
    memset(row + seen, 0, (s.keys - hidden - seen) * sizeof(float));
    inverse[r] = (float)(1 / sum);
    if (piece->log_sum_exp)
      piece->log_sum_exp[t * work->heads + kv_head * s.group + r % s.group] =
          (float)(top + ck_log(sum));
  }
  if (piece->pages)
    over_pages(space, sums, scores, work, piece, &s, kv_head, part);
  else
    over_keys(space, sums, scores, piece->prefix_v, piece->own_v, &s, kv_head);
  for (size_t r = 0; r < s.rows; r++) {
    const size_t t = begin + r / s.group, head = kv_head * s.group + r % s.group;
    row_scale(
        piece->out + t * s.columns + head * s.size, sums + r * s.size, s.size, inverse[r]);
  }
}

/// scores → weights, d_weights → derivatives of the scores, in place.
static void score_slopes(
    const ck_attention *work, const ck_attention_piece *piece, const score_shape *s,
    size_t kv_head, size_t begin, float *scores, float *d_weights) {
  for (size_t r = 0; r < s->rows; r++) {
    const size_t t = begin + r / s->group, head = kv_head * s->group + r % s->group;
    const size_t hidden = seen_begin(work, piece, t) - s->first;
    const size_t seen = seen_end(work, piece, t) - s->first - hidden;
    const size_t place = t * s->columns + head * s->size;
    const float mean = row_dot(piece->d_out + place, piece->out + place, s->size);
    const float top = piece->log_sum_exp[t * work->heads + head];
    float *row = scores + r * s->stride + hidden, *slopes = d_weights + r * s->stride + hidden;
    EACH_PIECE(seen) {
      v16 weight = exp16(fma16(load16(row + i, n), all16(work->scale), all16(-top)));
      store16(row + i, n, weight);
      store16(slopes + i, n, weight * (load16(slopes + i, n) - mean) * work->scale);
    }
    memset(row - hidden, 0, hidden * sizeof(float));
    memset(slopes - hidden, 0, hidden * sizeof(float));
    memset(row + seen, 0, (s->keys - hidden - seen) * sizeof(float));
    memset(slopes + seen, 0, (s->keys - hidden - seen) * sizeof(float));
  }
}

static void attention_back(
    ck_workspace *space, const ck_attention *work, const ck_attention_piece *piece,
    size_t kv_head, size_t begin, size_t end) {
  const score_shape s = score_shape_of(work, piece, begin, end);
  float *scores = ck_buffer_reserve(&space->scores, 2 * s.rows * s.stride);
  float *slopes = scores + s.rows * s.stride;
  float *q = ck_buffer_reserve(&space->tiles, 3 * s.rows * s.size);
  float *d_out = q + s.rows * s.size, *dq = d_out + s.rows * s.size;
  gather_heads(q, piece->q, &s, kv_head, begin);
  gather_heads(d_out, piece->d_out, &s, kv_head, begin);
  against_keys(space, scores, q, piece->prefix_k, piece->own_k, &s, kv_head);
  against_keys(space, slopes, d_out, piece->prefix_v, piece->own_v, &s, kv_head);
  score_slopes(work, piece, &s, kv_head, begin, scores, slopes);
  into_keys(space, piece->prefix_dv, piece->own_dv, scores, d_out, &s, kv_head);
  into_keys(space, piece->prefix_dk, piece->own_dk, slopes, q, &s, kv_head);
  over_keys(space, dq, slopes, piece->prefix_k, piece->own_k, &s, kv_head);
  for (size_t r = 0; r < s.rows; r++) {
    const size_t t = begin + r / s.group, head = kv_head * s.group + r % s.group;
    memcpy(
        piece->dq + t * s.columns + head * s.size, dq + r * s.size, s.size * sizeof(float));
  }
}
