import Formats
import Kernels

extension Decoder {
  /// The derivatives of all layers.
  ///
  /// - Parameters:
  ///   - d: (T, columns), the derivative of what left the last layer; afterwards that of what
  ///     entered the first.
  ///   - gradient: added to; nil: the decoder's own weights are frozen.
  ///   - adapters: added to; nil: they are frozen, too, or there are none.
  ///   - finished: hears of each layer to whose derivatives nothing will be added any more.
  func backward(
    _ d: Floats, _ layers: [KeptLayer], _ layout: AttentionLayout, positions: [Int32],
    gradient: DecoderTensors<Floats>?, adapters: DecoderAdapters<Floats>?,
    finished: (Int) -> Void = { _ in }
  ) {
    for index in layers.indices.reversed() {
      arena.scope {
        let (state, logSumExp) =
          switch layers[index] {
          case .state(let state, let logSumExp): (state, logSumExp)
          case .input(let x): forward(index, x, into: nil, layout, positions: positions)
          }
        let target = LayerGradient(
          tensors: gradient?.layers[index], adapters: adapters?.layers[index])
        feedForwardBackward(d, index, state, target)
        attentionBackward(d, index, state, logSumExp, layout, positions: positions, target)
      }
      finished(index)
    }
  }

  /// `d` of what left the layer becomes `d` of its middle.
  private func feedForwardBackward(
    _ d: Floats, _ index: Int, _ state: DecoderLayerState, _ gradient: LayerGradient
  ) {
    let layer = weights.layers[index]
    let rows = d.count / columns
    let dHidden = arena.floats(rows * config.intermediateSize)
    let hidden = arena.floats(rows * config.intermediateSize)
    let normed = arena.floats(d.count)
    let dNormed = arena.floats(d.count)
    if gradient.isTrained {
      gated(into: hidden, gate: state.gate, up: state.up, gate, on: compute)
      norm(state.middle, layer.middleNorm, into: normed)
    }
    let dOutput = furtherNormBackward(
      d, state.feedForwardOutput, layer.feedForwardOutputNorm,
      gradient.tensors?.feedForwardOutputNorm)
    back(.down, of: index, hidden, dy: dOutput, dx: dHidden, gradient, rows: rows)
    let dGate = dHidden
    let dUp = hidden
    gatedBackward(
      dGate: dGate, dUp: dUp, dh: dHidden, gate: state.gate, up: state.up, gate, on: compute)
    back(.gate, of: index, normed, dy: dGate, dx: dNormed, gradient, rows: rows)
    back(.up, of: index, normed, dy: dUp, dx: dNormed, gradient, rows: rows, accumulate: true)
    rmsNormBackward(
      dx: d, dWeight: gradient.tensors?.middleNorm, dy: dNormed, state.middle,
      weight: layer.middleNorm, plus: normPlus, eps: epsilon, accumulateInput: true, on: compute)
  }

  /// `d` of the layer's middle becomes `d` of what entered it.
  private func attentionBackward(
    _ d: Floats, _ index: Int, _ state: DecoderLayerState, _ logSumExp: Floats,
    _ layout: AttentionLayout, positions: [Int32], _ gradient: LayerGradient
  ) {
    let layer = weights.layers[index]
    let (shape, rotary) = (attention(in: index).shape, attention(in: index).rotary)
    let rows = positions.count
    let dAttended = arena.floats(rows * shape.columns)
    let dQuery = arena.floats(rows * shape.columns)
    let dKey = arena.floats(rows * shape.keyValueColumns)
    let dValue = arena.floats(rows * shape.keyValueColumns)
    let normed = arena.floats(d.count)
    let dNormed = arena.floats(d.count)
    let dOutput = furtherNormBackward(
      d, state.attentionOutput, layer.attentionOutputNorm, gradient.tensors?.attentionOutputNorm)
    back(.output, of: index, state.attended, dy: dOutput, dx: dAttended, gradient, rows: rows)
    Kernels.attentionBackward(
      dq: dQuery, dk: dKey, dv: dValue, dOut: dAttended, out: state.attended,
      logSumExp: logSumExp, q: state.query, k: state.key, v: state.value, layout, shape,
      on: attending)
    rotate(dQuery, positions: positions, rotary, pairing, inverse: true, on: compute)
    rotate(dKey, positions: positions, rotary, pairing, inverse: true, on: compute)
    let dRawQuery = furtherNormBackward(
      dQuery, state.rawQuery, layer.queryNorm, gradient.tensors?.queryNorm)
    let dRawKey = furtherNormBackward(
      dKey, state.rawKey, layer.keyNorm, gradient.tensors?.keyNorm)
    if gradient.isTrained { norm(state.input, layer.inputNorm, into: normed) }
    back(.query, of: index, normed, dy: dRawQuery, dx: dNormed, gradient, rows: rows)
    back(.key, of: index, normed, dy: dRawKey, dx: dNormed, gradient, rows: rows, accumulate: true)
    back(.value, of: index, normed, dy: dValue, dx: dNormed, gradient, rows: rows, accumulate: true)
    rmsNormBackward(
      dx: d, dWeight: gradient.tensors?.inputNorm, dy: dNormed, state.input,
      weight: layer.inputNorm, plus: normPlus, eps: epsilon, accumulateInput: true, on: compute)
  }

