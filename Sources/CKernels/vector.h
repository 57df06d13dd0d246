// Sixteen floats at a time, included once per instruction set. Every operation is one IEEE
// operation per element and no sum is reassociated, so the bits are the same with each set.
#include "internal.h"

#pragma STDC FP_CONTRACT OFF
// Vectors wider than the registers are only passed between functions that are inlined.
#pragma clang diagnostic ignored "-Wpsabi"

#define INLINE static inline __attribute__((always_inline))

typedef float v16 __attribute__((ext_vector_type(16)));
typedef int32_t i16 __attribute__((ext_vector_type(16)));
typedef float v16_unaligned __attribute__((ext_vector_type(16), aligned(4)));

enum { LANES = 16 };

INLINE v16 fma16(v16 a, v16 b, v16 c) { return __builtin_elementwise_fma(a, b, c); }
INLINE v16 sqrt16(v16 x) { return __builtin_elementwise_sqrt(x); }
INLINE v16 abs16(v16 x) { return __builtin_elementwise_abs(x); }
INLINE v16 all16(float x) { return (v16)(x); }

/// n ≤ 16 floats; the lanes beyond are 0.
INLINE v16 load16(const float *x, size_t n) {
  if (n == LANES) return *(const v16_unaligned *)x;
  v16 value = 0;
  memcpy(&value, x, n * sizeof(float));
  return value;
}

INLINE void store16(float *x, size_t n, v16 value) {
  if (n == LANES)
    *(v16_unaligned *)x = value;
  else
    memcpy(x, &value, n * sizeof(float));
}

typedef uint32_t u16 __attribute__((ext_vector_type(16)));

/// To the nearest bf16, ties to even; what is not a number stays none.
INLINE v16 rounded16(v16 x) {
  const u16 bits = (u16)x;
  const u16 near = bits + 0x7fff + ((bits >> 16) & 1);
  return (v16)((x == x ? near : bits | 0x400000) & 0xffff0000);
}

/// The lanes added as a tree of halves.
INLINE float sum16(v16 x) {
  __attribute__((ext_vector_type(8))) float a = x.lo + x.hi;
  __attribute__((ext_vector_type(4))) float b = a.lo + a.hi;
  __attribute__((ext_vector_type(2))) float c = b.lo + b.hi;
  return c.x + c.y;
}

/// e^x within 1 ulp or so; 0 below about −103.97, ∞ above 88.73, subnormals included.
///
/// x = n·ln 2 + r with ln 2 in two parts; e^r by its Taylor polynomial of degree 7, whose rest is
/// below 6e-9 for |r| ≤ ln 2 / 2; 2^n in two factors, so that neither leaves the range.
INLINE v16 exp16(v16 x) {
  x = x > 89.0f ? all16(89.0f) : x;
  x = x < -105.0f ? all16(-105.0f) : x;
  const float round = 0x1.8p23f;  // adding and subtracting it rounds to an integer
  v16 shifted = fma16(x, all16(0x1.715476p0f), all16(round));
  v16 n = shifted - round;
  v16 r = fma16(n, all16(-0x1.62e4p-1f), x);
  r = fma16(n, all16(-0x1.7f7d1cp-20f), r);
  v16 p = all16(1.0f / 5040);
  p = fma16(p, r, all16(1.0f / 720));
  p = fma16(p, r, all16(1.0f / 120));
  p = fma16(p, r, all16(1.0f / 24));
  p = fma16(p, r, all16(1.0f / 6));
  p = fma16(p, r, all16(0.5f));
  p = fma16(p, r, all16(1));
  p = fma16(p, r, all16(1));
  i16 power = __builtin_bit_cast(i16, shifted) - __builtin_bit_cast(int32_t, round);
  i16 half = power >> 1;
  v16 first = __builtin_bit_cast(v16, (half + 127) << 23);
  v16 second = __builtin_bit_cast(v16, (power - half + 127) << 23);
  return p * first * second;
}

/// 1 / (1 + e^−x)
INLINE v16 sigmoid16(v16 x) { return all16(1) / (all16(1) + exp16(-x)); }

/// The normal distribution's Φ(x), and e^(−x²/2) beside it.
///
/// The upper tail is e^(−x²/2) · t · P(t) with t = 1 / (1 + 0.3 |x|); P of degree 9 was fitted to
/// 4e-9 of the tail for |x| ≤ 14 (beyond, f32 holds 0). The square's rounding error is put back,
/// or the exponential would multiply it.
INLINE v16 normal16(v16 x, v16 *bell) {
  v16 a = abs16(x);
  a = a > 20.0f ? all16(20) : a;  // there the tail is 0 already
  v16 half = a * 0.5f;
  v16 square = half * a;
  v16 rest = fma16(half, a, -square);
  v16 e = exp16(-square);
  e = fma16(-rest, e, e);
  v16 t = all16(1) / fma16(a, all16(0.3f), all16(1));
  v16 p = all16(-2.061294598e-02f);
  p = fma16(p, t, all16(1.123764146e-01f));
  p = fma16(p, t, all16(-2.280690159e-01f));
  p = fma16(p, t, all16(1.915837044e-01f));
  p = fma16(p, t, all16(-7.924901525e-02f));
  p = fma16(p, t, all16(9.605872966e-02f));
  p = fma16(p, t, all16(7.842526857e-02f));
  p = fma16(p, t, all16(1.102273904e-01f));
  p = fma16(p, t, all16(1.195728332e-01f));
  p = fma16(p, t, all16(1.196866345e-01f));
  v16 tail = e * t * p;
  *bell = e;
  return x > 0.0f ? all16(1) - tail : tail;
}
