// Weighted sums of pixels, and pixels into planes of floats. Sums are whole numbers below 2³¹, so
// that lanes change nothing; on x86 the same code is built a second time for AVX2.
#include "CImages.h"

#include <string.h>

enum { BITS = COMD_RESAMPLE_BITS, HALF = 1 << (BITS - 1), WIDE = 16, PIXEL = 4, BLOCK = 4 };

typedef int32_t wide __attribute__((vector_size(WIDE * 4)));
typedef uint8_t wide_bytes __attribute__((vector_size(WIDE)));
typedef int32_t pair __attribute__((vector_size(2 * PIXEL * 4)));
typedef uint8_t pair_bytes __attribute__((vector_size(2 * PIXEL)));

#define INLINE static inline __attribute__((always_inline))

INLINE uint8_t level(int32_t sum) {
  const int32_t value = sum >> BITS;
  return (uint8_t)(value < 0 ? 0 : value > 255 ? 255 : value);
}

// One pixel of one row: the sums of its three channels.
INLINE void weigh_pixel(uint8_t *target, const uint8_t *source, const int32_t *weights, int taps) {
  int32_t red = HALF, green = HALF, blue = HALF;
  for (int tap = 0; tap < taps; tap++, source += 3) {
    red += source[0] * weights[tap];
    green += source[1] * weights[tap];
    blue += source[2] * weights[tap];
  }
  target[0] = level(red);
  target[1] = level(green);
  target[2] = level(blue);
}

INLINE void across(
    uint8_t *target, const uint8_t *source, size_t width, size_t height, const comd_taps *taps) {
  const size_t row = 3 * width, new_row = 3 * taps->positions;
  size_t y = 0;
  // Two rows at a time, each pixel read with the byte behind it; the last row has none there.
  for (; y + 2 < height; y += 2, source += 2 * row, target += 2 * new_row) {
    for (size_t x = 0; x < taps->positions; x++) {
      const int32_t *weights = taps->weights + x * taps->stride;
      const uint8_t *from = source + 3 * (size_t)taps->starts[x];
      pair sum = {HALF, HALF, HALF, HALF, HALF, HALF, HALF, HALF};
      for (int32_t tap = 0; tap < taps->counts[x]; tap++, from += 3) {
        pair_bytes bytes;
        memcpy(&bytes, from, PIXEL);
        memcpy((uint8_t *)&bytes + PIXEL, from + row, PIXEL);
        sum += __builtin_convertvector(bytes, pair) * weights[tap];
      }
      for (int channel = 0; channel < 3; channel++) {
        target[3 * x + channel] = level(sum[channel]);
        target[new_row + 3 * x + channel] = level(sum[PIXEL + channel]);
      }
    }
  }
  for (; y < height; y++, source += row, target += new_row)
    for (size_t x = 0; x < taps->positions; x++)
      weigh_pixel(
          target + 3 * x, source + 3 * (size_t)taps->starts[x], taps->weights + x * taps->stride,
          taps->counts[x]);
}

INLINE void down(uint8_t *target, const uint8_t *source, size_t row, const comd_taps *taps) {
  for (size_t y = 0; y < taps->positions; y++, target += row) {
    const int32_t *weights = taps->weights + y * taps->stride;
    const uint8_t *rows = source + (size_t)taps->starts[y] * row;
    size_t column = 0;
    for (; column + BLOCK * WIDE <= row; column += BLOCK * WIDE) {
      wide sums[BLOCK];
      for (int block = 0; block < BLOCK; block++) sums[block] = (wide){0} + HALF;
      for (int32_t tap = 0; tap < taps->counts[y]; tap++) {
        const uint8_t *from = rows + (size_t)tap * row + column;
        for (int block = 0; block < BLOCK; block++) {
          wide_bytes bytes;
          memcpy(&bytes, from + block * WIDE, WIDE);
          sums[block] += __builtin_convertvector(bytes, wide) * weights[tap];
        }
      }
      for (int block = 0; block < BLOCK; block++) {
        wide value = sums[block] >> BITS;
        value &= ~(value >> 31);  // below 0: 0
        value |= (255 - value) >> 31;  // above 255: all bits, of which the lowest 8 are kept
        const wide_bytes bytes = __builtin_convertvector(value, wide_bytes);
        memcpy(target + column + block * WIDE, &bytes, WIDE);
      }
    }
    for (; column < row; column++) {
      int32_t sum = HALF;
      for (int32_t tap = 0; tap < taps->counts[y]; tap++)
        sum += rows[(size_t)tap * row + column] * weights[tap];
      target[column] = level(sum);
    }
  }
}

#if defined(__x86_64__)
__attribute__((target("avx2"))) static void across_avx2(
    uint8_t *target, const uint8_t *source, size_t width, size_t height, const comd_taps *taps) {
  across(target, source, width, height, taps);
}
__attribute__((target("avx2"))) static void down_avx2(
    uint8_t *target, const uint8_t *source, size_t row, const comd_taps *taps) {
  down(target, source, row, taps);
}
#endif

void comd_resample_across(
    uint8_t *target, const uint8_t *source, size_t width, size_t height, const comd_taps *taps) {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx2")) return across_avx2(target, source, width, height, taps);
#endif
  across(target, source, width, height, taps);
}

void comd_resample_down(
    uint8_t *target, const uint8_t *source, size_t row_bytes, const comd_taps *taps) {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx2")) return down_avx2(target, source, row_bytes, taps);
#endif
  down(target, source, row_bytes, taps);
}

void comd_planes(float *target, const uint8_t *rgb, size_t pixels, const float *levels) {
  float *red = target, *green = target + pixels, *blue = target + 2 * pixels;
  for (size_t pixel = 0; pixel < pixels; pixel++, rgb += 3) {
    red[pixel] = levels[rgb[0]];
    green[pixel] = levels[256 + rgb[1]];
    blue[pixel] = levels[512 + rgb[2]];
  }
}
