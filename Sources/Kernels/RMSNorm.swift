internal import CKernels

/// Root-mean-square normalisation of each row: `y = x / sqrt(mean(x²) + eps) · (w + plus)`.
///
/// - Parameters:
///   - y: (T, C) row-major, overwritten; may be `x` itself.
///   - x: (T, C) row-major.
///   - weight: (C).
///   - plus: 1 for Gemma, whose weights are kept as their distance from 1.
/// - Precondition: `x.count == y.count` and a multiple of `weight.count`.
/// - Source: Zhang & Sennrich 2019, eq. 4.
public func rmsNorm(
  into y: Floats, _ x: Floats, weight: Floats, plus: Float = 0, eps: Float, on compute: Compute
) {
  runRows(
    CK_RMS_NORM, into: y, x, columns: weight.count, weight: weight, plus: plus, eps: eps,
    on: compute)
}

/// The derivatives of `rmsNorm`: with `r = 1 / sqrt(mean(x²) + eps)` and
/// `g = dy · (w + plus)`,
/// `dx = r · (g − x · r² · mean(g · x))` and `dw += Σ rows of dy · x · r`.
///
/// - Parameters:
///   - dx: (T, C), overwritten, or added to with `accumulateInput`; must not overlap `dy` or `x`.
///   - dWeight: (C), added to, rows in order; nil: frozen.
///   - dy: (T, C).
///   - x: (T, C), the forward input.
public func rmsNormBackward(
  dx: Floats, dWeight: Floats?, dy: Floats, _ x: Floats, weight: Floats, plus: Float = 0,
  eps: Float, accumulateInput: Bool = false, on compute: Compute
) {
  runNormBackward(
    CK_RMS_NORM_BACK, dx: dx, dWeight: dWeight, dBias: nil, dy: dy, x, weight: weight, plus: plus,
    eps: eps, accumulate: accumulateInput, on: compute)
}

/// The naive twin of `rmsNorm`.
public func rmsNormReference(
  into y: Floats, _ x: Floats, weight: Floats, plus: Float = 0, eps: Float
) {
  let columns = weight.count
  precondition(x.count == y.count && x.count % columns == 0, "rows of \(columns) expected")
  for start in stride(from: 0, to: x.count, by: columns) {
    var squares = 0.0
    for c in 0..<columns { squares += Double(x[start + c]) * Double(x[start + c]) }
    let scale = Float(1 / (squares / Double(columns) + Double(eps)).squareRoot())
    for c in 0..<columns { y[start + c] = x[start + c] * scale * (weight[c] + plus) }
  }
}

/// The naive twin of `rmsNormBackward`.
public func rmsNormBackwardReference(
  dx: Floats, dWeight: Floats?, dy: Floats, _ x: Floats, weight: Floats, plus: Float = 0,
  eps: Float, accumulateInput: Bool = false
) {
  let columns = weight.count
  precondition(x.count == dy.count && x.count == dx.count, "equal counts expected")
  for start in stride(from: 0, to: x.count, by: columns) {
    var (squares, mixed) = (0.0, 0.0)
    for c in 0..<columns {
      squares += Double(x[start + c]) * Double(x[start + c])
      mixed += Double(dy[start + c]) * Double(weight[c] + plus) * Double(x[start + c])
    }
    let r = 1 / (squares / Double(columns) + Double(eps)).squareRoot()
    let slope = mixed / Double(columns) * r * r
    for c in 0..<columns {
      let (g, value) = (Double(dy[start + c]) * Double(weight[c] + plus), Double(x[start + c]))
      let derivative = Float(r * (g - value * slope))
      dx[start + c] = accumulateInput ? dx[start + c] + derivative : derivative
      if let dWeight { dWeight[c] += Float(Double(dy[start + c]) * value * r) }
    }
  }
}
