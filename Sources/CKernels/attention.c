// Attention, cut into tasks for the pool.
#include "cutting.h"

typedef struct {
  const ck_kernels *kernels;
  const ck_attention *work;
} attention_tasks;

static size_t tiles_of(const ck_attention *work, const ck_attention_piece *piece) {
  const size_t tile = ck_attention_tile(work);
  return (piece->queries + tile - 1) / tile;
}

/// Task: one tile of queries of one piece, one key head.
static void attention_task(void *context, size_t index, ck_workspace *space) {
  const attention_tasks *tasks = context;
  const ck_attention *work = tasks->work;
  const ck_attention_piece *piece = work->pieces;
  for (size_t own; index >= (own = tiles_of(work, piece) * work->kv_heads); piece++) index -= own;
  const size_t tile = ck_attention_tile(work);
  const size_t begin = index / work->kv_heads * tile;
  if (piece->pages && piece->queries <= tile)
    tasks->kernels->into_pages(work, piece, index % work->kv_heads);
  tasks->kernels->attention(
      space, work, piece, index % work->kv_heads, begin, smaller(begin + tile, piece->queries));
}

/// Task: one key head of one piece with several tiles, each of which sees all the new rows.
static void page_task(void *context, size_t index, ck_workspace *space) {
  (void)space;
  const attention_tasks *tasks = context;
  const ck_attention *work = tasks->work;
  const ck_attention_piece *piece = &work->pieces[index / work->kv_heads];
  if (piece->pages && tiles_of(work, piece) > 1)
    tasks->kernels->into_pages(work, piece, index % work->kv_heads);
}

size_t ck_half_side_bytes(size_t positions, size_t size) {
  return ck_half_terms(positions) * ck_half_terms(size) * sizeof(uint16_t);
}

/// Task: one key head of one piece.
static void half_side_task(void *context, size_t index, ck_workspace *space) {
  const attention_tasks *tasks = context;
  const ck_attention *work = tasks->work;
  tasks->kernels->pack_half_sides(
      space, work, &work->pieces[index / work->kv_heads], index % work->kv_heads);
}

/// Takes the pool. With bf16 and without pages, `work` becomes one whose pieces have panels, which
/// are packed; they are the pool's until it is given back.
static void begin_attention(ck_pool *pool, ck_attention *work) {
  const ck_attention_piece *pieces = work->pieces;
  if (!work->half || work->piece_count == 0 || pieces[0].pages) {
    ck_pool_take(pool, 0);
    return;
  }
  const size_t list = (work->piece_count * sizeof *pieces + 63) / 64 * 64;
  size_t bytes = list;
  for (size_t i = 0; i < work->piece_count; i++)
    bytes += ck_half_sides(&pieces[i]) * work->kv_heads * ck_half_piece_bytes(work, &pieces[i]);
  uint8_t *memory = (uint8_t *)ck_pool_take(pool, bytes / sizeof(float));
  ck_attention_piece *own = (ck_attention_piece *)memory;
  memcpy(own, pieces, work->piece_count * sizeof *pieces);
  size_t place = list;
  for (size_t i = 0; i < work->piece_count; i++) {
    own[i].panels = memory + place;
    place += ck_half_sides(&own[i]) * work->kv_heads * ck_half_piece_bytes(work, &own[i]);
  }
  work->pieces = own;
  attention_tasks tasks = {ck_pool_kernels(pool), work};
  ck_pool_step(pool, work->piece_count * work->kv_heads, half_side_task, &tasks);
}

void ck_attention_forward(ck_pool *pool, const ck_attention *asked) {
  ck_attention whole = *asked;
  const ck_attention *work = &whole;
  begin_attention(pool, &whole);
  attention_tasks tasks = {ck_pool_kernels(pool), work};
  bool ahead = false;
  for (size_t i = 0; i < work->piece_count; i++)
    ahead |= work->pieces[i].pages && tiles_of(work, &work->pieces[i]) > 1;
  if (ahead) ck_pool_step(pool, work->piece_count * work->kv_heads, page_task, &tasks);
  size_t count = 0;
  for (size_t i = 0; i < work->piece_count; i++)
    count += tiles_of(work, &work->pieces[i]) * work->kv_heads;
  ck_pool_step(pool, count, attention_task, &tasks);
  ck_pool_give(pool);
}

/// Task: one key head of one group; its sums are added in the order of the rows.
static void attention_back_task(void *context, size_t index, ck_workspace *space) {
  const attention_tasks *tasks = context;
  const ck_attention *work = tasks->work;
  const size_t group = index / work->kv_heads, kv_head = index % work->kv_heads;
  const size_t tile = ck_attention_tile(work);
  for (size_t i = group ? work->group_ends[group - 1] : 0; i < work->group_ends[group]; i++) {
    const ck_attention_piece *piece = &work->pieces[i];
    for (size_t begin = 0; begin < piece->queries; begin += tile)
      tasks->kernels->attention_back(
          space, work, piece, kv_head, begin, smaller(begin + tile, piece->queries));
  }
}

void ck_attention_backward(ck_pool *pool, const ck_attention *asked) {
  ck_attention work = *asked;
  begin_attention(pool, &work);
  attention_tasks tasks = {ck_pool_kernels(pool), &work};
  ck_pool_step(pool, work.group_count * work.kv_heads, attention_back_task, &tasks);
  ck_pool_give(pool);
}
