#include <math.h>

#include "internal.h"

#pragma STDC FP_CONTRACT OFF

// x = m · 2^e with m in [√½, √2); log m = 2 artanh s with s = (m − 1) / (m + 1), |s| ≤ 0.1716, by
// its series up to s^21, whose rest is below 1e-18. Plain IEEE operations, so equal everywhere.
double ck_log(double x) {
  int e;
  double m = frexp(x, &e);
  if (m < 0.70710678118654752440) {
    m *= 2;
    e -= 1;
  }
  const double s = (m - 1) / (m + 1);
  const double square = s * s;
  double series = 0;
  for (int i = 21; i >= 3; i -= 2) series = (series + 1.0 / i) * square;
  return (double)e * 0.69314718055994530942 + 2 * s * (1 + series);
}
