internal import CKernels

/// The non-linear functions of the models.
public enum Activation: CaseIterable, Sendable {
  /// `x · σ(x)`
  case silu
  /// `x · Φ(x)`, with the error function. Source: Hendrycks & Gimpel 2016, eq. 1.
  case gelu
  /// `x / 2 · (1 + tanh(√(2/π) · (x + 0.044715 x³)))`: the same paper's approximation.
  case geluTanh
  /// `x · σ(1.702 x)`: CLIP's.
  case quickGELU
}

/// `y = f(x)`, element by element; `y` may be `x` itself.
/// - Precondition: equal counts.
public func activate(into y: Floats, _ x: Floats, _ activation: Activation, on compute: Compute) {
  precondition(x.count == y.count, "\(y.count) values expected, \(x.count) given")
  let operation: ck_element_operation =
    switch activation {
    case .silu: CK_SILU
    case .gelu: CK_GELU
    case .geluTanh: CK_GELU_TANH
    case .quickGELU: CK_QUICK_GELU
    }
  runElements(operation, into: y, x, on: compute)
}

/// `dx = dy · f′(x)`; `dx` may be `dy` itself.
/// - Precondition: equal counts.
public func activateBackward(
  dx: Floats, dy: Floats, _ x: Floats, _ activation: Activation, on compute: Compute
) {
  precondition(x.count == dy.count && x.count == dx.count, "equal counts expected")
  let operation: ck_element_operation =
    switch activation {
    case .silu: CK_SILU_BACK
    case .gelu: CK_GELU_BACK
    case .geluTanh: CK_GELU_TANH_BACK
    case .quickGELU: CK_QUICK_GELU_BACK
    }
  runElements(operation, into: dx, x, dy, on: compute)
}

/// What a gate passes before it multiplies.
public enum GateFunction: CaseIterable, Sendable {
  /// SwiGLU.
  case silu
  /// GeGLU, with the tanh approximation.
  case geluTanh

  var activation: Activation {
    switch self {
    case .silu: .silu
    case .geluTanh: .geluTanh
    }
  }
}

/// A gated unit: `h = f(gate) · up`; `h` may be `gate` or `up`.
/// - Precondition: equal counts.
/// - Source: Shazeer 2020, eq. 6.
public func gated(
  into h: Floats, gate: Floats, up: Floats, _ function: GateFunction, on compute: Compute
) {
  precondition(gate.count == h.count && up.count == h.count, "equal counts expected")
  runElements(
    function == .silu ? CK_GATED : CK_GATED_GELU, into: h, gate, up, on: compute)
}

/// The derivatives of `gated`: `dGate = dh · up · f′(gate)`, `dUp = dh · f(gate)`.
///
/// Both are overwritten; either may be `dh`, `gate` or `up` itself.
/// - Precondition: equal counts.
public func gatedBackward(
  dGate: Floats, dUp: Floats, dh: Floats, gate: Floats, up: Floats, _ function: GateFunction,
  on compute: Compute
) {
  precondition(
    gate.count == dh.count && up.count == dh.count && dGate.count == dh.count
      && dUp.count == dh.count, "equal counts expected")
  runElements(
    function == .silu ? CK_GATED_BACK : CK_GATED_GELU_BACK, into: dGate, and: dUp, gate, up, dh,
    on: compute)
}

/// `y = eˣ`, element by element; `y` may be `x` itself.
/// - Precondition: equal counts.
public func exponential(into y: Floats, _ x: Floats, on compute: Compute) {
  precondition(x.count == y.count, "\(y.count) values expected, \(x.count) given")
  runElements(CK_EXP, into: y, x, on: compute)
}
