// The roof: fused multiply-adds of registers alone. Included by each set.

static double fma_rate(void) {
  // Enough independent chains to hide the latency of two units.
  enum { CHAINS = 12, ROUNDS = 200000 };
  vf chain[CHAINS];
  for (int i = 0; i < CHAINS; i++) chain[i] = (vf)((float)i);
  volatile float seed = 0.5f;
  const vf factor = (vf)(seed), term = (vf)(seed);
  struct timespec begin, end;
  clock_gettime(CLOCK_MONOTONIC, &begin);
  for (int round = 0; round < ROUNDS; round++) {
#pragma clang loop unroll(full)
    for (int i = 0; i < CHAINS; i++) chain[i] = __builtin_elementwise_fma(chain[i], factor, term);
  }
  clock_gettime(CLOCK_MONOTONIC, &end);
  vf sum = (vf)(0);
  for (int i = 0; i < CHAINS; i++) sum += chain[i];
  volatile float sink = sum[0];
  (void)sink;
  const double seconds =
      (double)(end.tv_sec - begin.tv_sec) + 1e-9 * (double)(end.tv_nsec - begin.tv_nsec);
  return 2.0 * WIDTH * CHAINS * ROUNDS / seconds;
}
