// Products of bf16, cut into tasks: both sides are packed by all threads, then multiplied. Of the
// side that is larger a block at a time, so that what is packed is near when it is read.
#include "cutting.h"

enum {
  /// Bytes of a block for each thread, and of the other side, all of it, at most.
  HALF_BLOCK = 1 << 20,
  HALF_WHOLE = 1 << 26,
  /// Up to so many rows are few, and bytes of decoded panels for few and for many.
  FEW_ROWS = 64,
  NEAR_FEW = 1 << 16,
  NEAR_MANY = 1 << 19,
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
  const size_t terms = ck_half_terms(tasks->block.k);
  const ck_half work = {
      .product = &tasks->block, .strips = tasks->strips, .panels = tasks->panels,
      .strip_terms = terms, .panel_terms = terms,
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
  const size_t terms = ck_half_terms(product->k), panel = CK_HALF_PANEL;
  const size_t block = HALF_BLOCK * (size_t)ck_pool_threads(pool);
  half_plan plan = {
      .row_bytes = terms * kernels->half_bytes, .panel_bytes = terms * panel * 2};
  const size_t a = product->m * plan.row_bytes;
  const size_t b = half_columns(product->n) / panel * plan.panel_bytes;
  plan.rows_within = product->panels || a > b;
  const size_t a_most = plan.rows_within ? block : HALF_WHOLE;
  const size_t b_most = plan.rows_within ? HALF_WHOLE : block;
  // Rows in pairs of strips, of whatever height they are; a block has one at least.
  const size_t unit = 32 * kernels->half_strip;
  plan.rows = larger(a_most / plan.row_bytes / unit, 1) * unit;
  if (a <= a_most) plan.rows = product->m;
  plan.columns = larger(b_most / plan.panel_bytes / 2, 1) * 2 * panel;
  if (product->panels || b <= b_most) plan.columns = product->n;
  return plan;
}

/// Packs what of a block is not packed yet, and multiplies.
static void run_halves(
    ck_pool *pool, half_tasks *tasks, const half_plan *plan, bool new_rows, bool new_columns) {
  const ck_kernels *kernels = tasks->kernels;
  const ck_product *block = &tasks->block;
  const size_t strips = (block->m + kernels->half_strip - 1) / kernels->half_strip;
  const size_t panels = half_columns(block->n) / CK_HALF_PANEL;
  const bool alone = works_alone(pool, block);
  const size_t wanted = alone ? 1 : 4 * (size_t)ck_pool_threads(pool);
  const ck_cut none = {0};
  tasks->strip_packing = new_rows ? parts(strips, wanted, 1) : none;
  tasks->panel_packing = new_columns && !block->panels ? parts(panels, wanted, 1) : none;
  tasks->panels = block->panels ? (const uint8_t *)block->panels +
                                      block->first_column / CK_HALF_PANEL * plan->panel_bytes
                                : tasks->packed;
  tasks->strip_parts = parts(strips, smaller(wanted, larger(strips / 4, 1)), 2);
  tasks->panel_parts = parts(panels, larger(wanted / tasks->strip_parts.tasks, 1), 2);
  ck_pool_step(
      pool, tasks->strip_packing.tasks + tasks->panel_packing.tasks, half_pack_task, tasks);
  ck_pool_step(pool, tasks->strip_parts.tasks * tasks->panel_parts.tasks, half_task, tasks);
}

/// A product whose right side is in codes: each task decodes some columns and multiplies them.
typedef struct {
  const ck_kernels *kernels;
  const ck_product *product;
  void *strips;
  ck_cut strip_packing, columns;
  size_t together;  // columns that are decoded at a time
} code_tasks;

static void code_pack_task(void *context, size_t index, ck_workspace *space) {
  (void)space;
  const code_tasks *tasks = context;
  const ck_cut *cut = &tasks->strip_packing;
  const size_t begin = index * cut->part;
  tasks->kernels->half_rows(
      tasks->product, tasks->strips, begin, smaller(begin + cut->part, cut->count));
}

static void code_task(void *context, size_t index, ck_workspace *space) {
  const code_tasks *tasks = context;
  const ck_product *product = tasks->product;
  const size_t begin = index * tasks->columns.part, terms = product->k;
  const size_t end = smaller(begin + tasks->columns.part, product->n);
  // Whole panels of codes are decoded, which may be wider.
  const size_t most = tasks->together + tasks->kernels->panel;
  float *panels = ck_buffer_reserve(&space->packed_b, most * terms / 2);
  for (size_t column = begin; column < end; column += tasks->together) {
    const size_t columns = smaller(tasks->together, end - column);
    const ck_product part = piece(product, 0, product->m, column, columns);
    tasks->kernels->half_code_panels(&part, panels);
    const ck_half work = {
        .product = &part, .strips = tasks->strips, .strips_end = tasks->strip_packing.count,
        .panels = panels, .panels_end = half_columns(columns) / CK_HALF_PANEL,
        .strip_terms = terms, .panel_terms = terms};
    tasks->kernels->half_product(&work);
  }
}

static void code_matmul(ck_pool *pool, const ck_product *product) {
  const ck_kernels *kernels = ck_pool_kernels(pool);
  const size_t strips = (product->m + kernels->half_strip - 1) / kernels->half_strip;
  const size_t unit = larger(kernels->panel, 2 * CK_HALF_PANEL);
  const bool alone = works_alone(pool, product);
  const size_t wanted = alone ? 1 : 8 * (size_t)ck_pool_threads(pool);
  // For a few rows what is decoded stays in the first cache; many want C to be written in long
  // rows.
  const size_t near = (product->m <= FEW_ROWS ? NEAR_FEW : NEAR_MANY) / (product->k * 2);
  code_tasks tasks = {
      .kernels = kernels, .product = product,
      .strip_packing = parts(strips, wanted, 1),
      .columns = parts(product->n, smaller(wanted, larger(product->n / unit, 1)), unit),
      .together = larger(near / unit, 1) * unit};
  const size_t bytes = strips * kernels->half_strip * product->k * kernels->half_bytes;
  tasks.strips = ck_pool_take(pool, bytes / sizeof(float));
  ck_pool_step(pool, tasks.strip_packing.tasks, code_pack_task, &tasks);
  ck_pool_step(pool, tasks.columns.tasks, code_task, &tasks);
  ck_pool_give(pool);
}

void ck_half_matmul(ck_pool *pool, const ck_product *product) {
  if (product->codes) {
    code_matmul(pool, product);
    return;
  }
  const ck_kernels *kernels = ck_pool_kernels(pool);
  const half_plan plan = plan_halves(pool, product);
  half_tasks tasks = {.kernels = kernels};
  const size_t strip = kernels->half_strip, panel = CK_HALF_PANEL;
  const size_t a = (smaller(plan.rows, product->m) + strip - 1) / strip * strip * plan.row_bytes;
  const size_t columns = half_columns(smaller(plan.columns, product->n));
  const size_t b = product->panels ? 0 : columns / panel * plan.panel_bytes;
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
