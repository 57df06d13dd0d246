import Formats
public import Kernels

/// Loss of some samples: a sum over their counted tokens, in nats.
public struct LossSum: Hashable, Sendable {
  public var loss: Double
  public var tokens: Int
  public init(loss: Double, tokens: Int) {
    self.loss = loss
    self.tokens = tokens
  }

  /// Mean loss of a token; 0 when none is counted.
  public var mean: Double { tokens == 0 ? 0 : loss / Double(tokens) }
}

/// Gradients of a model for samples, on the parts that are trained.
///
/// A call's result depends on its samples, in their order, and on the parameters; not on threads,
/// nor on calls before it. Samples are computed in passes of whole samples of at most
/// `rowsPerPass` rows (a longer sample has one for itself), which fixes how sums are cut. Scratch
/// memory is made in the first passes and used again. One trainer belongs to one thread.
public final class Trainer {
  public let model: Model
  public let trained: TrainedParts
  /// The part of `model.parameters` that gradients are for.
  public let trainedRange: Range<Int>
  public let rowsPerPass: Int
  /// Only what enters each decoder layer is kept; the backward pass runs the layer forward again.
  /// Less memory, one more forward pass, the same bits.
  public let recomputes: Bool
  private let compute: Compute
  private let arena = Arena()
  private let tower: VisionTower?
  private let projector: Projector?
  private var decoder: Decoder
  /// Floats of scratch that were ever lent at one time.
  var scratchPeak: Int { arena.peakCount }
  private var cache: FeatureCache
  private let parts: GradientParts
  /// What gradients without a vector of the caller's are made in, once there are such.
  private var scratch: GradientScratch?
  private var spare: Floats?

  /// - Parameter featureBytesMax: for features of a frozen tower, kept by the pictures' keys.
  public init(
    model: Model, trained: TrainedParts, compute: Compute, rowsPerPass: Int = 1024,
    recomputes: Bool = false, featureBytesMax: Int = 1 << 28
  ) {
    precondition(rowsPerPass > 0, "a pass has at least one row, not \(rowsPerPass)")
    let compute = compute.multiplying(model.products)
    self.model = model
    self.trained = trained
    self.compute = compute
    self.rowsPerPass = rowsPerPass
    self.recomputes = recomputes
    trainedRange = model.layout.range(of: trained)
    tower = VisionTower(
      model, isFixed: !trained.contains(.vision), compute: compute, arena: arena)
    projector = Projector(
      model, isFixed: !trained.contains(.projector), compute: compute, arena: arena)
    decoder = Decoder(
      model, positions: min(model.contextLength, 1024), isFixed: !trained.contains(.language),
      compute: compute, arena: arena)
    cache = FeatureCache(bytesMax: featureBytesMax)
    parts = GradientParts(model.layout, trained: trainedRange, layers: model.text.layerCount)
  }

  /// The gradient of the summed loss of all counted tokens, not divided by their number.
  ///
  /// - Parameters:
  ///   - gradient: (trainedRange.count), overwritten. Nil: it is made in memory of this trainer, of
  ///     the size of one layer and of what is in none, where the samples are one pass.
  ///   - imageLoss: adds derivatives of further losses on the pictures of each pass.
  ///   - finished: hears of each part of the gradient once, when nothing is added to it any more:
  ///     one layer after the other from the last, then the rest; where it lies in the gradient, its
  ///     values, and the loss of all samples. Without a `gradient` the values are the listener's
  ///     until it returns. After the first nothing is thrown.
  /// - Throws: `InputError`, and what loading a picture throws.
  public func gradient(
    of samples: [TrainingInput], into gradient: Floats?,
    imageLoss: ((ImageStates) -> Void)? = nil,
    finished: ((Range<Int>, Floats, LossSum) -> Void)? = nil
  ) throws -> LossSum {
    precondition(
      gradient.map { $0.count == trainedRange.count } ?? true,
      "a gradient of \(trainedRange.count)")
    let passes = try passes(samples)
    let memory = gradient.map { .vector($0) } ?? memory(passes: passes.count)
    memory.clear()
    let targets = GradientTargets(model, trained, memory, from: trainedRange.lowerBound)
    var untold = Set(parts.layers.indices)
    func tell(_ ranges: [Range<Int>], _ sum: LossSum) {
      for range in ranges { finished?(range, memory.window(range), sum) }
    }
    let sum = try forEachPass(samples, passes) { pass, before in
      backward(pass, targets, imageLoss: imageLoss) { layer, loss in
        guard pass.isLast else { return }
        untold.remove(layer)
        tell(
          parts.layers[layer],
          LossSum(loss: before.loss + loss, tokens: before.tokens + pass.packed.targets.count))
        if case .scratch(let scratch) = memory { scratch.clearLayer() }
      }
    }
    for layer in untold.sorted(by: >) { tell(parts.layers[layer], sum) }
    tell(parts.others, sum)
    return sum
  }

