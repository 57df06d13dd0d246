#include "internal.h"

ck_isa ck_isa_best(void) {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
      __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq"))
    return __builtin_cpu_supports("avx512vnni") ? CK_ISA_AVX512_VNNI : CK_ISA_AVX512;
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
      __builtin_cpu_supports("f16c"))
    return CK_ISA_AVX2;
#endif
  return CK_ISA_PORTABLE;
}

const ck_kernels *ck_kernels_for(ck_isa isa) {
#if defined(__x86_64__)
  if (isa == CK_ISA_AVX512_VNNI) return &ck_kernels_avx512vnni;
  if (isa == CK_ISA_AVX512) return &ck_kernels_avx512;
  if (isa == CK_ISA_AVX2) return &ck_kernels_avx2;
#endif
  (void)isa;
  return &ck_kernels_portable;
}

double ck_fma_rate(ck_isa isa) { return ck_kernels_for(isa)->fma_rate(); }
