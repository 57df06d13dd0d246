#ifndef COMD_CKERNELS_H
#define COMD_CKERNELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// The C side of the room `Kernels`, which documents and checks what is asked for here; nothing
// else calls these. All matrices are row-major f32; "ld" is the distance between rows in floats.

/// Vector instructions, slowest first.
typedef enum {
  CK_ISA_PORTABLE = 0,
  CK_ISA_AVX2 = 1,
  CK_ISA_AVX512 = 2,
  CK_ISA_AVX512_VNNI = 3,
  CK_ISA_AVX512_AMX = 4,
} ck_isa;

/// The best that this processor and its operating system support.
ck_isa ck_isa_best(void);

/// Threads that share the tasks of one call: the caller and `threads - 1` of the pool's own.
/// Calls from several threads on one pool take turns.
typedef struct ck_pool ck_pool;

/// Pinned, each of the pool's own threads stays on one core: the second that this process may use,
/// the third, and so on; Linux alone does so. The caller goes where the system puts it.
/// NULL when the operating system gives no more threads or memory, or will not pin.
ck_pool *ck_pool_create(int threads, ck_isa isa, bool pinned);
void ck_pool_destroy(ck_pool *pool);

/// Multiply-adds of registers on this thread for a few milliseconds, in FLOP/s: of f32, of bf16,
/// and of whole numbers of 8 bits.
double ck_fma_rate(ck_isa isa);
double ck_half_rate(ck_isa isa);
double ck_whole_rate(ck_isa isa);

/// Terms whose codes lie together, and terms that share the scale of nested scales.
enum { CODE_GROUP = 32, CODE_NEST = 256 };

/// How the scales of blocks, and their offsets, are kept.
typedef enum {
  CK_SCALES_F32,
  CK_SCALES_F16,
  /// A whole number −128…127 for each block, times an f16 number for each CODE_NEST terms.
  CK_SCALES_NESTED,
} ck_scales;

/// The weights W of a product with op(B) = Wᵀ in codes of few bits: w = scale · code + offset, a
/// scale and an offset for each `block` terms of a row of W.
typedef struct {
  int bits;        // 8: codes −128…127; 4, 5, 6: 0…2^bits−1, less 2^(bits−1) without offsets
  size_t block;    // 16 (6 bits only) or 32
  bool offsets;    // without: w = scale · code
  ck_scales scales;
  bool whole;      // A is rounded to 8 bits, and products are of whole numbers; `bf16` is not read
  uint8_t *panels; // as `ck_codes_place` lays them out
} ck_codes;

/// C (m, n) = op(A) · op(B), or += with `accumulate`, or + bias.
typedef struct {
  size_t m, n, k;
  const float *a;
  const float *b;
  const float *bias;  // (n), with which each row's sums begin; NULL: none. Not with `accumulate`
  float *c;
  size_t lda, ldb, ldc;
  bool transpose_a, transpose_b, accumulate;
  bool bf16;  // A and B are rounded to bf16, and summed in f32 as halves.h says
  // op(B) as `ck_pack` laid it out, instead of `b`; NULL: it is read from `b`.
  const void *panels;
  // The same in codes; NULL: it is not.
  const ck_codes *codes;
  size_t panel_columns, first_column;  // set by ck_matmul
} ck_product;

void ck_matmul(ck_pool *pool, const ck_product *product);

/// Bytes that `ck_pack` writes for op(B) of (k, n).
size_t ck_packed_bytes(const ck_pool *pool, size_t n, size_t k, bool bf16);
/// Bytes of `panels` for W of (n, k), k a multiple of CODE_GROUP, and of CODE_NEST where scales are
/// nested; all 0 at first.
size_t ck_codes_bytes(const ck_pool *pool, const ck_codes *codes, size_t n, size_t k);