  /// Of this trainer, for a gradient of so many passes.
  private func memory(passes: Int) -> GradientMemory {
    if passes > 1 {
      let vector = spare ?? Floats(zeros: trainedRange.count)
      spare = vector
      return .vector(vector)
    }
    let room = scratch ?? GradientScratch(parts)
    scratch = room
    return .scratch(room)
  }

  /// The summed loss alone.
  public func loss(of samples: [TrainingInput]) throws -> LossSum {
    try forEachPass(samples, passes(samples)) { pass, _ in
      let x = embed(pass.packed, projected: pass.projected)
      decoder.forward(x, pass.packed.layout, positions: pass.packed.layout.positions)
      return decoder.loss(x, pass.packed.targets, dx: nil, gradient: nil)
    }
  }

  /// Logits of every row of a sample, branches after the prefix.
  /// - Returns: (rows, vocabulary) in memory of its own.
  public func logits(of sample: TrainingInput) throws -> Floats {
    var result = Floats(zeros: 0)
    _ = try forEachPass([sample], passes([sample])) { pass, _ in
      let x = embed(pass.packed, projected: pass.projected)
      decoder.forward(x, pass.packed.layout, positions: pass.packed.layout.positions)
      result = Floats(zeros: pass.packed.tokens.count * model.text.vocabularySize)
      decoder.head(x, into: result, rows: pass.packed.tokens.count)
      return 0
    }
    return result
  }
}

// MARK: - Passes

extension Trainer {
  /// Some samples, packed, with their pictures seen.
  private struct Pass {
    var firstSample: Int
    /// Of its call.
    var isLast = false
    var imageRows: [[Range<Int>]] = []
    var packed = PackedSamples()
    /// (P, vision columns) and (P, columns).
    var features = Floats(zeros: 0)
    var projected = Floats(zeros: 0)
    /// What `Projector.forward` returned.
    var hidden = Floats(zeros: 0)
    /// What the tower left behind, when it is trained.
    var vision: VisionState?
  }

  /// - Parameter body: is given a pass and the sum of those before it; returns the pass's loss.
  private func forEachPass(
    _ samples: [TrainingInput], _ passes: [Range<Int>], _ body: (Pass, LossSum) -> Double
  ) throws -> LossSum {
    var sum = LossSum(loss: 0, tokens: 0)
    for range in passes {
      arena.reset()
      let seen = try samples[range].map { sample in
        let pictures = try sample.images.map(see)
        try checkLength(sample, imageRows: pictures.map(\.lines.rows))
        return pictures
      }
      var pass = pack(samples[range], seen)
      pass.isLast = range.upperBound == samples.count
      sum.loss += body(pass, sum)
      sum.tokens += pass.packed.targets.count
    }
    return sum
  }

  /// Cuts a call into passes. A picture counts with the rows of the model's own picture size, so
  /// that nothing has to be loaded to know the cuts.
  private func passes(_ samples: [TrainingInput]) throws(InputError) -> [Range<Int>] {
    for sample in samples { try checkPieces(sample) }
    let imageTokens = model.llava?.imageTokensMax ?? 0
    var ranges: [Range<Int>] = []
    var (start, total) = (0, 0)
    for (index, sample) in samples.enumerated() {
      let rows = sample.rows(imageRows: sample.images.map { _ in imageTokens })
      if index > start && total + rows > rowsPerPass {
        ranges.append(start..<index)
        (start, total) = (index, 0)
      }
      total += rows
    }
    if start < samples.count { ranges.append(start..<samples.count) }
    return ranges
  }

