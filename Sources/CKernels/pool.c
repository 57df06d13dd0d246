#include <stdlib.h>

#include "CKernels.h"

struct ck_pool { int threads; ck_isa isa; };

ck_pool *ck_pool_create(int threads, ck_isa isa) {
  ck_pool *pool = calloc(1, sizeof *pool);
  if (pool) *pool = (ck_pool){threads, isa};
  return pool;
}
void ck_pool_destroy(ck_pool *pool) { free(pool); }
double ck_fma_rate(ck_isa isa) { return 1e9 * (double)isa; }
