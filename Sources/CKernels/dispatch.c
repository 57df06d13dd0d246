// Cuts each call into tasks for the pool. How it is cut decides no bits.
#include "internal.h"

static size_t smaller(size_t a, size_t b) { return a < b ? a : b; }
static size_t larger(size_t a, size_t b) { return a > b ? a : b; }

/// [begin, end) in about equal parts, each a multiple of `unit` but the last.
typedef struct {
  size_t count, part, tasks;
} ck_cut;

/// At most so many parts.
static ck_cut parts(size_t count, size_t most, size_t unit) {
  size_t part = larger((count + most - 1) / most, 1);
  part = (part + unit - 1) / unit * unit;
  return (ck_cut){count, part, (count + part - 1) / part};
}

/// Parts of at least `least` (a multiple of `unit`), four for each thread at most.
static ck_cut cut(const ck_pool *pool, size_t count, size_t least, size_t unit) {
  if (ck_pool_threads(pool) == 1) return parts(count, 1, unit);
  const size_t most = 4 * (size_t)ck_pool_threads(pool);
  return parts(count, smaller(most, larger(count / larger(least, 1), 1)), unit);
}

// ---- products

typedef struct {
  const ck_kernels *kernels;
  const ck_product *product;
  ck_cut rows, columns;
} product_tasks;

/// The rows [row, row + rows) and columns [column, column + columns) of a product's C.
static ck_product piece(
    const ck_product *product, size_t row, size_t rows, size_t column, size_t columns) {
  ck_product part = *product;
  part.m = rows;
  part.n = columns;
  part.a += part.transpose_a ? row : row * part.lda;
  if (part.panels || part.codes)
    part.first_column = column;
  else
    part.b += part.transpose_b ? column * part.ldb : column;
  part.c += row * part.ldc + column;
  if (part.bias) part.bias += column;
  return part;
}

static void product_task(void *context, size_t index, ck_workspace *space) {
  const product_tasks *tasks = context;
  const size_t row = index / tasks->columns.tasks * tasks->rows.part;
  const size_t column = index % tasks->columns.tasks * tasks->columns.part;
  const ck_product part = piece(
      tasks->product, row, smaller(tasks->rows.part, tasks->product->m - row), column,
      smaller(tasks->columns.part, tasks->product->n - column));
  tasks->kernels->matmul(space, &part);
}

static size_t panel_columns(const ck_kernels *kernels, size_t n) {
  return (n + kernels->panel - 1) / kernels->panel * kernels->panel;
}

/// Whether it takes longer to wake a thread than to multiply, or there is none to wake.
static bool works_alone(const ck_pool *pool, const ck_product *product) {
  return ck_pool_threads(pool) == 1 || product->m * product->n * product->k < 100000;
}

/// Four tasks for each thread, where there is enough to do: so cut that the least is packed. Each
/// part of the columns packs all of A, each part of the rows all of B or reads it once more.
static void cut_product(product_tasks *tasks, const ck_pool *pool) {
  const ck_product *product = tasks->product;
  const bool alone = works_alone(pool, product);
  const size_t wanted = alone ? 1 : 4 * (size_t)ck_pool_threads(pool);
  // Two panels side by side serve a few rows quicker.
  const size_t unit = product->m > 8 ? tasks->kernels->panel : 64;
  const size_t rows_most = larger(product->m / 56, 1);
  const size_t columns_most = larger(product->n / 64, 1);
  // Panels that are ready are read once more for each part of the rows; codes are decoded anew.
  const double again = product->codes ? 4 : product->panels ? 0.3 : 1;
  double least = 0;
  for (size_t rows = 1; rows <= smaller(wanted, rows_most); rows++) {
    const size_t columns = smaller((wanted + rows - 1) / rows, columns_most);
    const double idle = (double)wanted / (double)smaller(rows * columns, wanted);
    const double packed =
        (double)(columns * product->m) + again * (double)(rows * product->n);
    if (rows > 1 && packed * idle >= least) continue;
    least = packed * idle;
    tasks->rows = parts(product->m, rows, 1);
    tasks->columns = parts(product->n, columns, unit);
  }
}

