// Operations on whole rows. Element i of a row is added up in lane i mod 16, whatever the set and
// however many rows there are. Included by each set.

/// The pieces of a row: `i` where it begins, `n` its length, 16 or what is left.
#define EACH_PIECE(columns)                                                       \
  for (size_t i = 0, n; i < (columns) && (n = (columns) - i < LANES ? (columns) - i : LANES, 1); \
       i += LANES)

INLINE float row_sum(const float *x, size_t columns) {
  v16 sum = 0;
  EACH_PIECE(columns) sum += load16(x + i, n);
  return sum16(sum);
}

INLINE float row_dot(const float *x, const float *y, size_t columns) {
  v16 sum = 0;
  EACH_PIECE(columns) sum = fma16(load16(x + i, n), load16(y + i, n), sum);
  return sum16(sum);
}

/// Σ (x − mean)²
INLINE float row_spread(const float *x, size_t columns, float mean) {
  v16 sum = 0;
  EACH_PIECE(columns) {
    v16 d = load16(x + i, n) - mean;
    // Lanes beyond the row would add mean².
    if (n < LANES) {
      v16 kept = 0;
      memcpy(&kept, &d, n * sizeof(float));
      d = kept;
    }
    sum = fma16(d, d, sum);
  }
  return sum16(sum);
}

INLINE float row_max(const float *x, size_t columns) {
  v16 top = all16(x[0]);
  size_t i = 0;
  for (; i + LANES <= columns; i += LANES) {
    v16 value = load16(x + i, LANES);
    top = value > top ? value : top;
  }
  float best = top[0];
  for (int lane = 1; lane < LANES; lane++) best = top[lane] > best ? top[lane] : best;
  for (; i < columns; i++) best = x[i] > best ? x[i] : best;
  return best;
}

/// y = e^(factor·x − top) if y is not NULL; returns the sum: f32 lanes over 512, these in f64.
INLINE double row_exp(float *y, const float *x, size_t columns, float factor, float top) {
  double total = 0;
  for (size_t start = 0; start < columns; start += 512) {
    const size_t length = columns - start < 512 ? columns - start : 512;
    v16 sum = 0;
    EACH_PIECE(length) {
      v16 e = exp16(fma16(load16(x + start + i, n), all16(factor), all16(-top)));
      if (y) store16(y + start + i, n, e);
      if (n < LANES) {
        v16 kept = 0;
        memcpy(&kept, &e, n * sizeof(float));
        e = kept;
      }
      sum += e;
    }
    total += sum16(sum);
  }
  return total;
}

INLINE void row_scale(float *y, const float *x, size_t columns, float factor) {
  EACH_PIECE(columns) store16(y + i, n, load16(x + i, n) * factor);
}

INLINE float inverse_root(float squares, size_t columns, float eps) {
  return 1 / __builtin_sqrtf(squares / (float)columns + eps);
}

static void argmax(const ck_argmax *work, size_t begin, size_t end) {
  const size_t columns = work->columns;
  for (size_t row = begin; row < end; row++) {
    const float *x = work->x + row * columns;
    // A comparison with what is not a number is false, so that it never wins.
    v16 tops = all16(-INFINITY);
    size_t i = 0;
    for (; i + LANES <= columns; i += LANES) {
      const v16 value = load16(x + i, LANES);
      tops = value > tops ? value : tops;
    }
    float top = -INFINITY;
    for (int lane = 0; lane < LANES; lane++) top = tops[lane] > top ? tops[lane] : top;
    for (; i < columns; i++) top = x[i] > top ? x[i] : top;
    size_t place = 0;
    while (place < columns && !(x[place] == top)) place++;
    work->places[row] = place < columns ? (int32_t)place : 0;
  }
}

/// Beyond the row anything: what it is multiplied with is 0 there, or not stored.
INLINE v16 norm_weight(const ck_rows *work, size_t i, size_t n, bool layer) {
  v16 weight = load16(work->weight + i, n);
  return layer ? weight : weight + work->plus;
}

INLINE void norm_row(const ck_rows *work, size_t row, bool layer) {
  const size_t columns = work->columns;
  const float *x = work->in0 + row * columns;
  float *y = work->out + row * columns;
  const float mean = layer ? row_sum(x, columns) / (float)columns : 0;
  const float spread = layer ? row_spread(x, columns, mean) : row_dot(x, x, columns);
  const float r = inverse_root(spread, columns, work->eps);
  EACH_PIECE(columns) {
    v16 value = (load16(x + i, n) - mean) * r;
    v16 weight = norm_weight(work, i, n, layer);
    store16(y + i, n, layer ? fma16(value, weight, load16(work->bias + i, n)) : value * weight);
  }
}