/// A row of W: k codes (each in a byte); k / block scales and offsets, or, nested,
/// k / CODE_NEST of each and k / block steps of each. What is kept as f16 is a number of f16.
typedef struct {
  const uint8_t *codes;
  const float *scales, *offsets;
  const int8_t *scale_steps, *offset_steps;
} ck_coded_row;

/// Puts a row of W into the panels.
void ck_codes_place(
    const ck_pool *pool, const ck_codes *codes, size_t k, size_t row, const ck_coded_row *values);

/// A row of W, decoded: k floats.
void ck_codes_row(
    const ck_pool *pool, const ck_codes *codes, size_t k, size_t row, float *values);

/// A row of W, which `ck_pack` laid out as op(B) = Wᵀ of (k, n): k floats.
void ck_packed_row(
    const ck_pool *pool, size_t n, size_t k, bool bf16, size_t row, const void *panels,
    float *values);

/// Lays op(B), which n, k, b, ldb, transpose_b and bf16 describe, out in panels, for this pool
/// alone.
void ck_pack(ck_pool *pool, const ck_product *product, void *panels);

typedef enum {
  CK_ADD,          // out0 += in0
  CK_SUM,          // out0 = in0 + in1
  CK_ADD_SCALED,   // out0 += factor · in0
  CK_SCALE,        // out0 *= factor
  CK_SILU,         // out0 = f(in0), also the three below
  CK_GELU,
  CK_GELU_TANH,
  CK_QUICK_GELU,
  CK_SILU_BACK,    // out0 = in1 · f'(in0), also the three below
  CK_GELU_BACK,
  CK_GELU_TANH_BACK,
  CK_QUICK_GELU_BACK,
  CK_GATED,        // out0 = silu(in0) · in1
  CK_GATED_BACK,   // out0 = in2 · in1 · silu'(in0), out1 = in2 · silu(in0)
  CK_GATED_GELU,   // the same two with gelu_tanh for silu
  CK_GATED_GELU_BACK,
  CK_EXP,          // out0 = exp(in0)
  CK_ROUND,        // out0 = in0 as the nearest bf16
} ck_element_operation;

/// One operation on `count` elements of each array.
typedef struct {
  ck_element_operation operation;
  size_t count;
  float *out0, *out1;
  const float *in0, *in1, *in2;
  float factor;
} ck_elements;

void ck_elements_run(ck_pool *pool, const ck_elements *work);

/// One AdamW step; the factors are those of `adamWReference`.
typedef struct {
  size_t count;
  float *parameters, *first, *second;
  const float *gradients;
  float gradient_scale, keep1, keep2, beta2, rate, root, eps, kept;
} ck_adamw;

void ck_adamw_run(ck_pool *pool, const ck_adamw *step);

/// Σ x² in f64: blocks of 4096 elements, the blocks in order.
double ck_sum_of_squares(ck_pool *pool, const float *x, size_t count);

typedef enum {
  CK_RMS_NORM,         // out = in0 · r · weight
  CK_LAYER_NORM,       // out = (in0 − mean) · r · weight + bias
  CK_RMS_NORM_BACK,    // out (+)= derivative; in0 = x, in1 = dy; r into `moments`
  CK_LAYER_NORM_BACK,  // the same; mean and r into `moments`
  CK_SOFTMAX,          // out = softmax(in0)
  CK_ADD_TO_ROWS,      // out += weight
  CK_SCALE_COLUMNS,    // out = in0 · weight
} ck_row_operation;

/// One operation on each of `rows` rows of `columns`.
typedef struct {
  ck_row_operation operation;
  size_t rows, columns;
  float *out;
  const float *in0, *in1;
  const float *weight, *bias;
  float plus;  // of RMS norms: what is added to each weight
  float eps;
  bool accumulate;
  float *moments;  // set by ck_norm_backward: (rows, 2), mean and r of each row
} ck_rows;

void ck_rows_run(ck_pool *pool, const ck_rows *work);

/// A BACK operation, and the sums over its rows: d_weight += dy · (x − mean) · r, d_bias += dy;
/// both may be NULL.
void ck_norm_backward(ck_pool *pool, const ck_rows *work, float *d_weight, float *d_bias);