// Products of whole numbers: A is rounded once, by all threads, before any of them multiplies.

typedef struct {
  const ck_kernels *kernels;
  const ck_product *product;
  size_t tiles;  // of rows
  ck_cut rounding, rows, columns;
} dot_tasks;

static void round_task(void *context, size_t index, ck_workspace *space) {
  const dot_tasks *tasks = context;
  const size_t begin = index * tasks->rounding.part;
  tasks->kernels->round_rows(
      tasks->product, space->shared, begin,
      smaller(begin + tasks->rounding.part, tasks->tiles));
}

static void dot_task(void *context, size_t index, ck_workspace *space) {
  const dot_tasks *tasks = context;
  const size_t tile = index / tasks->columns.tasks * tasks->rows.part;
  const size_t column = index % tasks->columns.tasks * tasks->columns.part;
  ck_product part = *tasks->product;
  part.n = smaller(tasks->columns.part, part.n - column);
  part.first_column = column;
  part.c += column;
  if (part.bias) part.bias += column;
  tasks->kernels->dots(
      space, &part, space->shared, tile, smaller(tile + tasks->rows.part, tasks->tiles));
}

/// Tasks go through the columns of as many rows of A as stay in the second cache, then on to the
/// next rows.
static void dot_matmul(ck_pool *pool, const ck_product *product) {
  // A quarter of a large second cache.
  const size_t words_most = 131072;
  const ck_kernels *kernels = ck_pool_kernels(pool);
  const size_t tiles = (product->m + kernels->dot_rows - 1) / kernels->dot_rows;
  const size_t words = product->m * ck_dot_words(product);
  const bool alone = works_alone(pool, product);
  const size_t wanted = alone ? 1 : 8 * (size_t)ck_pool_threads(pool);
  dot_tasks tasks = {.kernels = kernels, .product = product, .tiles = tiles};
  tasks.rounding = alone ? parts(tiles, 1, 1) : cut(pool, tiles, 2, 1);
  tasks.columns = parts(
      product->n, smaller(larger(product->n / kernels->panel, 1), wanted), kernels->panel);
  const size_t blocks = (words + words_most - 1) / words_most;
  // Where the columns do not give everybody work, rows do.
  const size_t needed = (wanted / 4 + tasks.columns.tasks - 1) / tasks.columns.tasks;
  tasks.rows = parts(tiles, smaller(larger(blocks, needed), tiles), 1);
  ck_pool_run_shared(
      pool, words, tasks.rounding.tasks, round_task, tasks.rows.tasks * tasks.columns.tasks,
      dot_task, &tasks);
}

// Products of bf16: both sides are packed by all threads, then multiplied. Of the side that is
// larger a block at a time, so that what is packed is still in the second cache when it is read.

enum {
  /// Bytes of a block for each thread, and of the other side, all of it, at most.
  HALF_BLOCK = 1 << 20,
  HALF_WHOLE = 1 << 26,
};

typedef struct {
  const ck_kernels *kernels;
  ck_product block;
  uint8_t *strips, *packed;
  const uint8_t *panels;                     // `packed`, or for good
  ck_cut strip_packing, panel_packing;       // no tasks: packed before
  ck_cut strip_parts, panel_parts;
} half_tasks;

static void half_pack_task(void *context, size_t index, ck_workspace *space) {
  (void)space;
  const half_tasks *tasks = context;
  const ck_cut *cut = &tasks->strip_packing;
  const bool rows = index < cut->tasks;
  if (!rows) {
    index -= cut->tasks;
    cut = &tasks->panel_packing;
  }
  const size_t begin = index * cut->part, end = smaller(begin + cut->part, cut->count);
  if (rows)
    tasks->kernels->half_rows(&tasks->block, tasks->strips, begin, end);
  else
    tasks->kernels->half_panels(&tasks->block, tasks->packed, begin, end);
}

