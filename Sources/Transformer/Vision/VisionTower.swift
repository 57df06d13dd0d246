import Formats
import Kernels

/// A vision tower up to the layer whose output the language model reads.
///
/// One value serves one thread: the arena is its own.
struct VisionTower {
  let llava: LlavaConfig
  let weights: VisionTensors<Floats>
  /// The layers that run.
  let layersUsed: Int
  let shape: AttentionShape
  let compute: Compute
  let arena: Arena

  /// - Parameter isFixed: as for `Decoder`.
  init?(_ model: Model, isFixed: Bool, compute: Compute, arena: Arena) {
    guard let llava = model.llava, let tensors = model.visionTensors() else { return nil }
    self.llava = llava
    layersUsed = llava.visionLayersUsed
    weights =
      isFixed
      ? tensors.packed(llava.vision, layersUsed: layersUsed, model.coded, on: compute) : tensors
    shape = AttentionShape(
      heads: llava.vision.headCount, keyValueHeads: llava.vision.headCount,
      headSize: llava.vision.hiddenSize / llava.vision.headCount)
    self.compute = compute
    self.arena = arena
  }

  var config: VisionConfig { llava.vision }
  var columns: Int { config.hiddenSize }
  var epsilon: Float { Float(config.normEpsilon) }
  var side: Int { config.imageSize / config.patchSize }
  var pixelColumns: Int { config.channelCount * config.patchSize * config.patchSize }
  var activation: Kernels.Activation { config.activation.kernel }

  /// Rows of a picture, or of a tile of it, in the tower: the class token, where there is one, and
  /// the patches.
  func rows(_ grid: PatchGrid) -> Int { config.family.classRows + grid.count }
}

extension Formats.Activation {
  var kernel: Kernels.Activation {
    switch self {
    case .quickGELU: .quickGELU
    case .gelu: .gelu
    case .geluTanh: .geluTanh
    }
  }
}

/// What one vision layer leaves behind for its backward pass; all in the arena.
struct VisionLayerState {
  /// (T, columns) each; `logSumExp` (T, heads).
  let input, query, key, value, attended, logSumExp: Floats
  /// (T, columns), what attention adds, before LayerScale.
  let attentionOutput: Floats
  let middle: Floats
  /// (T, intermediate), before the activation.
  let hidden: Floats
  /// (T, columns), what the feed-forward adds, before LayerScale.
  let feedForwardOutput: Floats
}

/// What a run over some pictures leaves behind; all in the arena.
struct VisionState {
  let grids: [PictureGrid]
  /// (patches of all pictures, channels · patch · patch).
  let unfolded: Floats
  /// (T, columns), before CLIP's first norm; holds anything when nothing was kept.
  let embedded: Floats
  /// Empty when nothing was kept.
  let layers: [VisionLayerState]
  /// (T, columns), what left the last layer that runs; the class token first in each picture.
  let output: Floats

  /// Of the tiles of all pictures, in order.
  var tiles: [PatchGrid] { Self.tiles(grids) }

  static func tiles(_ grids: [PictureGrid]) -> [PatchGrid] {
    grids.flatMap { Array(repeating: $0.patches, count: $0.tileCount) }
  }
}

extension VisionTower {
  /// Sees pictures together; each picture's rows depend on it alone.
  ///
  /// - Parameter keepsLayers: what a backward pass needs stays in the arena. Without, two layers'
  ///   memory will do for all, and `embedded` holds anything.
  /// - Precondition: `grids` are what `LlavaConfig.grid(of:)` gave for the pictures.
  func forward(
    _ pictures: [PixelValues], grids: [PictureGrid], keepsLayers: Bool
  ) -> VisionState {
    precondition(pictures.count == grids.count, "a grid for each picture expected")
    let tiles = VisionState.tiles(grids)
    let patches = tiles.reduce(0) { $0 + $1.count }
    let rows = tiles.reduce(0) { $0 + self.rows($1) }
    let unfolded = arena.floats(patches * pixelColumns)
    let embedded = arena.floats(rows * columns)
    embed(pictures, grids, unfolded: unfolded, into: embedded)
    var current = embedded
    if let norm = weights.inputNorm {
      current = arena.floats(rows * columns)
      layerNorm(
        into: current, embedded, weight: norm.weight, bias: norm.bias, eps: epsilon, on: compute)
    }
    let layout = AttentionLayout.full(tiles.map(self.rows))
    var states: [VisionLayerState] = []
    var spare = keepsLayers ? current : arena.floats(rows * columns)
    for layer in weights.layers[..<layersUsed] {
      if keepsLayers {
        let next = arena.floats(rows * columns)
        states.append(forward(layer, current, into: next, layout))
        current = next
      } else {
        arena.scope { _ = forward(layer, current, into: spare, layout) }
        swap(&current, &spare)
      }
    }
    return VisionState(
      grids: grids, unfolded: unfolded, embedded: embedded, layers: states, output: current)
  }