  /// The derivative of what a norm read that not every architecture has; without it, `dy` itself.
  private func furtherNormBackward(
    _ dy: Floats, _ raw: Floats?, _ weight: Floats?, _ gradient: Floats?
  ) -> Floats {
    guard let raw, let weight else { return dy }
    let dx = arena.floats(dy.count)
    rmsNormBackward(
      dx: dx, dWeight: gradient, dy: dy, raw, weight: weight, plus: normPlus, eps: epsilon,
      on: compute)
    return dx
  }
}

/// One counted token: the row that foresees it, and what it should foresee.
struct LossTarget {
  let row: Int32
  let token: Int32
}

extension DecoderConfig {
  /// Rows whose logits exist at one time: about 128 MiB. Fixes how the loss is cut; the output
  /// matrix is packed for each of its parts.
  var headRowsMax: Int { min(512, max(64, (1 << 25) / vocabularySize)) }
}

extension Decoder {
  /// The summed cross-entropy of the counted tokens, and its derivative.
  ///
  /// A row may be counted more than once (the last of a prefix foresees the first of each branch).
  /// - Parameters:
  ///   - x: (T, columns), what left the last layer.
  ///   - dx: (T, columns), overwritten; nil: only the loss is wanted.
  ///   - gradient: added to; nil: the decoder is frozen.
  func loss(
    _ x: Floats, _ targets: [LossTarget], dx: Floats?, gradient: DecoderTensors<Floats>?
  ) -> Double {
    dx?.fill(0)
    var loss = 0.0
    for start in stride(from: 0, to: targets.count, by: config.headRowsMax) {
      let part = targets[start..<min(start + config.headRowsMax, targets.count)]
      arena.scope { loss += lossOfPart(x, Array(part), dx: dx, gradient: gradient) }
    }
    return loss
  }

  private func lossOfPart(
    _ x: Floats, _ targets: [LossTarget], dx: Floats?, gradient: DecoderTensors<Floats>?
  ) -> Double {
    let rows = targets.count
    let ids = targets.map(\.row)
    let gathered = arena.floats(rows * columns)
    gatherRows(into: gathered, x, ids: ids, columns: columns)
    let normed = arena.floats(rows * columns)
    norm(gathered, weights.norm, into: normed)
    let logits = arena.floats(rows * config.vocabularySize)
    weights.head.apply(normed, into: logits, rows: rows, on: compute)
    let loss = softmaxCrossEntropy(
      dLogits: dx == nil ? nil : logits, logits, targets: targets.map(\.token),
      counted: Array(repeating: true, count: rows), on: compute)
    guard let dx else { return loss }
    let dNormed = arena.floats(rows * columns)
    linearBackward(
      dx: dNormed, dWeight: gradient?.head.weight, dBias: nil, dy: logits, normed,
      weight: weights.head.weight, rows: rows, on: compute)
    let dGathered = arena.floats(rows * columns)
    rmsNormBackward(
      dx: dGathered, dWeight: gradient?.norm, dy: dNormed, gathered, weight: weights.norm,
      plus: normPlus, eps: epsilon, on: compute)
    scatterAddRows(into: dx, dGathered, ids: ids, columns: columns, on: compute)
    return loss
  }
}