static void half_task(void *context, size_t index, ck_workspace *space) {
  (void)space;
  const half_tasks *tasks = context;
  const ck_cut *strips = &tasks->strip_parts, *panels = &tasks->panel_parts;
  const size_t strip = index % strips->tasks * strips->part;
  const size_t panel = index / strips->tasks * panels->part;
  const ck_half work = {
      .product = &tasks->block, .strips = tasks->strips, .panels = tasks->panels,
      .strip = strip, .strips_end = smaller(strip + strips->part, strips->count),
      .panel = panel, .panels_end = smaller(panel + panels->part, panels->count)};
  tasks->kernels->half_product(&work);
}

/// How a product of bf16 is gone through.
typedef struct {
  size_t rows, columns;          // of a block
  size_t row_bytes, panel_bytes; // of a packed row, of a packed panel
  bool rows_within;              // for each block of columns all blocks of rows, or the other way
} half_plan;

static half_plan plan_halves(const ck_pool *pool, const ck_product *product) {
  const ck_kernels *kernels = ck_pool_kernels(pool);
  const size_t terms = ck_half_terms(product->k), panel = kernels->panel;
  const size_t block = HALF_BLOCK * (size_t)ck_pool_threads(pool);
  half_plan plan = {
      .row_bytes = terms * kernels->half_bytes, .panel_bytes = terms * panel * 2};
  const size_t a = product->m * plan.row_bytes;
  const size_t b = panel_columns(kernels, product->n) / panel * plan.panel_bytes;
  plan.rows_within = product->panels || a > b;
  const size_t a_most = plan.rows_within ? block : HALF_WHOLE;
  const size_t b_most = plan.rows_within ? HALF_WHOLE : block;
  // Rows in pairs of strips, of whatever height they are; a block has one at least.
  const size_t unit = 32 * kernels->half_strip;
  plan.rows = larger(a_most / plan.row_bytes / unit, 1) * unit;
  if (a <= a_most) plan.rows = product->m;
  plan.columns = larger(b_most / plan.panel_bytes, 1) * panel;
  if (product->panels || b <= b_most) plan.columns = product->n;
  return plan;
}

/// Packs what of a block is not packed yet, and multiplies.
static void run_halves(
    ck_pool *pool, half_tasks *tasks, const half_plan *plan, bool new_rows, bool new_columns) {
  const ck_kernels *kernels = tasks->kernels;
  const ck_product *block = &tasks->block;
  const size_t strips = (block->m + kernels->half_strip - 1) / kernels->half_strip;
  const size_t panels = (block->n + kernels->panel - 1) / kernels->panel;
  const bool alone = works_alone(pool, block);
  const size_t wanted = alone ? 1 : 4 * (size_t)ck_pool_threads(pool);
  const ck_cut none = {0};
  tasks->strip_packing = new_rows ? parts(strips, wanted, 1) : none;
  tasks->panel_packing = new_columns && !block->panels ? parts(panels, wanted, 1) : none;
  tasks->panels = block->panels ? (const uint8_t *)block->panels +
                                      block->first_column / kernels->panel * plan->panel_bytes
                                : tasks->packed;
  // Parts of rows that stay in half of the second cache.
  const size_t near = larger(HALF_BLOCK / (kernels->half_strip * plan->row_bytes), 1);
  const size_t row_parts = (strips + near - 1) / near;
  tasks->strip_parts = parts(strips, row_parts, 2);
  tasks->panel_parts = parts(panels, larger(wanted / tasks->strip_parts.tasks, 1), 1);
  ck_pool_step(
      pool, tasks->strip_packing.tasks + tasks->panel_packing.tasks, half_pack_task, tasks);
  ck_pool_step(pool, tasks->strip_parts.tasks * tasks->panel_parts.tasks, half_task, tasks);
}