/// Σ over rows, in row order, into each column:
/// sums += dy, and products += dy · (x − mean) · r; both may be NULL, `moments` too (0 and 1).
typedef struct {
  size_t rows, columns;
  float *sums, *products;
  const float *dy, *x;
  const float *moments;
} ck_columns;

void ck_columns_run(ck_pool *pool, const ck_columns *work);

/// The place of the largest number of each row, the first of equals; 0 when none is a number.
typedef struct {
  size_t rows, columns;
  const float *x;
  int32_t *places;
} ck_argmax;

void ck_argmax_run(ck_pool *pool, const ck_argmax *work);

/// Turns pairs of each head: halves (i, i + size/2) or neighbours (2i, 2i + 1).
typedef struct {
  size_t rows, heads, size;
  float *x;
  const int32_t *positions;
  const float *cosines, *sines;  // (positions, size / 2)
  bool interleaved, inverse;
} ck_rotation;

void ck_rotate(ck_pool *pool, const ck_rotation *work);

/// Softmax cross-entropy by rows; gradient may be NULL or `logits`.
typedef struct {
  size_t rows, columns;
  const float *logits;
  float *gradient;
  const int32_t *targets;
  const bool *counted;
} ck_cross_entropy;

/// The losses of the counted rows, added in row order.
double ck_cross_entropy_run(ck_pool *pool, const ck_cross_entropy *work);

/// A run of query rows and the keys and values that they see: `prefix` rows, then of the `own`
/// rows either all or (causal) those up to the query's own place, `first` + its index.
///
/// Or (causal, forward only) new rows of a sequence whose keys and values lie in `pages`: `own` is
/// its length, `first` what it had before; `own_k` and `own_v` are the new rows alone, (queries,
/// kv_heads · size), which are put into the pages first.
typedef struct {
  const float *q, *prefix_k, *prefix_v, *own_k, *own_v;
  void *const *pages;                           // NULL: none
  float *out, *log_sum_exp;                     // log_sum_exp may be NULL
  const float *d_out;                           // the rest for the backward pass only
  float *dq, *prefix_dk, *prefix_dv, *own_dk, *own_dv;
  size_t queries, first, prefix, own;
  void *panels;                                 // set by the calls below
} ck_attention_piece;

typedef struct {
  size_t heads, kv_heads, size;
  float scale;
  bool causal;
  size_t window;  // keys that a query sees at most, its own the last; 0: all; only with `causal`
  size_t piece_count;
  const ck_attention_piece *pieces;
  // Products are of numbers rounded to bf16, and pages hold such.
  bool half;
  // Positions of a page, a multiple of 16, and where its keys (kv_heads, size, page_rows) and its
  // values (kv_heads, page_rows, size) begin. With `half` positions are a multiple of 32; each
  // head's keys and values are panels of bf16, of keys in columns and of values in columns.
  size_t page_rows, page_keys, page_values;
  // Backward: pieces that share keys follow each other; group g is group_ends[g-1]..<group_ends[g].
  size_t group_count;
  const size_t *group_ends;
} ck_attention;

void ck_attention_forward(ck_pool *pool, const ck_attention *work);
/// Bytes of one key head's keys, or values, of so many positions as panels of bf16.
size_t ck_half_side_bytes(size_t positions, size_t size);
/// Adds to dk and dv, overwrites dq.
void ck_attention_backward(ck_pool *pool, const ck_attention *work);

// See `checksum(of:)`.
uint64_t ck_checksum(const float *values, size_t count);

/// Upper halves of floats, little-endian, one after the other; and floats of such, whose lower
/// halves are 0.
void ck_halves_pack(void *to, const float *from, size_t count);
void ck_halves_unpack(float *to, const void *from, size_t count);

// See `keepFreedMemory`; other C libraries than GNU's are left as they are.
void ck_keep_freed_memory(void);

#endif
