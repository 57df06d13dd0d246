// Operations without neighbours: activations, AdamW, sums of squares. Included by each set.

/// x · σ(a x) and its derivative.
INLINE v16 swish(v16 x, float a) { return x * sigmoid16(x * a); }

INLINE v16 swish_slope(v16 x, float a) {
  v16 s = sigmoid16(x * a);
  return fma16(x * (s * (all16(1) - s)), all16(a), s);  // in this order 0 · x stays finite
}

/// 2 √(2/π) (x + 0.044715 x³): (1 + tanh u) / 2 is σ(2u), so no tanh is needed.
INLINE v16 gelu_argument(v16 x) {
  return x * fma16(x * x, all16(0.044715f * 1.5957691216f), all16(1.5957691216f));
}

INLINE v16 gelu_tanh_slope(v16 x) {
  // Beyond ±20 the slope is 0 or 1 already, and x³ might overflow.
  x = x > 20.0f ? all16(20) : x;
  x = x < -20.0f ? all16(-20) : x;
  v16 s = sigmoid16(gelu_argument(x));
  v16 inner = fma16(x * x, all16(3 * 0.044715f * 1.5957691216f), all16(1.5957691216f));
  return fma16(x * inner, s * (all16(1) - s), s);
}

INLINE v16 gelu(v16 x) {
  v16 bell;
  return x * normal16(x, &bell);
}

INLINE v16 gelu_slope(v16 x) {
  v16 bell;
  v16 phi = normal16(x, &bell);
  return fma16(x * 0.3989422804f, bell, phi);
}

/// f of x, or its derivative for the BACK operations.
INLINE v16 element_function(ck_element_operation operation, v16 x) {
  switch (operation) {
    case CK_SILU: return swish(x, 1);
    case CK_GELU: return gelu(x);
    case CK_GELU_TANH: return x * sigmoid16(gelu_argument(x));
    case CK_QUICK_GELU: return swish(x, 1.702f);
    case CK_SILU_BACK: return swish_slope(x, 1);
    case CK_GELU_BACK: return gelu_slope(x);
    case CK_GELU_TANH_BACK: return gelu_tanh_slope(x);
    case CK_QUICK_GELU_BACK: return swish_slope(x, 1.702f);
    case CK_EXP: return exp16(x);
    case CK_ROUND: return rounded16(x);
    case CK_ADD:
    case CK_SUM:
    case CK_ADD_SCALED:
    case CK_SCALE:
    case CK_GATED:
    case CK_GATED_BACK:
    case CK_GATED_GELU:
    case CK_GATED_GELU_BACK: break;
  }
  return x;
}

INLINE void element_block(
    ck_element_operation operation, const ck_elements *work, size_t i, size_t n) {
  switch (operation) {
    case CK_ADD:
      store16(work->out0 + i, n, load16(work->out0 + i, n) + load16(work->in0 + i, n));
      return;
    case CK_SUM:
      store16(work->out0 + i, n, load16(work->in0 + i, n) + load16(work->in1 + i, n));
      return;
    case CK_ADD_SCALED:
      store16(
          work->out0 + i, n,
          fma16(all16(work->factor), load16(work->in0 + i, n), load16(work->out0 + i, n)));
      return;
    case CK_SCALE:
      store16(work->out0 + i, n, load16(work->out0 + i, n) * work->factor);
      return;
    case CK_GATED: {
      v16 up = load16(work->in1 + i, n);
      store16(work->out0 + i, n, swish(load16(work->in0 + i, n), 1) * up);
      return;
    }
    case CK_GATED_BACK: {
      v16 gate = load16(work->in0 + i, n);
      v16 up = load16(work->in1 + i, n);
      v16 dh = load16(work->in2 + i, n);
      store16(work->out0 + i, n, dh * up * swish_slope(gate, 1));
      store16(work->out1 + i, n, dh * swish(gate, 1));
      return;
    }
    case CK_GATED_GELU: {
      v16 up = load16(work->in1 + i, n);
      store16(work->out0 + i, n, element_function(CK_GELU_TANH, load16(work->in0 + i, n)) * up);
      return;
    }
    case CK_GATED_GELU_BACK: {
      v16 gate = load16(work->in0 + i, n);
      v16 up = load16(work->in1 + i, n);
      v16 dh = load16(work->in2 + i, n);
      store16(work->out0 + i, n, dh * up * gelu_tanh_slope(gate));
      store16(work->out1 + i, n, dh * element_function(CK_GELU_TANH, gate));
      return;
    }
    case CK_SILU:
    case CK_GELU:
    case CK_GELU_TANH:
    case CK_QUICK_GELU:
    case CK_EXP:
    case CK_ROUND:
      store16(work->out0 + i, n, element_function(operation, load16(work->in0 + i, n)));
      return;
    case CK_SILU_BACK:
    case CK_GELU_BACK:
    case CK_GELU_TANH_BACK:
    case CK_QUICK_GELU_BACK: {
      v16 dy = load16(work->in1 + i, n);
      store16(work->out0 + i, n, dy * element_function(operation, load16(work->in0 + i, n)));
      return;
    }
  }
}

