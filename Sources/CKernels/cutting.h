// How calls are cut into tasks for the pool. How they are cut decides no bits.
#ifndef COMD_CKERNELS_CUTTING_H
#define COMD_CKERNELS_CUTTING_H

#include "internal.h"

static inline size_t smaller(size_t a, size_t b) { return a < b ? a : b; }
static inline size_t larger(size_t a, size_t b) { return a > b ? a : b; }

/// [begin, end) in about equal parts, each a multiple of `unit` but the last.
typedef struct {
  size_t count, part, tasks;
} ck_cut;

/// At most so many parts.
static inline ck_cut parts(size_t count, size_t most, size_t unit) {
  size_t part = larger((count + most - 1) / most, 1);
  part = (part + unit - 1) / unit * unit;
  return (ck_cut){count, part, (count + part - 1) / part};
}

/// Parts of at least `least` (a multiple of `unit`), four for each thread at most.
static inline ck_cut cut(const ck_pool *pool, size_t count, size_t least, size_t unit) {
  if (ck_pool_threads(pool) == 1) return parts(count, 1, unit);
  const size_t most = 4 * (size_t)ck_pool_threads(pool);
  return parts(count, smaller(most, larger(count / larger(least, 1), 1)), unit);
}

/// The rows [row, row + rows) and columns [column, column + columns) of a product's C.
static inline ck_product piece(
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

/// Whether it takes longer to wake a thread than to multiply, or there is none to wake.
static inline bool works_alone(const ck_pool *pool, const ck_product *product) {
  return ck_pool_threads(pool) == 1 || product->m * product->n * product->k < 100000;
}

/// Columns in whole panels of products of bf16.
static inline size_t half_columns(size_t n) {
  return (n + CK_HALF_PANEL - 1) / CK_HALF_PANEL * CK_HALF_PANEL;
}

/// Products of bf16; the right side as it lies, packed or in codes.
void ck_half_matmul(ck_pool *pool, const ck_product *product);

#endif
