/// `y += x`.
/// - Precondition: equal counts.
public func add(into y: Floats, _ x: Floats, on compute: Compute) {
  precondition(x.count == y.count, "\(y.count) values expected, \(x.count) given")
  for i in 0..<y.count { y[i] += x[i] }
}

/// `y += a · x`, fused.
/// - Precondition: equal counts.
public func addScaled(into y: Floats, _ x: Floats, by a: Float, on compute: Compute) {
  precondition(x.count == y.count, "\(y.count) values expected, \(x.count) given")
  for i in 0..<y.count { y[i].addProduct(a, x[i]) }
}

/// `x *= a`.
public func scale(_ x: Floats, by a: Float, on compute: Compute) {
  for i in 0..<x.count { x[i] *= a }
}

/// Adds to each row the same values (position embeddings): `y[t] += x`.
///
/// - Parameters:
///   - y: (T, C).
///   - x: (C).
/// - Precondition: `y.count` is a multiple of `x.count`.
public func addToRows(_ y: Floats, _ x: Floats, on compute: Compute) {
  precondition(y.count % x.count == 0, "rows of \(x.count) expected")
  for start in stride(from: 0, to: y.count, by: x.count) {
    add(into: y[start..<start + x.count], x, on: compute)
  }
}

/// `sums += Σ rows of x`, each column one sum in row order (the derivative of a bias).
///
/// - Parameters:
///   - sums: (C), added to.
///   - x: (T, C).
/// - Precondition: `x.count` is a multiple of `sums.count`.
public func addColumnSums(into sums: Floats, _ x: Floats, on compute: Compute) {
  precondition(x.count % sums.count == 0, "rows of \(sums.count) expected")
  for start in stride(from: 0, to: x.count, by: sums.count) {
    for c in 0..<sums.count { sums[c] += x[start + c] }
  }
}

/// DINOv2's LayerScale: `y = x · s`, column by column; `y` may be `x` itself.
///
/// - Parameters:
///   - y: (T, C), overwritten.
///   - x: (T, C).
///   - scales: (C).
/// - Source: Touvron et al. 2021 (CaiT), eq. 4.
public func layerScale(into y: Floats, _ x: Floats, scales: Floats, on compute: Compute) {
  precondition(x.count == y.count && x.count % scales.count == 0, "rows expected")
  for i in 0..<x.count { y[i] = x[i] * scales[i % scales.count] }
}

/// The derivatives of `layerScale`: `dx = dy · s`, `dScales += Σ rows of dy · x`.
///
/// - Parameters:
///   - dx: (T, C), overwritten; may be `dy` itself, not `x`.
///   - dScales: (C), added to, rows in order; nil: frozen.
public func layerScaleBackward(
  dx: Floats, dScales: Floats?, dy: Floats, _ x: Floats, scales: Floats, on compute: Compute
) {
  precondition(x.count == dy.count && x.count == dx.count, "equal counts expected")
  precondition(x.count % scales.count == 0, "rows of \(scales.count) expected")
  for i in 0..<x.count {
    let c = i % scales.count
    if let dScales { dScales[c].addProduct(dy[i], x[i]) }
    dx[i] = dy[i] * scales[c]
  }
}
