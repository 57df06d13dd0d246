import Formats
import Kernels

/// What attention is like in a layer.
struct LayerAttention {
  let shape: AttentionShape
  let rotary: RotaryTable
}

/// What a decoder needs to run: its shape, its weights, its angles, its scratch.
///
/// One value serves one thread: the arena is its own.
struct Decoder {
  let config: DecoderConfig
  let weights: DecoderTensors<Floats>
  /// Beside the weights; nil for a plain model.
  let adapters: DecoderAdapters<Floats>?
  /// The embedding, when it is kept in codes.
  private let codedEmbedding: PackedMatrix?
  /// The embedding, when it is left in its file.
  private let embeddingRows: TensorRows?
  /// Of the layers that see everything before a row.
  private var whole: LayerAttention
  /// Of the layers with a window.
  private var windowed: LayerAttention
  private let windowedLayers: Set<Int>
  /// What is added to the weights of norms.
  let normPlus: Float
  let gate: GateFunction
  let compute: Compute
  let arena: Arena
  /// For attention over packed rows, whose products are those of attention over pages.
  let attending: Compute

  /// - Parameters:
  ///   - positions: the longest sequence that will be asked for.
  ///   - isFixed: the weights do not change while this value lives, and are packed.
  init(_ model: Model, positions: Int, isFixed: Bool, compute: Compute, arena: Arena) {
    config = model.text
    precondition(isFixed || model.isTrainable, "a model in codes is not trained")
    let tensors = model.decoderTensors()
    weights = isFixed ? tensors.packed(config, model.coded, on: compute) : tensors
    adapters = model.adapterTensors()
    codedEmbedding = model.coded[weights.embeddingName]
    embeddingRows = model.embeddingRows
    (whole, windowed) = Self.attentions(config, positions: positions)
    windowedLayers = Set(config.window?.layers ?? [])
    normPlus = config.traits.normsAddOne ? 1 : 0
    gate = config.traits.gate.kernel
    attending = model.keyValues == .bf16 ? compute.multiplying(.bf16) : compute
    self.compute = compute
    self.arena = arena
  }

  private static func attentions(
    _ config: DecoderConfig, positions: Int
  ) -> (whole: LayerAttention, windowed: LayerAttention) {
    func attention(_ window: Int?, base: Double, _ scaling: RopeScaling) -> LayerAttention {
      LayerAttention(
        shape: AttentionShape(
          heads: config.headCount, keyValueHeads: config.keyValueHeadCount,
          headSize: config.headSize,
          scale: config.queryScalar.map { Float(1 / $0.squareRoot()) }, window: window),
        rotary: RotaryTable(
          headSize: config.headSize, base: Float(base),
          divisors: scaling.divisors(headSize: config.headSize, base: base).map { Float($0) },
          positions: positions))
    }
    let whole = attention(nil, base: config.ropeBase, config.ropeScaling)
    guard let window = config.window else { return (whole, whole) }
    guard let base = window.ropeBase else {
      return (whole, attention(window.size, base: config.ropeBase, config.ropeScaling))
    }
    return (whole, attention(window.size, base: base, .none))
  }

  func attention(in layer: Int) -> LayerAttention {
    windowedLayers.contains(layer) ? windowed : whole
  }

  /// The heads, which are the same in all layers.
  var shape: AttentionShape { whole.shape }
  /// The longest sequence that there is room for.
  var positions: Int { whole.rotary.positions }

  /// Makes room for longer sequences.
  mutating func reach(positions: Int) {
    (whole, windowed) = Self.attentions(config, positions: positions)
  }

  /// What the embedding's rows are multiplied with; nil: nothing.
  var embeddingScale: Float? {
    config.traits.scalesEmbedding ? Float(Double(columns).squareRoot()) : nil
  }