  /// Class token and patches, with their positions.
  private func embed(
    _ pictures: [PixelValues], _ grids: [PictureGrid], unfolded: Floats, into x: Floats
  ) {
    arena.scope {
      var patch = 0
      for (picture, grid) in zip(pictures, grids) {
        let (values, count) = (Floats(picture.values), grid.patches.count)
        let length = values.count / grid.tileCount
        for tile in 0..<grid.tileCount {
          unfoldPatches(
            into: unfolded[patch * pixelColumns..<(patch + count) * pixelColumns],
            values[tile * length..<(tile + 1) * length], channels: picture.channels,
            height: picture.height, width: picture.width, patch: config.patchSize)
          patch += count
        }
      }
      let patches = arena.floats(patch * columns)
      weights.patches.apply(unfolded, into: patches, rows: patch, on: compute)
      var (row, first) = (0, 0)
      for grid in VisionState.tiles(grids) {
        let picture = x[row * columns..<(row + rows(grid)) * columns]
        if let classEmbedding = weights.classEmbedding {
          picture[0..<columns].copy(from: classEmbedding)
        }
        let end = first + grid.count
        picture[config.family.classRows * columns..<picture.count]
          .copy(from: patches[first * columns..<end * columns])
        let positions = arena.floats(picture.count)
        table(grid).resize(into: positions, weights.positions, columns: columns, on: compute)
        add(into: picture, positions, on: compute)
        first = end
        row += rows(grid)
      }
    }
  }

  func table(_ grid: PatchGrid) -> PositionTable {
    PositionTable(side: side, gridRows: grid.rows, gridColumns: grid.columns)
  }

  /// One layer: `m = x + s₁ · attention(norm(x))`, `y = m + s₂ · feedForward(norm(m))`; without
  /// LayerScale both s are 1.
  private func forward(
    _ layer: VisionLayerTensors<Floats>, _ x: Floats, into y: Floats, _ layout: AttentionLayout
  ) -> VisionLayerState {
    let rows = layout.rows
    func floats(_ width: Int) -> Floats { arena.floats(rows * width) }
    let (query, key, value) = (floats(columns), floats(columns), floats(columns))
    let (attended, logSumExp) = (floats(columns), floats(shape.heads))
    let (attentionOutput, middle) = (floats(columns), floats(columns))
    let (hidden, feedForwardOutput) = (floats(config.intermediateSize), floats(columns))
    arena.scope {
      let normed = floats(columns)
      norm(layer.attentionNorm, x, into: normed)
      layer.query.apply(normed, into: query, rows: rows, on: compute)
      layer.key.apply(normed, into: key, rows: rows, on: compute)
      layer.value.apply(normed, into: value, rows: rows, on: compute)
      attention(
        into: attended, logSumExp: logSumExp, q: query, k: key, v: value, layout, shape,
        on: compute)
      layer.output.apply(attended, into: attentionOutput, rows: rows, on: compute)
      addResidual(x, attentionOutput, scales: layer.attentionScale, into: middle)
      norm(layer.feedForwardNorm, middle, into: normed)
      layer.first.apply(normed, into: hidden, rows: rows, on: compute)
      let activated = floats(config.intermediateSize)
      activate(into: activated, hidden, activation, on: compute)
      layer.second.apply(activated, into: feedForwardOutput, rows: rows, on: compute)
      addResidual(middle, feedForwardOutput, scales: layer.feedForwardScale, into: y)
    }
    return VisionLayerState(
      input: x, query: query, key: key, value: value, attended: attended, logSumExp: logSumExp,
      attentionOutput: attentionOutput, middle: middle, hidden: hidden,
      feedForwardOutput: feedForwardOutput)
  }

  func norm(_ norm: NormTensors<Floats>, _ x: Floats, into y: Floats) {
    layerNorm(into: y, x, weight: norm.weight, bias: norm.bias, eps: epsilon, on: compute)
  }

  /// `y = x + s · branch`.
  private func addResidual(_ x: Floats, _ branch: Floats, scales: Floats?, into y: Floats) {
    if let scales {
      layerScale(into: y, branch, scales: scales, on: compute)
    } else {
      y.copy(from: branch)
    }
    add(into: y, x, on: compute)
  }

  /// Copies the rows that the language model reads.
  ///
  /// - Parameters:
  ///   - features: (Σ features of the pictures, columns), overwritten.
  ///   - output: (T, columns), as `VisionState.output`.
  func selectFeatures(into features: Floats, _ output: Floats, _ grids: [PictureGrid]) {
    gatherRows(into: features, output, ids: featureRows(grids), columns: columns)
  }

  /// The derivative of `selectFeatures`; `dOutput` is overwritten.
  func selectFeaturesBackward(dOutput: Floats, _ dFeatures: Floats, _ grids: [PictureGrid]) {
    dOutput.fill(0)
    scatterAddRows(
      into: dOutput, dFeatures, ids: featureRows(grids), columns: columns, on: compute)
  }

  /// The rows of the tower's output that are features, of all pictures.
  private func featureRows(_ grids: [PictureGrid]) -> [Int32] {
    var start = 0
    return grids.flatMap { grid in
      defer { start += grid.tileCount * rows(grid.patches) }
      return llava.featureRows(of: grid).map { Int32(start + $0) }
    }
  }
}
