#define _GNU_SOURCE  // syscall
#include "internal.h"

#if defined(__x86_64__) && defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#endif

#if defined(__x86_64__)
/// Asks the system to let this process use the registers of tiles, which it keeps for nobody who
/// has not asked.
static bool ck_tiles_granted(void) {
#if defined(__linux__)
  enum { REQUEST_PERMISSION = 0x1023, TILE_DATA = 18 };  // of arch_prctl
  return syscall(SYS_arch_prctl, REQUEST_PERMISSION, TILE_DATA) == 0;
#else
  return false;
#endif
}
#endif

ck_isa ck_isa_best(void) {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
      __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq")) {
    if (!__builtin_cpu_supports("avx512vnni")) return CK_ISA_AVX512;
    return __builtin_cpu_supports("avx512bf16") && __builtin_cpu_supports("amx-tile") &&
                   __builtin_cpu_supports("amx-int8") && __builtin_cpu_supports("amx-bf16") &&
                   ck_tiles_granted()
               ? CK_ISA_AVX512_AMX : CK_ISA_AVX512_VNNI;
  }
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
      __builtin_cpu_supports("f16c"))
    return CK_ISA_AVX2;
#endif
  return CK_ISA_PORTABLE;
}

const ck_kernels *ck_kernels_for(ck_isa isa) {
#if defined(__x86_64__)
  if (isa == CK_ISA_AVX512_AMX) return &ck_kernels_avx512amx;
  if (isa == CK_ISA_AVX512_VNNI) return &ck_kernels_avx512vnni;
  if (isa == CK_ISA_AVX512) return &ck_kernels_avx512;
  if (isa == CK_ISA_AVX2) return &ck_kernels_avx2;
#endif
  (void)isa;
  return &ck_kernels_portable;
}

double ck_fma_rate(ck_isa isa) { return ck_kernels_for(isa)->fma_rate(); }
double ck_half_rate(ck_isa isa) { return ck_kernels_for(isa)->half_rate(); }
double ck_whole_rate(ck_isa isa) { return ck_kernels_for(isa)->whole_rate(); }
