import Formats
import Kernels

/// What a decoder needs to run: its shape, its weights, its angles, its scratch.
///
/// One value serves one thread: the arena is its own.
struct Decoder {
  let config: DecoderConfig
  let weights: DecoderTensors<Floats>
  /// The embedding, when it is kept in codes.
  private let codedEmbedding: PackedMatrix?
  let shape: AttentionShape
  private(set) var rotary: RotaryTable
  let compute: Compute
  let arena: Arena

  /// - Parameters:
  ///   - positions: the longest sequence that will be asked for.
  ///   - isFixed: the weights do not change while this value lives, and are packed.
  init(_ model: Model, positions: Int, isFixed: Bool, compute: Compute, arena: Arena) {
    config = model.text
    precondition(isFixed || model.isTrainable, "a model in codes is not trained")
    let tensors = model.decoderTensors()
    weights = isFixed ? tensors.packed(config, model.coded, on: compute) : tensors
    codedEmbedding = model.coded[weights.embeddingName]
    shape = AttentionShape(
      heads: config.headCount, keyValueHeads: config.keyValueHeadCount, headSize: config.headSize)
    rotary = Self.rotary(config, positions: positions)
    self.compute = compute
    self.arena = arena
  }

  private static func rotary(_ config: DecoderConfig, positions: Int) -> RotaryTable {
    RotaryTable(headSize: config.headSize, base: Float(config.ropeBase), positions: positions)
  }

  /// Makes room for longer sequences.
  mutating func reach(positions: Int) { rotary = Self.rotary(config, positions: positions) }

  /// Rows of the embedding: (ids, columns).
  func embed(_ ids: [Int32], into x: Floats) {
    if let codedEmbedding {
      codedEmbedding.gatherRows(into: x, ids: ids, on: compute)
    } else {
      gatherRows(into: x, weights.embedding, ids: ids, columns: columns)
    }
  }

  var columns: Int { config.hiddenSize }
  var epsilon: Float { Float(config.normEpsilon) }
  var pairing: RotaryPairing {
    switch config.ropeStyle {
    case .halfSplit: .halfSplit
    case .interleaved: .interleaved
    }
  }
}

/// What one layer leaves behind for its backward pass; all in the arena.
struct DecoderLayerState {
  /// (T, columns), what entered the layer.
  let input: Floats
  /// (T, heads · headSize), turned.
  let query: Floats
  /// (T, keyValueHeads · headSize), turned.
  let key: Floats
  /// (T, keyValueHeads · headSize).
  let value: Floats
  /// (T, heads · headSize), what attention gave.
  let attended: Floats
  /// (T, columns), between attention and feed-forward.
  let middle: Floats
  /// (T, intermediate).
  let gate: Floats
  /// (T, intermediate).
  let up: Floats
}

extension Decoder {
  /// One layer: `m = x + O(attend(rotate(QKV(norm(x)))))`, `y = m + down(silu(gate) · up)` of
  /// `norm(m)`.
  ///
  /// - Parameters:
  ///   - x: (T, columns).
  ///   - y: (T, columns), overwritten.
  ///   - positions: (T).
  ///   - attend: fills `attended` from query, key and value, the first two turned already.
  func forward(
    _ layer: DecoderLayerTensors<Floats>, _ x: Floats, into y: Floats, positions: [Int32],
    attend: (_ attended: Floats, _ query: Floats, _ key: Floats, _ value: Floats) -> Void
  ) -> DecoderLayerState {
    let rows = positions.count
    let query = arena.floats(rows * shape.columns)
    let key = arena.floats(rows * shape.keyValueColumns)
    let value = arena.floats(rows * shape.keyValueColumns)
    let attended = arena.floats(rows * shape.columns)
    let middle = arena.floats(rows * columns)
    let gate = arena.floats(rows * config.intermediateSize)
    let up = arena.floats(rows * config.intermediateSize)
    arena.scope {
      let normed = arena.floats(rows * columns)
      rmsNorm(into: normed, x, weight: layer.inputNorm, eps: epsilon, on: compute)
      layer.query.apply(normed, into: query, rows: rows, on: compute)
      layer.key.apply(normed, into: key, rows: rows, on: compute)
      layer.value.apply(normed, into: value, rows: rows, on: compute)
      rotate(query, positions: positions, rotary, pairing, on: compute)
      rotate(key, positions: positions, rotary, pairing, on: compute)
      attend(attended, query, key, value)
      layer.output.apply(attended, into: middle, rows: rows, on: compute)
      add(into: middle, x, on: compute)
      rmsNorm(into: normed, middle, weight: layer.middleNorm, eps: epsilon, on: compute)
      layer.gate.apply(normed, into: gate, rows: rows, on: compute)
      layer.up.apply(normed, into: up, rows: rows, on: compute)
      let hidden = arena.floats(rows * config.intermediateSize)
      gatedSiLU(into: hidden, gate: gate, up: up, on: compute)
      layer.down.apply(hidden, into: y, rows: rows, on: compute)
      add(into: y, middle, on: compute)
    }
    return DecoderLayerState(
      input: x, query: query, key: key, value: value, attended: attended, middle: middle,
      gate: gate, up: up)
  }

  /// Runs all layers over packed rows and keeps what the backward pass needs.
  ///
  /// - Parameter x: (T, columns), the embeddings.
  /// - Returns: the layers' states and what left the last one, (T, columns).
  func forwardKeeping(
    _ x: Floats, _ layout: AttentionLayout, positions: [Int32]
  ) -> (states: [DecoderLayerState], logSumExps: [Floats], output: Floats) {
    var states: [DecoderLayerState] = []
    var logSumExps: [Floats] = []
    var current = x
    for layer in weights.layers {
      let next = arena.floats(x.count)
      let logSumExp = arena.floats(positions.count * shape.heads)
      let state = forward(layer, current, into: next, positions: positions) { out, q, k, v in
        attention(into: out, logSumExp: logSumExp, q: q, k: k, v: v, layout, shape, on: compute)
      }
      states.append(state)
      logSumExps.append(logSumExp)
      current = next
    }
    return (states, logSumExps, current)
  }

  /// Runs all layers over packed rows, in place, keeping nothing.
  func forward(_ x: Floats, _ layout: AttentionLayout, positions: [Int32]) {
    for layer in weights.layers {
      arena.scope {
        let next = arena.floats(x.count)
        let logSumExp = arena.floats(positions.count * shape.heads)
        _ = forward(layer, x, into: next, positions: positions) { out, q, k, v in
          attention(into: out, logSumExp: logSumExp, q: q, k: k, v: v, layout, shape, on: compute)
        }
        x.copy(from: next)
      }
    }
  }

  /// Norm and output matrix: rows of logits from rows that left the last layer.
  ///
  /// - Parameters:
  ///   - logits: (R, vocabulary), overwritten.
  ///   - x: (R, columns).
  func head(_ x: Floats, into logits: Floats, rows: Int) {
    arena.scope {
      let normed = arena.floats(x.count)
      rmsNorm(into: normed, x, weight: weights.norm, eps: epsilon, on: compute)
      weights.head.apply(normed, into: logits, rows: rows, on: compute)
    }
  }
}
