import Formats
import Kernels

extension VisionTower {
  /// The derivatives of everything from the features down to the patch embedding.
  ///
  /// - Parameters:
  ///   - d: (T, columns), the derivative of `state.output`; overwritten with scratch values.
  ///   - gradient: added to.
  func backward(_ d: Floats, _ state: VisionState, gradient: VisionTensors<Floats>) {
    let layout = AttentionLayout.full(state.tiles.map(rows))
    for index in state.layers.indices.reversed() {
      arena.scope {
        feedForwardBackward(
          d, weights.layers[index], state.layers[index], gradient.layers[index])
        attentionBackward(
          d, weights.layers[index], state.layers[index], layout, gradient.layers[index])
      }
    }
    arena.scope {
      var dEmbedded = d
      if let norm = weights.inputNorm, let target = gradient.inputNorm {
        dEmbedded = arena.floats(d.count)
        layerNormBackward(
          dx: dEmbedded, dWeight: target.weight, dBias: target.bias, dy: d, state.embedded,
          weight: norm.weight, eps: epsilon, on: compute)
      }
      embeddingBackward(dEmbedded, state, gradient)
    }
  }

  private func feedForwardBackward(
    _ d: Floats, _ layer: VisionLayerTensors<Floats>, _ state: VisionLayerState,
    _ gradient: VisionLayerTensors<Floats>
  ) {
    let rows = d.count / columns
    let dBranch = arena.floats(d.count)
    let dHidden = arena.floats(rows * config.intermediateSize)
    let activated = arena.floats(rows * config.intermediateSize)
    let normed = arena.floats(d.count)
    scaleBackward(
      d, state.feedForwardOutput, scales: layer.feedForwardScale, into: dBranch,
      gradient.feedForwardScale)
    activate(into: activated, state.hidden, activation, on: compute)
    back(layer.second, activated, dy: dBranch, dx: dHidden, gradient.second, rows: rows)
    activateBackward(dx: dHidden, dy: dHidden, state.hidden, activation, on: compute)
    norm(layer.feedForwardNorm, state.middle, into: normed)
    let dNormed = dBranch
    back(layer.first, normed, dy: dHidden, dx: dNormed, gradient.first, rows: rows)
    normBackward(
      layer.feedForwardNorm, state.middle, dy: dNormed, addingTo: d, gradient.feedForwardNorm)
  }

  private func attentionBackward(
    _ d: Floats, _ layer: VisionLayerTensors<Floats>, _ state: VisionLayerState,
    _ layout: AttentionLayout, _ gradient: VisionLayerTensors<Floats>
  ) {
    let rows = layout.rows
    let dBranch = arena.floats(d.count)
    let dAttended = arena.floats(d.count)
    let dQuery = arena.floats(d.count)
    let dKey = arena.floats(d.count)
    let dValue = arena.floats(d.count)
    let normed = arena.floats(d.count)
    scaleBackward(
      d, state.attentionOutput, scales: layer.attentionScale, into: dBranch,
      gradient.attentionScale)
    back(layer.output, state.attended, dy: dBranch, dx: dAttended, gradient.output, rows: rows)
    Kernels.attentionBackward(
      dq: dQuery, dk: dKey, dv: dValue, dOut: dAttended, out: state.attended,
      logSumExp: state.logSumExp, q: state.query, k: state.key, v: state.value, layout, shape,
      on: compute)
    norm(layer.attentionNorm, state.input, into: normed)
    let dNormed = dBranch
    back(layer.query, normed, dy: dQuery, dx: dNormed, gradient.query, rows: rows)
    back(layer.key, normed, dy: dKey, dx: dNormed, gradient.key, rows: rows, accumulate: true)
    back(layer.value, normed, dy: dValue, dx: dNormed, gradient.value, rows: rows, accumulate: true)
    normBackward(
      layer.attentionNorm, state.input, dy: dNormed, addingTo: d, gradient.attentionNorm)
  }

  private func embeddingBackward(
    _ d: Floats, _ state: VisionState, _ gradient: VisionTensors<Floats>
  ) {
    let patches = state.unfolded.count / pixelColumns
    let dPatches = arena.floats(patches * columns)
    var (row, first) = (0, 0)
    for grid in state.tiles {
      let picture = d[row * columns..<(row + rows(grid)) * columns]
      if let classEmbedding = gradient.classEmbedding {
        add(into: classEmbedding, picture[0..<columns], on: compute)
      }
      dPatches[first * columns..<(first + grid.count) * columns]
        .copy(from: picture[config.family.classRows * columns..<picture.count])
      table(grid).resizeBackward(
        dTable: gradient.positions, picture, columns: columns, on: compute)
      row += rows(grid)
      first += grid.count
    }
    linearBackward(
      dx: nil, dWeight: gradient.patches.weight, dBias: gradient.patches.bias, dy: dPatches,
      state.unfolded, weight: weights.patches.weight, rows: patches, on: compute)
  }

  private func back(
    _ layer: LinearTensors<Floats>, _ x: Floats, dy: Floats, dx: Floats,
    _ gradient: LinearTensors<Floats>, rows: Int, accumulate: Bool = false
  ) {
    linearBackward(
      dx: dx, dWeight: gradient.weight, dBias: gradient.bias, dy: dy, x, weight: layer.weight,
      rows: rows, accumulateInput: accumulate, on: compute)
  }

  private func normBackward(
    _ norm: NormTensors<Floats>, _ x: Floats, dy: Floats, addingTo d: Floats,
    _ gradient: NormTensors<Floats>
  ) {
    layerNormBackward(
      dx: d, dWeight: gradient.weight, dBias: gradient.bias, dy: dy, x, weight: norm.weight,
      eps: epsilon, accumulateInput: true, on: compute)
  }

  /// The derivative of LayerScale; without one, `dBranch` is a copy of `d`.
  private func scaleBackward(
    _ d: Floats, _ branch: Floats, scales: Floats?, into dBranch: Floats, _ gradient: Floats?
  ) {
    if let scales {
      layerScaleBackward(
        dx: dBranch, dScales: gradient, dy: d, branch, scales: scales, on: compute)
    } else {
      dBranch.copy(from: d)
    }
  }
}