  /// Rows of the embedding: (ids, columns).
  func embed(_ ids: [Int32], into x: Floats) {
    if let codedEmbedding {
      codedEmbedding.gatherRows(into: x, ids: ids, on: compute)
    } else if let embeddingRows {
      for (place, id) in ids.enumerated() {
        x[place * columns..<(place + 1) * columns].withUnsafeMutableBufferPointer {
          embeddingRows.read(Int(id), into: $0)
        }
      }
      embeddingRows.release()
    } else {
      gatherRows(into: x, weights.embedding, ids: ids, columns: columns)
    }
    if let embeddingScale { scale(x, by: embeddingScale, on: compute) }
  }

  /// The derivative of `embed`.
  ///
  /// - Parameters:
  ///   - d: (ids, columns).
  ///   - dEmbedding: (vocabulary, columns), added to.
  func embedBackward(_ d: Floats, _ ids: [Int32], into dEmbedding: Floats) {
    arena.scope {
      var scaled = d
      if let embeddingScale {
        scaled = arena.floats(d.count)
        scaled.copy(from: d)
        scale(scaled, by: embeddingScale, on: compute)
      }
      scatterAddRows(into: dEmbedding, scaled, ids: ids, columns: columns, on: compute)
    }
  }

  /// RMS norm of rows as wide as the weight.
  func norm(_ x: Floats, _ weight: Floats, into y: Floats) {
    rmsNorm(into: y, x, weight: weight, plus: normPlus, eps: epsilon, on: compute)
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

extension GateActivation {
  var kernel: GateFunction {
    switch self {
    case .silu: .silu
    case .geluTanh: .geluTanh
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
  /// What an architecture's further norms read; nil where it has none. (T, heads · headSize) and
  /// (T, keyValueHeads · headSize), before their norm; twice (T, columns), before what attention
  /// and feed-forward give is added.
  let rawQuery, rawKey, attentionOutput, feedForwardOutput: Floats?
}

/// What the forward pass keeps of a layer; all in the arena.
enum KeptLayer {
  /// Everything, and attention's log-sum-exps, (T, heads).
  case state(DecoderLayerState, logSumExp: Floats)
  /// What entered the layer, (T, columns): the backward pass runs it forward again.
  case input(Floats)
}

extension Decoder {
  /// One layer: `m = x + O(attend(rotate(QKV(norm(x)))))`, `y = m + down(f(gate) · up)` of
  /// `norm(m)`; with further norms where the architecture has them.
  ///
  /// - Parameters:
  ///   - index: of the layer.
  ///   - x: (T, columns).
  ///   - y: (T, columns), overwritten; nil: only the states are wanted.
  ///   - positions: (T).
  ///   - attend: fills `attended` from query, key and value, the first two turned already.
  func forward(
    _ index: Int, _ x: Floats, into y: Floats?, positions: [Int32],
    attend: (_ attended: Floats, _ query: Floats, _ key: Floats, _ value: Floats) -> Void
  ) -> DecoderLayerState {
    let layer = weights.layers[index]
    let rotary = attention(in: index).rotary
    let rows = positions.count
    let query = arena.floats(rows * shape.columns)
    let key = arena.floats(rows * shape.keyValueColumns)
    let value = arena.floats(rows * shape.keyValueColumns)
    let attended = arena.floats(rows * shape.columns)
    let middle = arena.floats(rows * columns)
    let gate = arena.floats(rows * config.intermediateSize)
    let up = arena.floats(rows * config.intermediateSize)
    let rawQuery = layer.queryNorm.map { _ in arena.floats(query.count) }
    let rawKey = layer.keyNorm.map { _ in arena.floats(key.count) }
    let attentionOutput = layer.attentionOutputNorm.map { _ in arena.floats(x.count) }
    let feedForwardOutput = layer.feedForwardOutputNorm.map { _ in arena.floats(x.count) }
    arena.scope {
      let normed = arena.floats(rows * columns)
      norm(x, layer.inputNorm, into: normed)
      apply(.query, of: index, normed, into: rawQuery ?? query, rows: rows)
      apply(.key, of: index, normed, into: rawKey ?? key, rows: rows)
      apply(.value, of: index, normed, into: value, rows: rows)
      furtherNorm(rawQuery, layer.queryNorm, into: query)
      furtherNorm(rawKey, layer.keyNorm, into: key)
      rotate(query, positions: positions, rotary, pairing, on: compute)
      rotate(key, positions: positions, rotary, pairing, on: compute)
      attend(attended, query, key, value)
      apply(.output, of: index, attended, into: attentionOutput ?? middle, rows: rows)
      furtherNorm(attentionOutput, layer.attentionOutputNorm, into: middle)
      add(into: middle, x, on: compute)
      norm(middle, layer.middleNorm, into: normed)
      apply(.gate, of: index, normed, into: gate, rows: rows)
      apply(.up, of: index, normed, into: up, rows: rows)
      guard let result = feedForwardOutput ?? y else { return }
      let hidden = arena.floats(rows * config.intermediateSize)
      gated(into: hidden, gate: gate, up: up, self.gate, on: compute)
      apply(.down, of: index, hidden, into: result, rows: rows)
      guard let y else { return }
      furtherNorm(feedForwardOutput, layer.feedForwardOutputNorm, into: y)
      add(into: y, middle, on: compute)
    }
    return DecoderLayerState(
      input: x, query: query, key: key, value: value, attended: attended, middle: middle,
      gate: gate, up: up, rawQuery: rawQuery, rawKey: rawKey, attentionOutput: attentionOutput,
      feedForwardOutput: feedForwardOutput)
  }

  /// A norm that not every architecture has; without it `y` is filled already.
  private func furtherNorm(_ raw: Floats?, _ weight: Floats?, into y: Floats) {
    if let raw, let weight { norm(raw, weight, into: y) }
  }

  /// Runs all layers over packed rows and keeps what the backward pass needs.
  ///
  /// - Parameters:
  ///   - x: (T, columns), the embeddings.
  ///   - recomputes: only what enters each layer is kept.
  /// - Returns: what is kept of the layers, and what left the last one, (T, columns).
  func forwardKeeping(
    _ x: Floats, _ layout: AttentionLayout, positions: [Int32], recomputes: Bool
  ) -> (layers: [KeptLayer], output: Floats) {
    var layers: [KeptLayer] = []
    var current = x
    for index in weights.layers.indices {
      let next = arena.floats(x.count)
      if recomputes {
        arena.scope { _ = forward(index, current, into: next, layout, positions: positions) }
        layers.append(.input(current))
      } else {
        let (state, logSumExp) = forward(
          index, current, into: next, layout, positions: positions)
        layers.append(.state(state, logSumExp: logSumExp))
      }
      current = next
    }
    return (layers, current)
  }

  /// Runs all layers over packed rows, in place, keeping nothing.
  func forward(_ x: Floats, _ layout: AttentionLayout, positions: [Int32]) {
    for index in weights.layers.indices {
      arena.scope {
        let next = arena.floats(x.count)
        _ = forward(index, x, into: next, layout, positions: positions)
        x.copy(from: next)
      }
    }
  }

  /// One layer over packed rows.
  ///
  /// - Parameter y: (T, columns), overwritten; nil: only the states are wanted.
  func forward(
    _ index: Int, _ x: Floats, into y: Floats?, _ layout: AttentionLayout, positions: [Int32]
  ) -> (state: DecoderLayerState, logSumExp: Floats) {
    let logSumExp = arena.floats(positions.count * shape.heads)
    let shape = attention(in: index).shape
    let state = forward(index, x, into: y, positions: positions) { out, q, k, v in
      Kernels.attention(
        into: out, logSumExp: logSumExp, q: q, k: k, v: v, layout, shape, on: attending)
    }
    return (state, logSumExp)
  }

  /// Norm and output matrix: rows of logits from rows that left the last layer.
  ///
  /// - Parameters:
  ///   - logits: (R, vocabulary), overwritten.
  ///   - x: (R, columns).
  func head(_ x: Floats, into logits: Floats, rows: Int) {
    arena.scope {
      let normed = arena.floats(x.count)
      norm(x, weights.norm, into: normed)
      weights.head.apply(normed, into: logits, rows: rows, on: compute)
    }
  }
}
