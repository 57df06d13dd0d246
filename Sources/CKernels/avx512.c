#include "internal.h"

#if defined(__x86_64__)
#include <immintrin.h>

#pragma clang attribute push( \
    __attribute__((target("avx512f,avx512vl,avx512bw,avx512dq,fma"))), apply_to = function)
#define SET(name) name##_avx512
#define DOT_AVX512
#define WIDTH 16
#define TILE_ROWS 14
#define WIDE_ROWS 6
#include "set.h"
#pragma clang attribute pop
#endif
