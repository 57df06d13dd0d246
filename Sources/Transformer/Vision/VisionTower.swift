import Formats
import Kernels

/// A vision tower up to the layer whose output the language model reads.
///
/// One value serves one thread: the arena is its own.
struct VisionTower {
  let config: VisionConfig
  let weights: VisionTensors<Floats>
  /// The layers that run.
  let layersUsed: Int
  /// Which of the rows are features.
  let selection: FeatureSelection
  let shape: AttentionShape
  let compute: Compute
  let arena: Arena

  /// - Parameter isFixed: as for `Decoder`.
  init?(_ model: Model, isFixed: Bool, compute: Compute, arena: Arena) {
    guard let llava = model.llava, let tensors = model.visionTensors() else { return nil }
    config = llava.vision
    layersUsed = llava.visionLayersUsed
    weights =
      isFixed ? tensors.packed(config, layersUsed: layersUsed, on: compute) : tensors
    selection = llava.featureSelection
    shape = AttentionShape(
      heads: config.headCount, keyValueHeads: config.headCount,
      headSize: config.hiddenSize / config.headCount)
    self.compute = compute
    self.arena = arena
  }

  var columns: Int { config.hiddenSize }
  var epsilon: Float { Float(config.normEpsilon) }
  var side: Int { config.imageSize / config.patchSize }
  var pixelColumns: Int { config.channelCount * config.patchSize * config.patchSize }
  var activation: Kernels.Activation { config.activation.kernel }

  /// The grid of patches of a picture, or why the tower cannot see it.
  func grid(of pixels: PixelValues) throws(InputError) -> PatchGrid {
    let grid = PatchGrid(
      rows: pixels.height / config.patchSize, columns: pixels.width / config.patchSize)
    let isExact = pixels.height == config.imageSize && pixels.width == config.imageSize
    guard pixels.channels == config.channelCount, grid.count > 0,
      config.family == .dinov2 || isExact
    else {
      throw .pictureSize(
        channels: pixels.channels, height: pixels.height, width: pixels.width,
        expected: config.imageSize)
    }
    return grid
  }

  /// Rows of features of a picture with this grid.
  func featureRows(_ grid: PatchGrid) -> Int {
    config.featureCount(patches: grid.count, selection)
  }

  /// Rows of a picture with this grid in the tower: the class token, where there is one, and the
  /// patches.
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

/// The patches of a picture, by rows.
struct PatchGrid: Hashable {
  let rows: Int
  let columns: Int
  var count: Int { rows * columns }
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
  let grids: [PatchGrid]
  /// (patches of all pictures, channels · patch · patch).
  let unfolded: Floats
  /// (T, columns), before CLIP's first norm.
  let embedded: Floats
  let layers: [VisionLayerState]
  /// (T, columns), what left the last layer that runs; the class token first in each picture.
  let output: Floats
}

extension VisionTower {
  /// Sees pictures together; each picture's rows depend on it alone.
  /// - Precondition: `grids` are what `grid(of:)` gave for the pictures.
  func forward(_ pictures: [PixelValues], grids: [PatchGrid]) -> VisionState {
    precondition(pictures.count == grids.count, "a grid for each picture expected")
    let patches = grids.reduce(0) { $0 + $1.count }
    let rows = grids.reduce(0) { $0 + self.rows($1) }
    let unfolded = arena.floats(patches * pixelColumns)
    let embedded = arena.floats(rows * columns)
    embed(pictures, grids, unfolded: unfolded, into: embedded)
    var current = embedded
    if let norm = weights.inputNorm {
      current = arena.floats(rows * columns)
      layerNorm(
        into: current, embedded, weight: norm.weight, bias: norm.bias, eps: epsilon, on: compute)
    }
    let layout = AttentionLayout.full(grids.map(self.rows))
    var states: [VisionLayerState] = []
    for layer in weights.layers[..<layersUsed] {
      let next = arena.floats(rows * columns)
      states.append(forward(layer, current, into: next, layout))
      current = next
    }
    return VisionState(
      grids: grids, unfolded: unfolded, embedded: embedded, layers: states, output: current)
  }

  /// Class token and patches, with their positions.
  private func embed(
    _ pictures: [PixelValues], _ grids: [PatchGrid], unfolded: Floats, into x: Floats
  ) {
    arena.scope {
      var patch = 0
      for (picture, grid) in zip(pictures, grids) {
        unfoldPatches(
          into: unfolded[patch * pixelColumns..<(patch + grid.count) * pixelColumns],
          Floats(picture.values), channels: picture.channels, height: picture.height,
          width: picture.width, patch: config.patchSize)
        patch += grid.count
      }
      let patches = arena.floats(patch * columns)
      weights.patches.apply(unfolded, into: patches, rows: patch, on: compute)
      var (row, first) = (0, 0)
      for grid in grids {
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
  ///   - features: (Σ featureRows, columns), overwritten.
  ///   - output: (T, columns), as `VisionState.output`.
  func selectFeatures(into features: Floats, _ output: Floats, _ grids: [PatchGrid]) {
    forEachPicture(grids) { rows, featureRows in
      features[featureRows].copy(from: output[rows])
    }
  }

  /// The derivative of `selectFeatures`; `dOutput` is overwritten.
  func selectFeaturesBackward(dOutput: Floats, _ dFeatures: Floats, _ grids: [PatchGrid]) {
    dOutput.fill(0)
    forEachPicture(grids) { rows, featureRows in
      dOutput[rows].copy(from: dFeatures[featureRows])
    }
  }

  private func forEachPicture(
    _ grids: [PatchGrid], _ body: (_ rows: Range<Int>, _ featureRows: Range<Int>) -> Void
  ) {
    var (row, feature) = (0, 0)
    for grid in grids {
      let count = featureRows(grid)
      let start = row + rows(grid) - count
      body(
        start * columns..<(start + count) * columns,
        feature * columns..<(feature + count) * columns)
      row += rows(grid)
      feature += count
    }
  }
}