static void half_matmul(ck_pool *pool, const ck_product *product) {
  const ck_kernels *kernels = ck_pool_kernels(pool);
  const half_plan plan = plan_halves(pool, product);
  half_tasks tasks = {.kernels = kernels};
  const size_t strip = kernels->half_strip, panel = kernels->panel;
  const size_t a = (smaller(plan.rows, product->m) + strip - 1) / strip * strip * plan.row_bytes;
  const size_t b = product->panels
                       ? 0 : panel_columns(kernels, smaller(plan.columns, product->n)) / panel * plan.panel_bytes;
  const size_t start = (a + 63) / 64 * 64;
  tasks.strips = (uint8_t *)ck_pool_take(pool, (start + b + 3) / 4);
  tasks.packed = tasks.strips + start;
  const size_t row_blocks = (product->m + plan.rows - 1) / plan.rows;
  const size_t column_blocks = (product->n + plan.columns - 1) / plan.columns;
  size_t last_row = SIZE_MAX, last_column = SIZE_MAX;
  for (size_t i = 0; i < row_blocks * column_blocks; i++) {
    const size_t row = plan.rows * (plan.rows_within ? i % row_blocks : i / column_blocks);
    const size_t column = plan.columns * (plan.rows_within ? i / row_blocks : i % column_blocks);
    tasks.block = piece(
        product, row, smaller(plan.rows, product->m - row), column,
        smaller(plan.columns, product->n - column));
    run_halves(pool, &tasks, &plan, row != last_row, column != last_column);
    last_row = row;
    last_column = column;
  }
  ck_pool_give(pool);
}

void ck_matmul(ck_pool *pool, const ck_product *asked) {
  const ck_kernels *kernels = ck_pool_kernels(pool);
  ck_product whole = *asked;
  const ck_product *product = &whole;
  whole.panel_columns = panel_columns(kernels, whole.n);
  if (whole.m == 0 || whole.n == 0) return;
  if (whole.bf16 && !whole.codes && whole.k > 0) {
    half_matmul(pool, product);
    return;
  }
  if (whole.codes && whole.codes->whole) {
    dot_matmul(pool, product);
    return;
  }
  product_tasks tasks = {.kernels = kernels, .product = product};
  cut_product(&tasks, pool);
  ck_pool_run(pool, tasks.rows.tasks * tasks.columns.tasks, product_task, &tasks);
}

typedef struct {
  const ck_kernels *kernels;
  const ck_product *product;
  void *panels;
  ck_cut cut;  // of terms, or with bf16 of panels
} pack_tasks;

static void pack_task(void *context, size_t index, ck_workspace *space) {
  (void)space;
  const pack_tasks *tasks = context;
  const size_t begin = index * tasks->cut.part;
  const size_t end = smaller(begin + tasks->cut.part, tasks->cut.count);
  if (tasks->product->bf16)
    tasks->kernels->half_panels(tasks->product, tasks->panels, begin, end);
  else
    tasks->kernels->pack(tasks->product, tasks->panels, begin, end);
}

size_t ck_packed_bytes(const ck_pool *pool, size_t n, size_t k, bool bf16) {
  const size_t columns = panel_columns(ck_pool_kernels(pool), n);
  return bf16 ? columns * ck_half_terms(k) * 2 : columns * k * 4;
}

void ck_pack(ck_pool *pool, const ck_product *product, void *panels) {
  pack_tasks tasks = {.kernels = ck_pool_kernels(pool), .product = product, .panels = panels};
  const size_t panel = tasks.kernels->panel, count = (product->n + panel - 1) / panel;
  if (product->bf16) {
    tasks.cut = cut(pool, count, 1, 1);
  } else {
    const size_t depth = ck_even_depth(product->k, tasks.kernels->depth);
    tasks.cut = (ck_cut){product->k, depth, (product->k + depth - 1) / depth};
  }
  ck_pool_run(pool, tasks.cut.tasks, pack_task, &tasks);
}

/// Where panels of floats have a term of a column.
static size_t packed_place(
    const ck_kernels *kernels, size_t n, size_t k, size_t column, size_t term) {
  const size_t most = ck_even_depth(k, kernels->depth), panel = kernels->panel;
  const size_t start = term / most * most, depth = smaller(most, k - start);
  return start * panel_columns(kernels, n) + column / panel * panel * depth +
         (term - start) * panel + column % panel;
}

