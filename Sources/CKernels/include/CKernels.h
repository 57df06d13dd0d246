#ifndef COMD_CKERNELS_H
#define COMD_CKERNELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/// Vector instructions, slowest first.
typedef enum { CK_ISA_PORTABLE = 0, CK_ISA_AVX2 = 1, CK_ISA_AVX512 = 2 } ck_isa;

/// The best that this processor and its operating system support.
ck_isa ck_isa_best(void);

/// Threads that share tasks: the caller and `threads - 1` of the pool's own.
typedef struct ck_pool ck_pool;

/// NULL when the operating system gives no more threads or memory.
ck_pool *ck_pool_create(int threads, ck_isa isa);
void ck_pool_destroy(ck_pool *pool);

/// Fused multiply-adds of registers on this thread for a few milliseconds, in FLOP/s.
double ck_fma_rate(ck_isa isa);

#endif
