#include "internal.h"

#if defined(__x86_64__)
#include <immintrin.h>

#pragma clang attribute push(__attribute__((target("avx2,fma,f16c"))), apply_to = function)
#define SET(name) name##_avx2
#define DOT_AVX2
#define WIDTH 8
#define TILE_ROWS 6
#define WIDE_ROWS 3
#include "set.h"
#pragma clang attribute pop
#endif
