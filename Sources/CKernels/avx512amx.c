#include "internal.h"

#if defined(__x86_64__)
#include <immintrin.h>

#pragma clang attribute push( \
    __attribute__((target( \
        "avx512f,avx512vl,avx512bw,avx512dq,avx512vnni,avx512bf16,amx-tile,amx-int8,amx-bf16," \
        "fma"))), \
    apply_to = function)
#define SET(name) name##_avx512amx
#define DOT_VNNI
#define MATRIX_TILES
#define WIDTH 16
#define TILE_ROWS 14
#define WIDE_ROWS 6
#include "set.h"
#pragma clang attribute pop
#endif
