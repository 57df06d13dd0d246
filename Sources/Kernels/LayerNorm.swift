internal import CKernels

/// Normalisation of each row to mean 0 and variance 1:
/// `y = (x − mean) / sqrt(variance + eps) · w + b`, with the variance over C (not C − 1).
///
/// - Parameters:
///   - y: (T, C) row-major, overwritten; may be `x` itself.
///   - x: (T, C) row-major.
///   - weight: (C).
///   - bias: (C).
/// - Precondition: `x.count == y.count` and a multiple of `weight.count`.
/// - Source: Ba, Kiros & Hinton 2016, eq. 3.
public func layerNorm(
  into y: Floats, _ x: Floats, weight: Floats, bias: Floats, eps: Float, on compute: Compute
) {
  precondition(bias.count == weight.count, "a bias of \(weight.count) expected")
  runRows(
    CK_LAYER_NORM, into: y, x, columns: weight.count, weight: weight, bias: bias, eps: eps,
    on: compute)
}

/// The derivatives of `layerNorm`: with `n = (x − mean) · r`, `r = 1 / sqrt(variance + eps)` and
/// `g = dy · w`, `dx = r · (g − mean(g) − n · mean(g · n))`, `dw += Σ dy · n`, `db += Σ dy`.
///
/// - Parameters:
///   - dx: (T, C), overwritten, or added to with `accumulateInput`; must not overlap `dy` or `x`.
///   - dWeight: (C), added to, rows in order; nil: frozen.
///   - dBias: (C), added to, rows in order; nil: frozen.
///   - dy: (T, C).
///   - x: (T, C), the forward input.
public func layerNormBackward(
  dx: Floats, dWeight: Floats?, dBias: Floats?, dy: Floats, _ x: Floats, weight: Floats,
  eps: Float, accumulateInput: Bool = false, on compute: Compute
) {
  runNormBackward(
    CK_LAYER_NORM_BACK, dx: dx, dWeight: dWeight, dBias: dBias, dy: dy, x, weight: weight,
    eps: eps, accumulate: accumulateInput, on: compute)
}

/// The naive twin of `layerNorm`.
public func layerNormReference(
  into y: Floats, _ x: Floats, weight: Floats, bias: Floats, eps: Float
) {
  let columns = weight.count
  precondition(x.count == y.count && x.count % columns == 0, "rows of \(columns) expected")
  precondition(bias.count == columns, "a bias of \(columns) expected")
  for start in stride(from: 0, to: x.count, by: columns) {
    let (mean, r) = momentsReference(x[start..<start + columns], eps: eps)
    for c in 0..<columns {
      y[start + c] = Float((Double(x[start + c]) - mean) * r) * weight[c] + bias[c]
    }
  }
}

/// The naive twin of `layerNormBackward`.
public func layerNormBackwardReference(
  dx: Floats, dWeight: Floats?, dBias: Floats?, dy: Floats, _ x: Floats, weight: Floats,
  eps: Float, accumulateInput: Bool = false
) {
  let columns = weight.count
  precondition(x.count == dy.count && x.count == dx.count, "equal counts expected")
  for start in stride(from: 0, to: x.count, by: columns) {
    let (mean, r) = momentsReference(x[start..<start + columns], eps: eps)
    var (gMean, gnMean) = (0.0, 0.0)
    for c in 0..<columns {
      let g = Double(dy[start + c]) * Double(weight[c])
      gMean += g / Double(columns)
      gnMean += g * (Double(x[start + c]) - mean) * r / Double(columns)
    }
    for c in 0..<columns {
      let n = (Double(x[start + c]) - mean) * r
      let g = Double(dy[start + c]) * Double(weight[c])
      let derivative = Float(r * (g - gMean - n * gnMean))
      dx[start + c] = accumulateInput ? dx[start + c] + derivative : derivative
      if let dWeight { dWeight[c] += Float(Double(dy[start + c]) * n) }
      if let dBias { dBias[c] += dy[start + c] }
    }
  }
}

/// The mean of a row and `1 / sqrt(variance + eps)`.
private func momentsReference(_ row: Floats, eps: Float) -> (mean: Double, r: Double) {
  var (sum, squares) = (0.0, 0.0)
  for c in 0..<row.count { sum += Double(row[c]) }
  let mean = sum / Double(row.count)
  for c in 0..<row.count { squares += (Double(row[c]) - mean) * (Double(row[c]) - mean) }
  return (mean, 1 / (squares / Double(row.count) + Double(eps)).squareRoot())
}
