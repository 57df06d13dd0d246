// Floats rounded to bf16 for products, alone and in pairs. Subnormal ones become 0. Included by
// each set.

typedef u16 u16_unaligned __attribute__((aligned(2)));

/// Sixteen numbers rounded to bf16, as floats.
INLINE v16 half16(v16 x) {
  const u16 bits = (u16)x;
  return (v16)((bits & 0x7f800000) == 0 ? bits & 0x80000000 : (u16)rounded16(x));
}

#if defined(MATRIX_TILES)
/// Thirty-two, in order.
INLINE __m512i halves32(v16 first, v16 second) {
  return (__m512i)_mm512_cvtne2ps_pbh((__m512)second, (__m512)first);
}

/// Sixteen pairs.
INLINE u16 pairs16(v16 even, v16 odd) {
  const __m512i order = (__m512i)(u16){
      0x100000, 0x110001, 0x120002, 0x130003, 0x140004, 0x150005, 0x160006, 0x170007,
      0x180008, 0x190009, 0x1a000a, 0x1b000b, 0x1c000c, 0x1d000d, 0x1e000e, 0x1f000f};
  return (u16)_mm512_permutexvar_epi16(order, halves32(even, odd));
}
#else
INLINE u16 pairs16(v16 even, v16 odd) {
  return (u16)half16(even) >> 16 | (u16)half16(odd);
}
#endif

/// The same with a register's lanes.
INLINE vf half_floats(vf x) {
  const vu bits = (vu)x, near = bits + 0x7fff + ((bits >> 16) & 1);
  const vu whole = (x == x ? near : bits | 0x400000) & 0xffff0000;
  return (vf)((bits & 0x7f800000) == 0 ? bits & 0x80000000 : whole);
}

/// Pairs of a register's lanes.
INLINE vu half_pairs(vf even, vf odd) {
#if WIDTH == 16
  return (vu)pairs16((v16)even, (v16)odd);
#else
  return (vu)half_floats(even) >> 16 | (vu)half_floats(odd);
#endif
}

/// Rounds two registers.
INLINE void round_both(vf *even, vf *odd) {
#if defined(MATRIX_TILES)
  const vu pairs = half_pairs(*even, *odd);
  *even = (vf)(pairs << 16);
  *odd = (vf)(pairs & 0xffff0000);
#else
  *even = half_floats(*even);
  *odd = half_floats(*odd);
#endif
}

/// Subnormal numbers count as 0 on this thread until `flush_end`.
INLINE uint64_t flush_begin(void) {
#if defined(__SSE__)
  const uint32_t before = __builtin_ia32_stmxcsr(), flushing = before | 0x8040;
  __asm__ volatile("ldmxcsr %0" : : "m"(flushing) : "memory");
  return before;
#elif defined(__aarch64__)
  uint64_t before;
  __asm__ volatile("mrs %0, fpcr" : "=r"(before));
  __asm__ volatile("msr fpcr, %0" : : "r"(before | 1 << 24) : "memory");
  return before;
#else
  return 0;
#endif
}

INLINE void flush_end(uint64_t before) {
#if defined(__SSE__)
  const uint32_t word = (uint32_t)before;
  __asm__ volatile("ldmxcsr %0" : : "m"(word) : "memory");
#elif defined(__aarch64__)
  __asm__ volatile("msr fpcr, %0" : : "r"(before) : "memory");
#else
  (void)before;
#endif
}
