#ifndef COMD_COPENBLAS_H
#define COMD_COPENBLAS_H

#include <stdbool.h>
#include <stddef.h>

/// OpenBLAS, loaded at run time: its kernels are chosen in its constructor, from an environment
/// variable that must be set before.
typedef struct {
  void (*sgemm)(
      int order, int transpose_a, int transpose_b, int m, int n, int k, float alpha, const float *a,
      int lda, const float *b, int ldb, float beta, float *c, int ldc);
  const char *core;    // the kernels that it runs
  const char *config;  // its version and build
} comd_openblas;

/// Loads the library once for the process, with its threads off.
///
/// - prefer: the core type to ask for unless the environment names one; NULL: its own choice.
/// - reason: what is missing, when NULL is returned.
const comd_openblas *comd_openblas_load(const char *prefer, const char **reason);

#endif
