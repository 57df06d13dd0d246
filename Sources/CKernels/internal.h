#ifndef COMD_CKERNELS_INTERNAL_H
#define COMD_CKERNELS_INTERNAL_H

#include <math.h>
#include <string.h>
#include <time.h>

#include "CKernels.h"

/// Memory of one thread, grown on demand and kept.
typedef struct {
  float *data;
  size_t count;
} ck_buffer;

/// At least `count` floats, aligned to 64 bytes, holding anything. Stops the process when memory
/// is out, as Swift's own allocations do.
float *ck_buffer_reserve(ck_buffer *buffer, size_t count);

typedef struct {
  ck_buffer packed_a, packed_b, scores, tiles;
} ck_workspace;

enum {
  /// Terms of a group in products of bf16, and columns of a panel.
  CK_HALF_GROUP = 32,
  CK_HALF_PANEL = 16,
  /// Rows that are multiplied with codes directly: for more of them, decoding once pays.
  CK_CODE_ROWS = 4,
};

/// Terms that a row of such a product is filled up to.
static inline size_t ck_half_terms(size_t k) {
  return (k + CK_HALF_GROUP - 1) / CK_HALF_GROUP * CK_HALF_GROUP;
}

/// What a product of bf16 multiplies: strips [strip, strips_end) of rows of op(A) with panels
/// [panel, panels_end) of op(B), which `half_rows` and `half_panels` packed.
typedef struct {
  const ck_product *product;
  const void *strips, *panels;
  size_t strip, strips_end, panel, panels_end;
  // Terms that were packed, whole groups, and the first of the product's among them.
  size_t strip_terms, strip_term, panel_terms, panel_term;
} ck_half;

/// The kernels of one instruction set. All work on [begin, end) of what the argument describes.
typedef struct {
  void (*matmul)(ck_workspace *space, const ck_product *product);
  /// Rounds tiles [begin, end) of the rows of A, `ck_dot_words` for each row, into `a`, for
  /// products whose `codes->whole` is set.
  void (*round_rows)(const ck_product *product, float *a, size_t begin, size_t end);
  /// Those tiles' rows of such a product, from `a`.
  void (*dots)(
      ck_workspace *space, const ck_product *product, float *a, size_t begin, size_t end);
  size_t dot_rows;      // of such a tile, at most
  /// Products of bf16 (halves.h): packs strips of A and panels of B, and multiplies them.
  void (*half_rows)(const ck_product *product, void *strips, size_t begin, size_t end);
  void (*half_panels)(const ck_product *product, void *panels, size_t begin, size_t end);
  void (*half_product)(const ck_half *work);
  size_t half_strip, half_bytes;  // rows of a strip, and bytes of each of its numbers
  /// The same with weights in codes: a whole product of at most CK_CODE_ROWS rows, and panels.
  void (*half_code_rows)(ck_workspace *space, const ck_product *product);
  void (*half_code_panels)(const ck_product *product, void *panels);
  /// Packs the terms [begin, end) of op(B) as floats; `begin` and all `end`s but k are multiples of
  /// the even depth.
  void (*pack)(const ck_product *product, void *panels, size_t begin, size_t end);
  size_t panel, depth;  // columns of a packed panel, and its terms at most
  void (*elements)(const ck_elements *work, size_t begin, size_t end);
  void (*adamw)(const ck_adamw *step, size_t begin, size_t end);
  double (*squares)(const float *x, size_t count);
  void (*rows)(const ck_rows *work, size_t begin, size_t end);
  void (*columns)(const ck_columns *work, size_t begin, size_t end);
  void (*rotate)(const ck_rotation *work, size_t begin, size_t end);
  void (*argmax)(const ck_argmax *work, size_t begin, size_t end);
  double (*cross_entropy)(const ck_cross_entropy *work, size_t row);
  void (*attention)(
      ck_workspace *space, const ck_attention *work, const ck_attention_piece *piece,
      size_t kv_head, size_t begin, size_t end);
  /// With `half`, before: packs all that `attention` and `attention_back` read of one key head.
  void (*pack_half_sides)(
      ck_workspace *space, const ck_attention *work, const ck_attention_piece *piece,
      size_t kv_head);
  void (*into_pages)(
      const ck_attention *work, const ck_attention_piece *piece, size_t kv_head);
  void (*attention_back)(
      ck_workspace *space, const ck_attention *work, const ck_attention_piece *piece,
      size_t kv_head, size_t begin, size_t end);
  double (*fma_rate)(void);
  double (*half_rate)(void);
  double (*whole_rate)(void);
} ck_kernels;