void ck_packed_row(
    const ck_pool *pool, size_t n, size_t k, bool bf16, size_t row, const void *panels,
    float *values) {
  const ck_kernels *kernels = ck_pool_kernels(pool);
  const size_t panel = kernels->panel;
  if (!bf16) {
    for (size_t p = 0; p < k; p++)
      values[p] = ((const float *)panels)[packed_place(kernels, n, k, row, p)];
    return;
  }
  const uint16_t *from =
      (const uint16_t *)panels + row / panel * panel * ck_half_terms(k) + row % panel * 2;
  for (size_t p = 0; p < k; p++) {
    const uint32_t bits = (uint32_t)from[p / 2 * panel * 2 + p % 2] << 16;
    memcpy(values + p, &bits, sizeof bits);
  }
}

// ---- elements and rows

/// Any kernel that works on [begin, end) of its work.
typedef struct {
  void (*run)(const void *work, size_t begin, size_t end);
  const ck_kernels *kernels;
  const void *work;
  ck_cut cut;
} range_tasks;

#define RANGE_TASK(name, type)                                                 \
  static void name##_task(void *context, size_t index, ck_workspace *space) {  \
    (void)space;                                                               \
    const range_tasks *tasks = context;                                        \
    const size_t begin = index * tasks->cut.part;                              \
    const size_t end = smaller(begin + tasks->cut.part, tasks->cut.count);     \
    tasks->kernels->name((const type *)tasks->work, begin, end);               \
  }                                                                            \
  static void name##_run(ck_pool *pool, const type *work, ck_cut parts) {      \
    range_tasks tasks = {.kernels = ck_pool_kernels(pool), .work = work, .cut = parts}; \
    ck_pool_run(pool, parts.tasks, name##_task, &tasks);                       \
  }

RANGE_TASK(elements, ck_elements)
RANGE_TASK(adamw, ck_adamw)
RANGE_TASK(rows, ck_rows)
RANGE_TASK(columns, ck_columns)
RANGE_TASK(rotate, ck_rotation)
RANGE_TASK(argmax, ck_argmax)

// So many elements at least are worth a task of their own.
enum { LEAST = 8192 };

static size_t least_rows(size_t columns) { return LEAST / larger(columns, 1) + 1; }

void ck_elements_run(ck_pool *pool, const ck_elements *work) {
  elements_run(pool, work, cut(pool, work->count, LEAST, 16));
}

void ck_adamw_run(ck_pool *pool, const ck_adamw *step) {
  adamw_run(pool, step, cut(pool, step->count, LEAST, 16));
}

void ck_rows_run(ck_pool *pool, const ck_rows *work) {
  rows_run(pool, work, cut(pool, work->rows, least_rows(work->columns), 1));
}

void ck_columns_run(ck_pool *pool, const ck_columns *work) {
  columns_run(pool, work, cut(pool, work->columns, larger(least_rows(work->rows), 64), 16));
}

void ck_rotate(ck_pool *pool, const ck_rotation *work) {
  rotate_run(pool, work, cut(pool, work->rows, least_rows(work->heads * work->size), 1));
}

void ck_argmax_run(ck_pool *pool, const ck_argmax *work) {
  argmax_run(pool, work, cut(pool, work->rows, least_rows(work->columns), 1));
}

void ck_norm_backward(ck_pool *pool, const ck_rows *work, float *d_weight, float *d_bias) {
  // So many rows at a time that what is kept of them fits the stack.
  enum { CHUNK = 512 };
  float moments[2 * CHUNK];
  for (size_t row = 0; row < work->rows; row += CHUNK) {
    const size_t start = row * work->columns;
    ck_rows part = *work;
    part.rows = smaller(CHUNK, work->rows - row);
    part.in0 += start;
    part.in1 += start;
    part.out += start;
    part.moments = moments;
    ck_rows_run(pool, &part);
    if (!d_weight && !d_bias) continue;
    const ck_columns sums = {
        .rows = part.rows, .columns = work->columns, .sums = d_bias, .products = d_weight,
        .dy = part.in1, .x = part.in0, .moments = moments};
    ck_columns_run(pool, &sums);
  }
}

