#if canImport(Glibc)
  internal import Glibc
#elseif canImport(Musl)
  internal import Musl
#endif

/// The naive twin of `activate`, in f64.
public func activateReference(into y: Floats, _ x: Floats, _ activation: Activation) {
  precondition(x.count == y.count, "\(y.count) values expected, \(x.count) given")
  for i in 0..<x.count { y[i] = Float(value(of: activation, at: Double(x[i]))) }
}

/// The naive twin of `activateBackward`, in f64.
public func activateBackwardReference(
  dx: Floats, dy: Floats, _ x: Floats, _ activation: Activation
) {
  precondition(x.count == dy.count && x.count == dx.count, "equal counts expected")
  for i in 0..<x.count {
    dx[i] = Float(Double(dy[i]) * slope(of: activation, at: Double(x[i])))
  }
}

/// The naive twin of `gated`, in f64.
public func gatedReference(into h: Floats, gate: Floats, up: Floats, _ function: GateFunction) {
  precondition(gate.count == h.count && up.count == h.count, "equal counts expected")
  for i in 0..<h.count {
    h[i] = Float(value(of: function.activation, at: Double(gate[i])) * Double(up[i]))
  }
}

/// The naive twin of `gatedBackward`, in f64.
public func gatedBackwardReference(
  dGate: Floats, dUp: Floats, dh: Floats, gate: Floats, up: Floats, _ function: GateFunction
) {
  precondition(
    gate.count == dh.count && up.count == dh.count && dGate.count == dh.count
      && dUp.count == dh.count, "equal counts expected")
  for i in 0..<dh.count {
    let (d, g, u) = (Double(dh[i]), Double(gate[i]), Double(up[i]))
    dGate[i] = Float(d * u * slope(of: function.activation, at: g))
    dUp[i] = Float(d * value(of: function.activation, at: g))
  }
}

private func value(of activation: Activation, at x: Double) -> Double {
  switch activation {
  case .silu: x / (1 + exp(-x))
  case .gelu: x * 0.5 * erfc(-x * 0.5.squareRoot())
  case .geluTanh: x * 0.5 * (1 + tanh(tanhArgument(x)))
  case .quickGELU: x / (1 + exp(-1.702 * x))
  }
}

private func slope(of activation: Activation, at x: Double) -> Double {
  switch activation {
  case .silu: return sigmoidSlope(x, 1)
  case .gelu:
    let density = exp(-x * x / 2) / (2 * Double.pi).squareRoot()
    return 0.5 * erfc(-x * 0.5.squareRoot()) + x * density
  case .geluTanh:
    let t = tanh(tanhArgument(x))
    let inner = (2 / Double.pi).squareRoot() * (1 + 3 * 0.044715 * x * x)
    return 0.5 * (1 + t) + 0.5 * x * (1 - t * t) * inner
  case .quickGELU: return sigmoidSlope(x, 1.702)
  }
}

private func tanhArgument(_ x: Double) -> Double {
  (2 / Double.pi).squareRoot() * (x + 0.044715 * x * x * x)
}

/// The derivative of `x · σ(a x)`.
private func sigmoidSlope(_ x: Double, _ a: Double) -> Double {
  let s = 1 / (1 + exp(-a * x))
  return s + a * x * s * (1 - s)
}