  /// A picture with its pixels, or with its features from the cache.
  private struct SeenPicture {
    enum Source {
      case pixels(PixelValues, PictureGrid, key: String?)
      case kept(Floats)
    }
    var lines: PictureLines
    var source: Source
  }

  private func see(_ image: ModelImage) throws -> SeenPicture {
    guard let tower else { throw InputError.cannotSee }
    if !trained.contains(.vision), let key = image.key, let kept = cache.features(of: key) {
      return SeenPicture(lines: kept.lines, source: .kept(kept.features))
    }
    let pixels = try image.load()
    let grid = try tower.llava.grid(of: pixels)
    return SeenPicture(
      lines: tower.llava.lines(of: grid), source: .pixels(pixels, grid, key: image.key))
  }

  private func checkPieces(_ sample: TrainingInput) throws(InputError) {
    for piece in ([sample.prefix] + sample.branches).joined() {
      try piece.piece.check(
        pictures: sample.images.count, canSee: tower != nil,
        vocabulary: model.text.vocabularySize)
    }
  }

  private func checkLength(_ sample: TrainingInput, imageRows: [Int]) throws(InputError) {
    let positions = sample.positions(imageRows: imageRows)
    guard positions > 0 else { throw .empty }
    guard positions <= model.contextLength else {
      throw .tooLong(positions: positions, limit: model.contextLength)
    }
    if positions > decoder.positions {
      decoder.reach(positions: min(model.contextLength, 2 * positions))
    }
  }

  private func pack(_ samples: ArraySlice<TrainingInput>, _ seen: [[SeenPicture]]) -> Pass {
    var pass = Pass(firstSample: samples.startIndex)
    var feature = 0
    for (sample, pictures) in zip(samples, seen) {
      let placed = pictures.map { picture in
        defer { feature += picture.lines.features }
        return PackedSamples.PlacedPicture(
          features: feature..<feature + picture.lines.features, lines: picture.lines)
      }
      pass.packed.append(sample, placed)
      pass.imageRows.append(placed.map(\.features))
    }
    guard let tower, let projector, feature > 0 else { return pass }
    pass.features = arena.floats(feature * tower.columns)
    pass.projected = arena.floats(feature * projector.outputs)
    let pictures = Array(seen.joined())
    if trained.contains(.vision) {
      pass.vision = fillFeatures(pass.features, pictures, tower)
    } else {
      arena.scope { _ = fillFeatures(pass.features, pictures, tower) }
    }
    pass.hidden = projector.forward(pass.features, into: pass.projected)
    return pass
  }

  /// Computes what the cache did not have, all pictures together; a frozen tower's is kept.
  /// - Returns: what a trained tower needs for its backward pass.
  private func fillFeatures(
    _ features: Floats, _ pictures: [SeenPicture], _ tower: VisionTower
  ) -> VisionState {
    var (pixels, grids): ([PixelValues], [PictureGrid]) = ([], [])
    for case .pixels(let values, let grid, _) in pictures.map(\.source) {
      pixels.append(values)
      grids.append(grid)
    }
    let state = tower.forward(
      pixels, grids: grids, keepsLayers: trained.contains(.vision))
    let computed = arena.floats(
      grids.reduce(0) { $0 + tower.llava.lines(of: $1).features } * tower.columns)
    tower.selectFeatures(into: computed, state.output, grids)
    var (next, row) = (0, 0)
    for picture in pictures {
      let count = picture.lines.features * tower.columns
      let target = features[row..<row + count]
      row += count
      switch picture.source {
      case .kept(let kept): target.copy(from: kept)
      case .pixels(_, _, let key):
        target.copy(from: computed[next..<next + count])
        next += count
        if !trained.contains(.vision), let key { cache.keep(target, picture.lines, of: key) }
      }
    }
    return state
  }
}