extern const ck_kernels ck_kernels_portable;
#if defined(__x86_64__)
extern const ck_kernels ck_kernels_avx2;
extern const ck_kernels ck_kernels_avx512;
extern const ck_kernels ck_kernels_avx512vnni;
extern const ck_kernels ck_kernels_avx512amx;
#endif

const ck_kernels *ck_kernels_for(ck_isa isa);

/// Terms of each block of a sum of `k`, the last may have fewer: whole groups of codes, about
/// equally many, as each block costs a pass over C.
static inline size_t ck_even_depth(size_t k, size_t most) {
  const size_t blocks = (k + most - 1) / most;
  if (blocks < 2) return most;
  const size_t depth = (k + blocks - 1) / blocks;
  return (depth + CODE_GROUP - 1) / CODE_GROUP * CODE_GROUP;
}

/// Sides of a key head that are packed for one call: keys and values, and backward keys once more.
static inline size_t ck_half_sides(const ck_attention_piece *piece) { return piece->d_out ? 3 : 2; }

/// Bytes of one side of a piece without pages.
static inline size_t ck_half_piece_bytes(
    const ck_attention *work, const ck_attention_piece *piece) {
  return ck_half_side_bytes(piece->prefix + piece->own, work->size);
}

/// 32-bit words that a row of A takes in 8 bits: the scales of CODE_NEST terms each, the sums of
/// blocks, and the terms.
static inline size_t ck_dot_words(const ck_product *product) {
  const size_t k = product->k;
  return (k + CODE_NEST - 1) / CODE_NEST + k / product->codes->block + k / 4;
}

/// Query rows of one attention task: their heads that share a key fill about 64 score rows.
static inline size_t ck_attention_tile(const ck_attention *work) {
  const size_t group = work->heads / work->kv_heads;
  return group >= 64 ? 1 : 64 / group;
}

// Panels of codes are made of units: CODE_GROUP terms, or CODE_NEST where scales are nested. A
// unit's head has, nested, the f16 numbers of its scales and of its offsets; then, block by block,
// the scales and the offsets. Behind the head are the codes, four terms ("a quad") of each column
// side by side. Of fewer than 8 bits the four lower ones come first, those of the first half of
// the columns in low nibbles, of the second in high ones; then a plane for each further bit, in
// the order in which bytes would be.

static inline size_t ck_unit_terms(const ck_codes *codes) {
  return codes->scales == CK_SCALES_NESTED ? CODE_NEST : CODE_GROUP;
}

/// Bytes of one block's scales, offsets not counted.
static inline size_t ck_scales_bytes(const ck_codes *codes, size_t panel) {
  return codes->scales == CK_SCALES_F32 ? 4 * panel
         : codes->scales == CK_SCALES_F16 ? 2 * panel : panel;
}

/// Where a unit's scales of a block are (which = 0), or its offsets (1).
static inline size_t ck_scales_place(
    const ck_codes *codes, size_t panel, size_t block, size_t which) {
  const size_t arrays = codes->offsets ? 2 : 1;
  const size_t nests = codes->scales == CK_SCALES_NESTED ? arrays * 2 * panel : 0;
  return nests + (block * arrays + which) * ck_scales_bytes(codes, panel);
}

static inline size_t ck_unit_head(const ck_codes *codes, size_t panel) {
  return ck_scales_place(codes, panel, ck_unit_terms(codes) / codes->block, 0);
}

static inline size_t ck_unit_bytes(const ck_codes *codes, size_t panel) {
  return ck_unit_head(codes, panel) + ck_unit_terms(codes) * panel / 8 * (size_t)codes->bits;
}

/// Where a panel's unit begins among all, of the terms from `term` on.
static inline size_t ck_unit_place(
    const ck_codes *codes, size_t panel, size_t k, size_t column, size_t term) {
  const size_t terms = ck_unit_terms(codes);
  return (column / panel * (k / terms) + term / terms) * ck_unit_bytes(codes, panel);
}

typedef void ck_task(void *context, size_t index, ck_workspace *space);

/// Runs `task` for 0..<count, each index once, on the threads of the pool; any thread, any order.
void ck_pool_run(ck_pool *pool, size_t count, ck_task *task, void *context);
/// Several runs in a row with memory of their own: nobody else runs between `take`, which brings
/// `floats` floats, aligned to 64 bytes and holding anything, and `give`.
float *ck_pool_take(ck_pool *pool, size_t floats);
void ck_pool_step(ck_pool *pool, size_t count, ck_task *task, void *context);
void ck_pool_give(ck_pool *pool);
const ck_kernels *ck_pool_kernels(const ck_pool *pool);
int ck_pool_threads(const ck_pool *pool);

/// Natural logarithm of a positive normal number, the same bits everywhere (libm's are not).
double ck_log(double x);

#endif
