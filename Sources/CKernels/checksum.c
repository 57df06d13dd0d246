#include <string.h>

#include "CKernels.h"

enum { lanes = 64 };

// The linker chooses a clone before ThreadSanitizer, which looks into that, has begun.
#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define ONE_SET
#endif
#endif

// Whole numbers alone, which are the same however wide the registers are.
#if defined(__x86_64__) && defined(__GLIBC__) && !defined(ONE_SET)
#define EACH_SET __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define EACH_SET
#endif

// Each lane takes in every 64th value by a step that no two inputs end alike.
EACH_SET
uint64_t ck_checksum(const float *values, size_t count) {
  uint32_t state[lanes];
  for (int lane = 0; lane < lanes; lane++) state[lane] = 2166136261u + (uint32_t)lane;
  size_t whole = count / lanes * lanes;
  for (size_t i = 0; i < whole; i += lanes) {
    uint32_t bits[lanes];
    memcpy(bits, values + i, sizeof bits);
    for (int lane = 0; lane < lanes; lane++) {
      uint32_t mixed = (state[lane] ^ bits[lane]) * 0x9E3779B1u;
      state[lane] = mixed ^ mixed >> 15;
    }
  }
  for (size_t i = whole; i < count; i++) {
    uint32_t bits;
    memcpy(&bits, values + i, sizeof bits);
    uint32_t mixed = (state[i - whole] ^ bits) * 0x9E3779B1u;
    state[i - whole] = mixed ^ mixed >> 15;
  }
  uint64_t sum = count;
  for (int lane = 0; lane < lanes; lane++) {
    sum = (sum ^ state[lane]) * 0x9E3779B97F4A7C15u;
    sum ^= sum >> 29;
  }
  return sum;
}