INLINE void norm_row_back(const ck_rows *work, size_t row, bool layer) {
  const size_t columns = work->columns;
  const float *x = work->in0 + row * columns, *dy = work->in1 + row * columns;
  float *dx = work->out + row * columns;
  const float mean = layer ? row_sum(x, columns) / (float)columns : 0;
  const float spread = layer ? row_spread(x, columns, mean) : row_dot(x, x, columns);
  const float r = inverse_root(spread, columns, work->eps);
  v16 slopes = 0, mixed = 0;
  EACH_PIECE(columns) {
    v16 g = load16(dy + i, n) * norm_weight(work, i, n, layer);  // 0 beyond the row
    slopes += g;
    mixed = fma16(g, (load16(x + i, n) - mean) * r, mixed);
  }
  const float slope = layer ? sum16(slopes) / (float)columns : 0;
  const float mix = sum16(mixed) / (float)columns;
  EACH_PIECE(columns) {
    v16 g = load16(dy + i, n) * norm_weight(work, i, n, layer);
    v16 value = (load16(x + i, n) - mean) * r;
    v16 d = fma16(value, all16(-mix), g - slope) * r;
    store16(dx + i, n, work->accumulate ? load16(dx + i, n) + d : d);
  }
  work->moments[2 * row] = mean;
  work->moments[2 * row + 1] = r;
}

static void rows(const ck_rows *work, size_t begin, size_t end) {
  const size_t columns = work->columns;
  for (size_t row = begin; row < end; row++) {
    float *out = work->out + row * columns;
    const float *in = work->in0 + row * columns;
    switch (work->operation) {
      case CK_RMS_NORM: norm_row(work, row, false); break;
      case CK_LAYER_NORM: norm_row(work, row, true); break;
      case CK_RMS_NORM_BACK: norm_row_back(work, row, false); break;
      case CK_LAYER_NORM_BACK: norm_row_back(work, row, true); break;
      case CK_SOFTMAX: {
        const double sum = row_exp(out, in, columns, 1, row_max(in, columns));
        row_scale(out, out, columns, (float)(1 / sum));
        break;
      }
      case CK_ADD_TO_ROWS:
        EACH_PIECE(columns)
          store16(out + i, n, load16(out + i, n) + load16(work->weight + i, n));
        break;
      case CK_SCALE_COLUMNS:
        EACH_PIECE(columns)
          store16(out + i, n, load16(in + i, n) * load16(work->weight + i, n));
        break;
    }
  }
}

/// Columns [begin, end), row after row.
static void columns(const ck_columns *work, size_t begin, size_t end) {
  for (size_t row = 0; row < work->rows; row++) {
    const float mean = work->moments ? work->moments[2 * row] : 0;
    const float r = work->moments ? work->moments[2 * row + 1] : 1;
    const float *dy = work->dy + row * work->columns + begin;
    const float *x = work->x ? work->x + row * work->columns + begin : NULL;
    EACH_PIECE(end - begin) {
      v16 d = load16(dy + i, n);
      if (work->sums) {
        float *sums = work->sums + begin + i;
        store16(sums, n, load16(sums, n) + d);
      }
      if (work->products && x) {
        float *products = work->products + begin + i;
        store16(products, n, fma16(d, (load16(x + i, n) - mean) * r, load16(products, n)));
      }
    }
  }
}

INLINE void rotate_halves(
    float *x, const float *cosine, const float *sine, size_t half, float sign) {
  EACH_PIECE(half) {
    v16 a = load16(x + i, n), b = load16(x + half + i, n);
    v16 c = load16(cosine + i, n), s = load16(sine + i, n) * sign;
    store16(x + i, n, fma16(a, c, -(b * s)));
    store16(x + half + i, n, fma16(b, c, a * s));
  }
}

static void rotate(const ck_rotation *work, size_t begin, size_t end) {
  const size_t half = work->size / 2;
  const float sign = work->inverse ? -1 : 1;
  for (size_t row = begin; row < end; row++) {
    const float *cosine = work->cosines + (size_t)work->positions[row] * half;
    const float *sine = work->sines + (size_t)work->positions[row] * half;
    for (size_t head = 0; head < work->heads; head++) {
      float *x = work->x + (row * work->heads + head) * work->size;
      if (!work->interleaved) {
        rotate_halves(x, cosine, sine, half, sign);
        continue;
      }
      for (size_t i = 0; i < half; i++) {
        const float a = x[2 * i], b = x[2 * i + 1], s = sine[i] * sign;
        x[2 * i] = __builtin_fmaf(a, cosine[i], -(b * s));
        x[2 * i + 1] = __builtin_fmaf(b, cosine[i], a * s);
      }
    }
  }
}

/// The loss of one counted row; its gradient where wanted.
static double cross_entropy(const ck_cross_entropy *work, size_t row) {
  const size_t columns = work->columns;
  const float *x = work->logits + row * columns;
  float *gradient = work->gradient ? work->gradient + row * columns : NULL;
  if (!work->counted[row]) {
    if (gradient) memset(gradient, 0, columns * sizeof(float));
    return 0;
  }
  const size_t target = (size_t)work->targets[row];
  const float right = x[target];  // before the gradient, which may be in its place
  const float top = row_max(x, columns);
  const double sum = row_exp(gradient, x, columns, 1, top);
  if (gradient) {
    row_scale(gradient, gradient, columns, (float)(1 / sum));
    gradient[target] -= 1;
  }
  return ck_log(sum) + ((double)top - (double)right);
}
