internal import CKernels

/// `y += x`.
/// - Precondition: equal counts.
public func add(into y: Floats, _ x: Floats, on compute: Compute) {
  precondition(x.count == y.count, "\(y.count) values expected, \(x.count) given")
  runElements(CK_ADD, into: y, x, on: compute)
}

/// `y = a + b`; `y` may be either of them.
/// - Precondition: equal counts.
public func add(_ a: Floats, _ b: Floats, into y: Floats, on compute: Compute) {
  precondition(
    a.count == y.count && b.count == y.count,
    "\(y.count) values expected, \(a.count) and \(b.count) given")
  runElements(CK_SUM, into: y, a, b, on: compute)
}

/// `y += a · x`, fused.
/// - Precondition: equal counts.
public func addScaled(into y: Floats, _ x: Floats, by a: Float, on compute: Compute) {
  precondition(x.count == y.count, "\(y.count) values expected, \(x.count) given")
  runElements(CK_ADD_SCALED, into: y, x, factor: a, on: compute)
}

/// Each of `x` becomes the nearest bf16, ties to even; what is not a number stays none.
public func roundToBF16(_ x: Floats, on compute: Compute) {
  runElements(CK_ROUND, into: x, x, on: compute)
}

/// The upper halves of values that are bf16 already, such as `roundToBF16` leaves behind.
/// - Returns: ((n + 1) / 2), to be read as bytes: 2 for each value, little-endian.
public func halves(of x: Floats) -> Floats {
  let halves = Floats(zeros: (x.count + 1) / 2)
  unsafe ck_halves_pack(halves.base, x.base, x.count)
  return halves
}

extension Floats {
  /// New memory for the values of which these bytes are the upper halves, 2 for each.
  /// - Precondition: an even number of bytes.
  public init(halves: UnsafeRawBufferPointer) {
    precondition(halves.count % 2 == 0, "2 bytes for each value expected, \(halves.count) given")
    self.init(zeros: halves.count / 2)
    if let start = halves.baseAddress { unsafe ck_halves_unpack(base, start, count) }
  }
}

/// `x *= a`.
public func scale(_ x: Floats, by a: Float, on compute: Compute) {
  runElements(CK_SCALE, into: x, factor: a, on: compute)
}

/// Adds to each row the same values (position embeddings): `y[t] += x`.
///
/// - Parameters:
///   - y: (T, C).
///   - x: (C).
/// - Precondition: `y.count` is a multiple of `x.count`.
public func addToRows(_ y: Floats, _ x: Floats, on compute: Compute) {
  runRows(CK_ADD_TO_ROWS, into: y, y, columns: x.count, weight: x, on: compute)
}

/// `sums += Σ rows of x`, each column one sum in row order (the derivative of a bias).
///
/// - Parameters:
///   - sums: (C), added to.
///   - x: (T, C).
/// - Precondition: `x.count` is a multiple of `sums.count`.
public func addColumnSums(into sums: Floats, _ x: Floats, on compute: Compute) {
  precondition(x.count % sums.count == 0, "rows of \(sums.count) expected")
  runColumns(sums: sums, products: nil, x, nil, columns: sums.count, on: compute)
}

/// DINOv2's LayerScale: `y = x · s`, column by column; `y` may be `x` itself.
///
/// - Parameters:
///   - y: (T, C), overwritten.
///   - x: (T, C).
///   - scales: (C).
/// - Source: Touvron et al. 2021 (CaiT), eq. 4.
public func layerScale(into y: Floats, _ x: Floats, scales: Floats, on compute: Compute) {
  runRows(CK_SCALE_COLUMNS, into: y, x, columns: scales.count, weight: scales, on: compute)
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
  if let dScales {
    precondition(dScales.count == scales.count, "\(scales.count) scales expected")
    runColumns(sums: nil, products: dScales, dy, x, columns: scales.count, on: compute)
  }
  runRows(CK_SCALE_COLUMNS, into: dx, dy, columns: scales.count, weight: scales, on: compute)
}

/// A number that another bit anywhere, or another order, changes with near certainty: for noticing
/// mistakes of machines, not malice. The same on every processor.
public func checksum(of x: Floats) -> UInt64 { unsafe ck_checksum(x.base, x.count) }