static void elements(const ck_elements *work, size_t begin, size_t end) {
// One loop per operation, so that none is chosen inside a loop.
#define LOOP(operation)                                                        \
  case operation: {                                                            \
    size_t i = begin;                                                          \
    for (; i + LANES <= end; i += LANES) element_block(operation, work, i, LANES); \
    if (i < end) element_block(operation, work, i, end - i);                   \
    return;                                                                    \
  }
  switch (work->operation) {
    LOOP(CK_ADD)
    LOOP(CK_SUM)
    LOOP(CK_ADD_SCALED)
    LOOP(CK_SCALE)
    LOOP(CK_SILU)
    LOOP(CK_GELU)
    LOOP(CK_GELU_TANH)
    LOOP(CK_QUICK_GELU)
    LOOP(CK_SILU_BACK)
    LOOP(CK_GELU_BACK)
    LOOP(CK_GELU_TANH_BACK)
    LOOP(CK_QUICK_GELU_BACK)
    LOOP(CK_GATED)
    LOOP(CK_GATED_BACK)
    LOOP(CK_GATED_GELU)
    LOOP(CK_GATED_GELU_BACK)
    LOOP(CK_EXP)
    LOOP(CK_ROUND)
  }
#undef LOOP
}

INLINE void adamw_block(const ck_adamw *step, size_t i, size_t n) {
  v16 g = load16(step->gradients + i, n) * step->gradient_scale;
  v16 m = load16(step->first + i, n);
  v16 v = load16(step->second + i, n);
  v16 w = load16(step->parameters + i, n);
  m = fma16(all16(step->keep1), g - m, m);
  v = fma16(g * step->keep2, g, v * step->beta2);
  store16(step->first + i, n, m);
  store16(step->second + i, n, v);
  v16 denominator = sqrt16(v) / step->root + step->eps;
  store16(step->parameters + i, n, w * step->kept - m * step->rate / denominator);
}

static void adamw(const ck_adamw *step, size_t begin, size_t end) {
  size_t i = begin;
  for (; i + LANES <= end; i += LANES) adamw_block(step, i, LANES);
  if (i < end) adamw_block(step, i, end - i);
}

/// Sixteen sums in f64, then a tree.
static double squares(const float *x, size_t count) {
  typedef double d16 __attribute__((ext_vector_type(16)));
  d16 sum = 0;
  for (size_t i = 0; i < count; i += LANES) {
    size_t n = count - i < LANES ? count - i : LANES;
    d16 value = __builtin_convertvector(load16(x + i, n), d16);
    sum = __builtin_elementwise_fma(value, value, sum);
  }
  __attribute__((ext_vector_type(8))) double a = sum.lo + sum.hi;
  __attribute__((ext_vector_type(4))) double b = a.lo + a.hi;
  __attribute__((ext_vector_type(2))) double c = b.lo + b.hi;
  return c.x + c.y;
}