// MARK: - Forward and backward of a pass

extension Trainer {
  /// (T, columns): embeddings of the tokens, projected features and newlines where pictures stand.
  private func embed(_ packed: PackedSamples, projected: Floats) -> Floats {
    let columns = decoder.columns
    let x = arena.floats(packed.tokens.count * columns)
    decoder.embed(packed.tokens, into: x)
    for run in packed.featureRuns {
      let rows = x[run.row * columns..<(run.row + run.count) * columns]
      if let feature = run.feature {
        rows.copy(from: projected[feature * columns..<(feature + run.count) * columns])
      } else if let newline = projector?.weights.newline {
        rows.copy(from: newline)
      }
    }
    return x
  }

  /// - Parameter finished: hears of layers, with the pass's loss.
  private func backward(
    _ pass: Pass, _ targets: GradientTargets, imageLoss: ((ImageStates) -> Void)?,
    finished: (Int, Double) -> Void
  ) -> Double {
    let packed = pass.packed
    let (layout, positions) = (packed.layout, packed.layout.positions)
    let x = embed(packed, projected: pass.projected)
    if targets.decoder == nil && targets.adapters == nil && pass.features.isEmpty {
      decoder.forward(x, layout, positions: positions)
      return decoder.loss(x, packed.targets, dx: nil, gradient: nil)
    }
    let (layers, output) = decoder.forwardKeeping(
      x, layout, positions: positions, recomputes: recomputes)
    let d = arena.floats(x.count)
    let loss = decoder.loss(output, packed.targets, dx: d, gradient: targets.decoder)
    decoder.backward(
      d, layers, layout, positions: positions, gradient: targets.decoder,
      adapters: targets.adapters, finished: { finished($0, loss) })
    if let decoder = targets.decoder { embeddingBackward(d, packed, decoder.embedding) }
    picturesBackward(d, pass, targets, imageLoss: imageLoss)
    return loss
  }

  /// Adds the rows of tokens, not of pictures, to the embedding's gradient.
  private func embeddingBackward(_ d: Floats, _ packed: PackedSamples, _ dEmbedding: Floats) {
    let columns = decoder.columns
    var row = 0
    func scatter(upTo end: Int) {
      guard end > row else { return }
      decoder.embedBackward(
        d[row * columns..<end * columns], Array(packed.tokens[row..<end]), into: dEmbedding)
    }
    for run in packed.featureRuns {
      scatter(upTo: run.row)
      row = run.row + run.count
    }
    scatter(upTo: packed.tokens.count)
  }

  private func picturesBackward(
    _ d: Floats, _ pass: Pass, _ targets: GradientTargets, imageLoss: ((ImageStates) -> Void)?
  ) {
    guard let tower, let projector, let target = targets.projector, !pass.features.isEmpty else {
      return
    }
    let columns = projector.outputs
    let dProjected = arena.floats(pass.projected.count)
    dProjected.fill(0)
    for run in pass.packed.featureRuns {
      let rows = d[run.row * columns..<(run.row + run.count) * columns]
      if let feature = run.feature {
        add(
          into: dProjected[feature * columns..<(feature + run.count) * columns], rows, on: compute)
      } else if let newline = target.newline {
        add(into: newline, rows, on: compute)
      }
    }
    let dFeatures = pass.vision.map { _ in arena.floats(pass.features.count) }
    dFeatures?.fill(0)
    imageLoss?(
      ImageStates(
        imageRows: pass.imageRows, firstSample: pass.firstSample, features: pass.features,
        projected: pass.projected, dFeatures: dFeatures, dProjected: dProjected))
    projector.backward(
      dProjected, features: pass.features, hidden: pass.hidden, dFeatures: dFeatures,
      gradient: target)
    if let vision = pass.vision, let dFeatures, let gradient = targets.vision {
      let dOutput = arena.floats(vision.output.count)
      tower.selectFeaturesBackward(dOutput: dOutput, dFeatures, vision.grids)
      tower.backward(dOutput, vision, gradient: gradient)
    }
  }
}
