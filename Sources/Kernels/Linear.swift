/// A linear layer: `Y = X · Wᵀ + b`, by rows.
///
/// - Parameters:
///   - y: (T, out), overwritten.
///   - x: (T, in).
///   - weight: (out, in) row-major, as Hugging Face stores it.
///   - packed: the weight once more, by `packLinear` on this `compute`; quicker, the same bits.
///   - bias: (out).
/// - Precondition: the counts fit; `rows` is T.
public func linear(
  into y: Floats, _ x: Floats, weight: Floats, packed: PackedMatrix? = nil, bias: Floats?,
  rows: Int, on compute: Compute
) {
  guard rows > 0 else { return }
  let (inputs, outputs) = (x.count / rows, y.count / rows)
  precondition(bias.map { $0.count == outputs } ?? true, "a bias of \(outputs) expected")
  if let packed {
    let product = Product(m: rows, n: outputs, k: inputs, transposeB: true)
    return matmul(into: y, x, packed, bias: bias, product, on: compute)
  }
  if let bias {
    for row in 0..<rows { y[row * outputs..<(row + 1) * outputs].copy(from: bias) }
  }
  let product = Product(
    m: rows, n: outputs, k: inputs, transposeB: true, accumulate: bias != nil)
  matmul(into: y, x, weight, product, on: compute)
}

/// A linear layer's weight, (out, in), laid out in `memory` for `linear`; nil when the backend
/// wants it as it lies.
public func packLinear(
  _ weight: Floats, outputs: Int, in memory: Arena, on compute: Compute
) -> PackedMatrix? {
  pack(
    weight, Product(m: 0, n: outputs, k: weight.count / outputs, transposeB: true), in: memory,
    on: compute)
}

/// The derivatives of `linear`: `dX = dY · W`, `dW += dYᵀ · X`, `db += Σ rows of dY`.
///
/// - Parameters:
///   - dx: (T, in), overwritten, or added to with `accumulateInput`; nil: not wanted.
///   - dWeight: (out, in), added to; nil: frozen, costs nothing.
///   - dBias: (out), added to; nil: frozen or absent.
///   - dy: (T, out).
///   - x: (T, in), the layer's input.
///   - weight: (out, in).
public func linearBackward(
  dx: Floats?, dWeight: Floats?, dBias: Floats?, dy: Floats, _ x: Floats, weight: Floats,
  rows: Int, accumulateInput: Bool = false, on compute: Compute
) {
  guard rows > 0 else { return }
  let (inputs, outputs) = (x.count / rows, dy.count / rows)
  if let dx {
    matmul(
      into: dx, dy, weight,
      Product(m: rows, n: inputs, k: outputs, accumulate: accumulateInput), on: compute)
  }
  if let dWeight {
    matmul(
      into: dWeight, dy, x,
      Product(m: outputs, n: inputs, k: rows, transposeA: true, accumulate: true), on: compute)
  }
  if let dBias { addColumnSums(into: dBias, dy, on: compute) }
}
