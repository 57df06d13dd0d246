// Cuts each call into tasks for the pool. How it is cut decides no bits.
#include "cutting.h"

// ---- products

typedef struct {
  const ck_kernels *kernels;
  const ck_product *product;
  ck_cut rows, columns;
} product_tasks;

static void product_task(void *context, size_t index, ck_workspace *space) {
  const product_tasks *tasks = context;
  const size_t row = index / tasks->columns.tasks * tasks->rows.part;
  const size_t column = index % tasks->columns.tasks * tasks->columns.part;
  const ck_product part = piece(
      tasks->product, row, smaller(tasks->rows.part, tasks->product->m - row), column,
      smaller(tasks->columns.part, tasks->product->n - column));
  if (part.bf16 && part.codes)
    tasks->kernels->half_code_rows(space, &part);
  else
    tasks->kernels->matmul(space, &part);
}

static size_t panel_columns(const ck_kernels *kernels, size_t n) {
  return (n + kernels->panel - 1) / kernels->panel * kernels->panel;
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
  float *a;      // all rows, rounded
  size_t tiles;  // of rows
  ck_cut rounding, rows, columns;
} dot_tasks;

static void round_task(void *context, size_t index, ck_workspace *space) {
  (void)space;
  const dot_tasks *tasks = context;
  const size_t begin = index * tasks->rounding.part;
  tasks->kernels->round_rows(
      tasks->product, tasks->a, begin, smaller(begin + tasks->rounding.part, tasks->tiles));
}

static void dot_task(void *context, size_t index, ck_workspace *space) {
  const dot_tasks *tasks = context;
  const size_t tile = index / tasks->columns.tasks * tasks->rows.part;
  const size_t column = index % tasks->columns.tasks * tasks->columns.part;
  const ck_product part = piece(
      tasks->product, 0, tasks->product->m, column,
      smaller(tasks->columns.part, tasks->product->n - column));
  tasks->kernels->dots(
      space, &part, tasks->a, tile, smaller(tile + tasks->rows.part, tasks->tiles));
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
  tasks.a = ck_pool_take(pool, words);
  ck_pool_step(pool, tasks.rounding.tasks, round_task, &tasks);
  ck_pool_step(pool, tasks.rows.tasks * tasks.columns.tasks, dot_task, &tasks);
  ck_pool_give(pool);
}

void ck_matmul(ck_pool *pool, const ck_product *asked) {
  const ck_kernels *kernels = ck_pool_kernels(pool);
  ck_product whole = *asked;
  const ck_product *product = &whole;
  whole.panel_columns = panel_columns(kernels, whole.n);
  if (whole.m == 0 || whole.n == 0) return;
  if (whole.codes && whole.codes->whole) {
    dot_matmul(pool, product);
    return;
  }
  const bool direct = whole.codes && whole.m <= CK_CODE_ROWS;
  if (whole.bf16 && whole.k > 0 && !direct) {
    ck_half_matmul(pool, product);
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
  return bf16 ? half_columns(n) * ck_half_terms(k) * 2
              : panel_columns(ck_pool_kernels(pool), n) * k * 4;
}

void ck_pack(ck_pool *pool, const ck_product *product, void *panels) {
  pack_tasks tasks = {.kernels = ck_pool_kernels(pool), .product = product, .panels = panels};
  if (product->bf16) {
    tasks.cut = cut(pool, half_columns(product->n) / CK_HALF_PANEL, 1, 1);
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
  if (!bf16) {
    for (size_t p = 0; p < k; p++)
      values[p] = ((const float *)panels)[packed_place(kernels, n, k, row, p)];
    return;
  }
  const size_t panel = CK_HALF_PANEL;
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