// ---- sums in f64

enum { BLOCK = 4096, BLOCKS = 512 };

typedef struct {
  const ck_kernels *kernels;
  const float *x;
  size_t count;
  double sums[BLOCKS];
} square_tasks;

static void square_task(void *context, size_t index, ck_workspace *space) {
  (void)space;
  square_tasks *tasks = context;
  const size_t begin = index * BLOCK;
  tasks->sums[index] =
      tasks->kernels->squares(tasks->x + begin, smaller(BLOCK, tasks->count - begin));
}

double ck_sum_of_squares(ck_pool *pool, const float *x, size_t count) {
  double total = 0;
  square_tasks tasks = {.kernels = ck_pool_kernels(pool)};
  for (size_t start = 0; start < count; start += (size_t)BLOCK * BLOCKS) {
    tasks.x = x + start;
    tasks.count = smaller((size_t)BLOCK * BLOCKS, count - start);
    const size_t blocks = (tasks.count + BLOCK - 1) / BLOCK;
    ck_pool_run(pool, blocks, square_task, &tasks);
    for (size_t i = 0; i < blocks; i++) total += tasks.sums[i];
  }
  return total;
}

typedef struct {
  const ck_kernels *kernels;
  const ck_cross_entropy *work;
  size_t first;
  double losses[BLOCKS];
} entropy_tasks;

static void entropy_task(void *context, size_t index, ck_workspace *space) {
  (void)space;
  entropy_tasks *tasks = context;
  tasks->losses[index] = tasks->kernels->cross_entropy(tasks->work, tasks->first + index);
}

double ck_cross_entropy_run(ck_pool *pool, const ck_cross_entropy *work) {
  double total = 0;
  entropy_tasks tasks = {.kernels = ck_pool_kernels(pool), .work = work};
  for (tasks.first = 0; tasks.first < work->rows; tasks.first += BLOCKS) {
    const size_t rows = smaller(BLOCKS, work->rows - tasks.first);
    ck_pool_run(pool, rows, entropy_task, &tasks);
    for (size_t i = 0; i < rows; i++) total += tasks.losses[i];
  }
  return total;
}

// ---- attention

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
    tasks->kernels->into_pages(space, work, piece, index % work->kv_heads);
  tasks->kernels->attention(
      space, work, piece, index % work->kv_heads, begin, smaller(begin + tile, piece->queries));
}

/// Task: one key head of one piece with several tiles, each of which sees all the new rows.
static void page_task(void *context, size_t index, ck_workspace *space) {
  const attention_tasks *tasks = context;
  const ck_attention *work = tasks->work;
  const ck_attention_piece *piece = &work->pieces[index / work->kv_heads];
  if (piece->pages && tiles_of(work, piece) > 1)
    tasks->kernels->into_pages(space, work, piece, index % work->kv_heads);
}

void ck_attention_forward(ck_pool *pool, const ck_attention *work) {
  attention_tasks tasks = {ck_pool_kernels(pool), work};
  bool ahead = false;
  for (size_t i = 0; i < work->piece_count; i++)
    ahead |= work->pieces[i].pages && tiles_of(work, &work->pieces[i]) > 1;
  if (ahead) ck_pool_run(pool, work->piece_count * work->kv_heads, page_task, &tasks);
  size_t count = 0;
  for (size_t i = 0; i < work->piece_count; i++)
    count += tiles_of(work, &work->pieces[i]) * work->kv_heads;
  ck_pool_run(pool, count, attention_task, &tasks);
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

void ck_attention_backward(ck_pool *pool, const ck_attention *work) {
  attention_tasks tasks = {ck_pool_kernels(pool), work};
  ck_pool_run(pool, work->group_count * work->kv_heads, attention_back_task, &tasks);
}
