import Formats
import Kernels

/// Turns picture features into embeddings: `W x + b`, or `W₂ f(W₁ x + b₁) + b₂`.
struct Projector {
  let weights: ProjectorTensors<Floats>
  let inputs: Int
  let outputs: Int
  /// Between the two layers; nil when there is only one.
  let activation: Kernels.Activation?
  let compute: Compute
  let arena: Arena

  /// - Parameter isFixed: as for `Decoder`.
  init?(_ model: Model, isFixed: Bool, compute: Compute, arena: Arena) {
    guard let llava = model.llava, let tensors = model.projectorTensors() else { return nil }
    inputs = llava.vision.hiddenSize
    outputs = llava.text.hiddenSize
    weights = isFixed ? tensors.packed(outputs: outputs, model.coded, on: compute) : tensors
    switch llava.projector {
    case .linear: activation = nil
    case .mlp(let chosen): activation = chosen.kernel
    }
    self.compute = compute
    self.arena = arena
  }

  /// - Parameters:
  ///   - features: (P, inputs).
  ///   - projected: (P, outputs), overwritten.
  /// - Returns: (P, outputs) in the arena, before the activation, for the backward pass.
  func forward(_ features: Floats, into projected: Floats) -> Floats {
    let rows = features.count / inputs
    guard let second = weights.second, let activation else {
      weights.first.apply(features, into: projected, rows: rows, on: compute)
      return projected
    }
    let hidden = arena.floats(rows * outputs)
    weights.first.apply(features, into: hidden, rows: rows, on: compute)
    arena.scope {
      let activated = arena.floats(hidden.count)
      activate(into: activated, hidden, activation, on: compute)
      second.apply(activated, into: projected, rows: rows, on: compute)
    }
    return hidden
  }

  /// What the language model reads of a picture: its projected features, with newlines.
  ///
  /// - Parameters:
  ///   - features: (lines.features, inputs).
  ///   - x: (lines.rows, outputs), overwritten.
  func embed(_ features: Floats, _ lines: PictureLines, into x: Floats) {
    arena.scope {
      let projected = arena.floats(lines.features * outputs)
      _ = forward(features, into: projected)
      lines.forEachRun { row, run in
        if let run {
          x[row * outputs..<(row + run.count) * outputs]
            .copy(from: projected[run.lowerBound * outputs..<run.upperBound * outputs])
        } else if let newline = weights.newline {
          x[row * outputs..<(row + 1) * outputs].copy(from: newline)
        }
      }
    }
  }

  /// - Parameters:
  ///   - dProjected: (P, outputs).
  ///   - hidden: what `forward` returned.
  ///   - dFeatures: (P, inputs), added to; nil: the tower is frozen.
  ///   - gradient: added to.
  func backward(
    _ dProjected: Floats, features: Floats, hidden: Floats, dFeatures: Floats?,
    gradient: ProjectorTensors<Floats>
  ) {
    let rows = features.count / inputs
    arena.scope {
      var dFirst = dProjected
      if let second = weights.second, let target = gradient.second, let activation {
        let activated = arena.floats(hidden.count)
        activate(into: activated, hidden, activation, on: compute)
        dFirst = arena.floats(hidden.count)
        linearBackward(
          dx: dFirst, dWeight: target.weight, dBias: target.bias, dy: dProjected, activated,
          weight: second.weight, rows: rows, on: compute)
        activateBackward(dx: dFirst, dy: dFirst, hidden, activation, on: compute)
      }
      linearBackward(
        dx: dFeatures, dWeight: gradient.first.weight, dBias: gradient.first.bias, dy: dFirst,
        features, weight: weights.first.weight, rows: rows, accumulateInput: true, on: compute)
    }
  }
}
