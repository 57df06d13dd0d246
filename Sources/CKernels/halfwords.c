#include <string.h>

#include "CKernels.h"

void ck_halves_pack(void *to, const float *from, size_t count) {
  char *target = to;
  for (size_t i = 0; i < count; i++) {
    uint32_t bits;
    memcpy(&bits, from + i, sizeof bits);
    const uint16_t half = (uint16_t)(bits >> 16);
    memcpy(target + 2 * i, &half, sizeof half);
  }
}

void ck_halves_unpack(float *to, const void *from, size_t count) {
  const char *source = from;
  for (size_t i = 0; i < count; i++) {
    uint16_t half;
    memcpy(&half, source + 2 * i, sizeof half);
    const uint32_t bits = (uint32_t)half << 16;
    memcpy(to + i, &bits, sizeof bits);
  }
}
