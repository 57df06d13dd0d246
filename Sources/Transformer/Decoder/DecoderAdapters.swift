import Kernels

/// Windows on the gradient of one layer; nil for what is frozen.
struct LayerGradient {
  let tensors: DecoderLayerTensors<Floats>?
  let adapters: [AdapterTarget: AdapterTensors<Floats>]?

  /// Whether anything here is trained, so that the inputs of its products are asked for.
  var isTrained: Bool { tensors != nil || adapters != nil }
}

// Products of adapters are narrow: of `rank` columns on one side. What a frozen weight beside them
// would cost in a backward pass, its own gradient, is left out.

extension Decoder {
  /// A linear layer of a block and what its adapter adds: `Y = X·Wᵀ + b + s·(X·Aᵀ)·Bᵀ`.
  ///
  /// - Parameters:
  ///   - index: of the block.
  ///   - x: (rows, in).
  ///   - y: (rows, out), overwritten.
  func apply(
    _ target: AdapterTarget, of index: Int, _ x: Floats, into y: Floats, rows: Int
  ) {
    weights.layers[index][target].apply(x, into: y, rows: rows, on: compute)
    guard rows > 0, let adapters, let adapter = adapters.layers[index][target] else { return }
    arena.scope {
      let narrow = narrowed(x, by: adapter, adapters.scale, rows: rows)
      let outputs = y.count / rows
      matmul(
        into: y, narrow, adapter.b,
        Product(
          m: rows, n: outputs, k: narrow.count / rows, transposeB: true, accumulate: true),
        on: compute)
    }
  }

  /// The derivatives of `apply`: `dX = dY·W + s·(dY·B)·A`, `dB += dYᵀ·(s·X·Aᵀ)`,
  /// `dA += (s·dY·B)ᵀ·X`, and those of weight and bias.
  ///
  /// - Parameters:
  ///   - x: (rows, in), the layer's input; read when something is trained.
  ///   - dy: (rows, out).
  ///   - dx: (rows, in), overwritten, or added to with `accumulate`.
  func back(
    _ target: AdapterTarget, of index: Int, _ x: Floats, dy: Floats, dx: Floats,
    _ gradient: LayerGradient, rows: Int, accumulate: Bool = false
  ) {
    let own = gradient.tensors?[target]
    linearBackward(
      dx: dx, dWeight: own?.weight, dBias: own?.bias, dy: dy, x,
      weight: weights.layers[index][target].weight, rows: rows, accumulateInput: accumulate,
      on: compute)
    guard rows > 0, let adapters, let adapter = adapters.layers[index][target] else { return }
    let dAdapter = gradient.adapters?[target]
    arena.scope {
      // Without a gradient, what was narrow is not computed again.
      let narrow =
        dAdapter.map { _ in narrowed(x, by: adapter, adapters.scale, rows: rows) }
        ?? arena.floats(rows * (adapter.b.count / (dy.count / rows)))
      let dNarrow = arena.floats(narrow.count)
      linearBackward(
        dx: dNarrow, dWeight: dAdapter?.b, dBias: nil, dy: dy, narrow, weight: adapter.b,
        rows: rows, on: compute)
      scale(dNarrow, by: adapters.scale, on: compute)
      linearBackward(
        dx: dx, dWeight: dAdapter?.a, dBias: nil, dy: dNarrow, x, weight: adapter.a, rows: rows,
        accumulateInput: true, on: compute)
    }
  }

  /// `s·X·Aᵀ`: (rows, rank), in the arena.
  private func narrowed(
    _ x: Floats, by adapter: AdapterTensors<Floats>, _ factor: Float, rows: Int
  ) -> Floats {
    let narrow = arena.floats(rows * (adapter.a.count / (x.count / rows)))
    linear(into: narrow, x, weight: adapter.a, bias: nil, rows: rows, on: compute)
    scale(narrow, by: factor, on: compute)
    return narrow
  }
}

extension DecoderLayerTensors {
  subscript(target: AdapterTarget) -> LinearTensors<Tensor> {
    switch target {
    case .query: query
    case .key: key
    case .value: value
    case .output: output
    case .gate: gate
    case .up: up
    case .down: down
    }
  }
}
