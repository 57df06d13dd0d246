public import Formats
import Foundation
public import Kernels

/// What is known of a model before it is loaded: its config, and which matrices its file has in
/// codes. A folder with nothing but `config.json` will do.
public struct ModelOutline: Sendable {
  public let config: ModelConfig
  /// Matrices that are kept in codes, by name.
  private var coded: [String: CodeLayout]
  private var products = ProductPrecision.f32
  private var keyValues = ProductPrecision.f32
  let layout: ParameterLayout

  /// - Parameter precision: what it is to generate with.
  /// - Throws: `FormatError`, also for a vision tower alone.
  public init(_ path: String, _ precision: GenerationPrecision = .f32) throws(FormatError) {
    var isDirectory: ObjCBool = false
    guard FileManager.default.fileExists(atPath: path, isDirectory: &isDirectory) else {
      throw FormatError(
        file: path, subject: "model", problem: .missing,
        expected: "a Hugging Face folder or a GGUF file", remedy: "check the path")
    }
    if isDirectory.boolValue {
      self.init(try ModelConfig(writingText: path))
      for parameter in layout.parameters {
        coded[parameter.name] = parameter.codes(nil, precision)
      }
      (products, keyValues) = (precision.products, precision.keyValues)
      return
    }
    let file = try GGUFFile(path: path)
    self.init(.decoder(try file.decoderConfig()))
    (products, keyValues) = (precision.products, precision.keyValues)
    let store = try file.huggingFaceTensors()
    for parameter in layout.parameters where store.contains(parameter.name) {
      coded[parameter.name] = parameter.codes(
        try store.encoding(of: parameter.name).codeForm, precision)
    }
  }

  /// - Precondition: the config is of a model that writes text.
  public init(_ config: ModelConfig) {
    self.config = config
    layout = ParameterLayout(config)
    coded = [:]
  }

  /// The same model with all matrices of its language model in this encoding.
  public func quantised(_ encoding: TensorEncoding) -> ModelOutline {
    var outline = self
    for parameter in layout.parameters where parameter.part == .language {
      outline.coded[parameter.name] = parameter.codes(encoding.codeForm, .f32)
    }
    return outline
  }

  public var text: DecoderConfig {
    switch config {
    case .decoder(let text): text
    case .llava(let llava): llava.text
    case .vision: preconditionFailure("a vision tower alone writes no text")
    }
  }

  public var seesPictures: Bool { llava != nil }
  /// Embeddings that a picture takes in the context, at the model's own size or, in tiles, at most;
  /// 0 without a tower.
  public var imageTokens: Int { llava?.imageTokensMax ?? 0 }

  public var architecture: String {
    llava.map { llava in
      let kind = llava.resolutions == nil ? "llava" : "llava_next"
      return "\(kind) (\(llava.vision.family), \(text.architecture.rawValue))"
    } ?? text.architecture.rawValue
  }

  var llava: LlavaConfig? { if case .llava(let llava) = config { llava } else { nil } }

  public var parameterCount: Int { layout.count }

  public var partSizes: [ParameterLayout.PartSize] { layout.partSizes }
}

extension ParameterLayout.Parameter {
  /// How the kernels keep this matrix; nil when they have it as floats.
  ///
  /// - Parameter stored: how the file has it; nil: as floats.
  func codes(_ stored: CodeForm?, _ precision: GenerationPrecision) -> CodeLayout? {
    guard shape.count == 2, let form = stored ?? (part == .language ? precision.form : nil)
    else { return nil }
    let layout = CodeLayout(form, precision.activations)
    return shape[1] % layout.group == 0 ? layout : nil
  }
}

extension CodeLayout {
  fileprivate init(_ form: CodeForm, _ activations: Activations) {
    let scales: Scales =
      switch form.scales {
      case .f32: .f32
      case .f16: .f16
      case .nested: .nested
      }
    self.init(
      bits: form.bits, block: form.block, hasOffsets: form.hasOffsets, scales: scales,
      activations: activations)
  }
}

// MARK: - Generation

/// What generation takes in memory, in bytes, computed before anything is loaded.
public struct GenerationMemory: Hashable, Sendable {
  /// Each matrix once, packed as floats or in its codes; an embedding that is not the head, too,
  /// stays in its file.
  public var weights: Int
  /// The pages of all sequences and of the beginnings that are kept.
  public var keyValues: Int
  /// Scratch of the largest pass: rows of prompts and answers, logits, or a picture in the tower.
  public var activations: Int
  public var features: Int
  public var keyValuesPerToken: Int

  public var total: Int { weights + keyValues + activations + features }
}

extension ModelOutline {
  /// - Parameter limits: `keyValueBytesMax` counts as it is, for kept beginnings fill the pages in
  ///   time.
  public func generationMemory(
    _ limits: GenerationLimits, on compute: Compute
  ) -> GenerationMemory {
    GenerationMemory(
      weights: weightBytes(on: compute), keyValues: limits.keyValueBytesMax,
      activations: activationBytes(limits, threads: compute.threads),
      features: llava == nil ? 0 : limits.featureBytesMax,
      keyValuesPerToken: pageBytes(rows: 32) / 32)
  }

  /// Limits of a generator for so many requests at one time, each of so many positions.
  public func limits(batch: Int, context: Int) -> GenerationLimits {
    var limits = GenerationLimits(batchMax: batch, contextMax: context)
    limits.keyValueBytesMax = keyValueBytes(sequences: batch, positions: context, limits: limits)
    limits.prefixBytesMax = limits.keyValueBytesMax / 2
    return limits
  }

  /// Bytes of keys and values of `sequences`, each of `positions`, in whole pages.
  public func keyValueBytes(sequences: Int, positions: Int, limits: GenerationLimits) -> Int {
    let pages = (positions + limits.pageRows - 1) / limits.pageRows
    return sequences * pages * pageBytes(rows: limits.pageRows)
  }

  private func pageBytes(rows: Int) -> Int {
    PagePool.pageBytes(
      PageLayout(
        layers: text.layerCount, rows: rows, keyValueHeads: text.keyValueHeadCount,
        headSize: text.headSize, precision: keyValues))
  }

  private func weightBytes(on compute: Compute) -> Int {
    let compute = compute.canReadCodes ? compute.multiplying(products) : compute
    return layout.parameters.reduce(0) { bytes, parameter in
      let count = parameter.range.count
      guard parameter.part != .unused else { return bytes }
      if compute.canReadCodes && parameter.isLookedUp(config) { return bytes }
      let codes = coded[parameter.name]
      guard codes != nil || parameter.isPacked(config) else { return bytes + 4 * count }
      return bytes
        + PackedMatrix.bytes(
          outputs: parameter.shape[0], inputs: count / parameter.shape[0], codes: codes,
          on: compute)
    }
  }

  /// The arena grows by doubling, so it may have twice what is used.
  private func activationBytes(_ limits: GenerationLimits, threads: Int) -> Int {
    let rows = max(limits.stepRowsMax, limits.batchMax + 1)
    let columns = text.hiddenSize
    let layer =
      4 * columns + 2 * text.headCount * text.headSize
      + 2 * text.keyValueHeadCount * text.headSize + 3 * text.intermediateSize
    let head = limits.batchMax * (2 * columns + text.vocabularySize) + 2 * text.vocabularySize
    let passes = max(rows * layer + head, rows * columns + towerFloats(keepsLayers: false))
    let context = limits.contextMax ?? text.contextLength
    // Of each thread: packed blocks of both factors, and the scores of 64 query rows.
    let kernels = threads * (768 * 256 + 128 * 272 + 64 * (context + 256))
    return 4 * (2 * passes + kernels + packedRows(rows))
  }

  /// Floats that the left side of a product takes at most when it is packed for all threads, as
  /// those of f32 are not.
  private func packedRows(_ rows: Int) -> Int {
    guard products != .f32 else { return 0 }
    let widest = max(text.hiddenSize, text.intermediateSize, text.headCount * text.headSize)
    return max(rows * widest, towerRows * (llava?.vision.intermediateSize ?? 0))
  }

  /// Rows of a picture of the tower's own size, or in the most tiles.
  private var towerRows: Int {
    guard let llava else { return 0 }
    let vision = llava.vision
    let side = vision.imageSize / vision.patchSize
    let tiles = llava.resolutions?
      .map { 1 + $0.height / vision.imageSize * ($0.width / vision.imageSize) }.max()
    return (tiles ?? 1) * (side * side + 1)
  }

  /// One picture in the tower.
  /// - Parameter keepsLayers: all its layers' states are there at one time.
  private func towerFloats(keepsLayers: Bool) -> Int {
    guard let llava else { return 0 }
    let (vision, rows) = (llava.vision, towerRows)
    let layer = 8 * vision.hiddenSize + vision.headCount + vision.intermediateSize
    let patches = rows * vision.channelCount * vision.patchSize * vision.patchSize
    return (keepsLayers ? llava.visionLayersUsed : 1) * rows * layer + 2 * patches
      + rows * (6 * vision.hiddenSize + vision.intermediateSize)
      + 4 * llava.imageTokensMax * llava.text.hiddenSize
  }
}

/// More memory is needed than may be used.
public struct MemoryShortage: Error, Hashable, Sendable, CustomStringConvertible {
  public var needed: GenerationMemory
  public var allowed: Int

  public init(needed: GenerationMemory, allowed: Int) {
    (self.needed, self.allowed) = (needed, allowed)
  }

  public var description: String {
    func gibibytes(_ bytes: Int) -> String {
      let tenths = (bytes * 10 + (1 << 30) - 1) >> 30
      return "\(tenths / 10).\(tenths % 10) GiB"
    }
    return """
      the model needs \(gibibytes(needed.total)) to generate (weights \
      \(gibibytes(needed.weights)), keys and values \(gibibytes(needed.keyValues)), a pass \
      \(gibibytes(needed.activations)), features of pictures \(gibibytes(needed.features))) and \
      \(gibibytes(allowed)) may be used: take weights of fewer bits or a smaller model, give it a \
      machine with more memory, or raise --memory
      """
  }
}

extension ModelOutline {
  /// The limits as far as memory allows: keys and values, then features, have less when all does
  /// not fit.
  ///
  /// - Parameters:
  ///   - allowed: bytes; nil: no limit.
  ///   - positions: keys and values of at least one sequence of so many must fit.
  /// - Throws: `MemoryShortage` with what is needed at least.
  public func fitting(
    _ limits: GenerationLimits, into allowed: Int?, positions: Int = 1_024, on compute: Compute
  ) throws(MemoryShortage) -> GenerationLimits {
    guard let allowed else { return limits }
    var fitting = limits
    let missing = generationMemory(limits, on: compute).total - allowed
    guard missing > 0 else { return limits }
    let context = min(limits.contextMax ?? text.contextLength, text.contextLength)
    let least = keyValueBytes(
      sequences: 1, positions: min(positions, context), limits: limits)
    let lessFeatures = llava == nil ? 0 : min(missing, limits.featureBytesMax / 2)
    fitting.featureBytesMax -= lessFeatures
    fitting.keyValueBytesMax = max(
      min(least, limits.keyValueBytesMax), limits.keyValueBytesMax - (missing - lessFeatures))
    fitting.prefixBytesMax = min(limits.prefixBytesMax, fitting.keyValueBytesMax / 2)
    let needed = generationMemory(fitting, on: compute)
    guard needed.total <= allowed else {
      throw MemoryShortage(needed: needed, allowed: allowed)
    }
    return fitting
  }
}

// MARK: - Training

/// What training takes in memory, in bytes.
public struct TrainingMemory: Hashable, Sendable {
  /// Of a trained parameter 16: weight, gradient and two moments in f32; of a frozen one 4.
  public var state: Int
  /// Frozen matrices once more, as products read them: in each worker.
  public var packed: Int
  /// What a pass of `rows` rows leaves for its backward pass, and the scratch of the largest step:
  /// a layer's derivatives, or the logits of the rows that the head takes at one time.
  public var activations: Int

  /// Of each worker when the state is spread over `shards` of them.
  public func perWorker(shards: Int) -> Int {
    (state + shards - 1) / shards + packed + activations
  }
}

extension ModelOutline {
  /// - Parameters:
  ///   - rows: tokens and picture features of one pass.
  ///   - recomputes: as `Trainer.recomputes`.
  ///   - adapters: that the model is given for the training.
  ///   - compute: where it is trained.
  public func trainingMemory(
    _ trained: TrainedParts, rows: Int, recomputes: Bool = false, adapters: AdapterShape? = nil,
    on compute: Compute
  ) -> TrainingMemory {
    let layout = adapters.map { ParameterLayout(config, adapters: $0) } ?? layout
    let count = layout.range(of: trained).count
    let keeps = trained != .projector || llava != nil
    let pictures = llava.map { (rows + $0.imageTokenCount - 1) / max(1, $0.imageTokenCount) } ?? 0
    let floats =
      decoderFloats(rows: rows, keeps: keeps, recomputes: recomputes) + pictures
      * towerFloats(keepsLayers: trained == .all)
    return TrainingMemory(
      state: 4 * layout.count + 12 * count, packed: packedBytes(trained, on: compute),
      activations: 4 * (floats + packedRows(rows)))
  }

  private func packedBytes(_ trained: TrainedParts, on compute: Compute) -> Int {
    guard compute.canReadCodes else { return 0 }
    let compute = compute.multiplying(products)
    return layout.parameters.reduce(0) { bytes, parameter in
      guard parameter.part != .unused, !trained.contains(parameter.part),
        parameter.isPacked(config)
      else { return bytes }
      let outputs = parameter.shape[0]
      return bytes
        + PackedMatrix.bytes(
          outputs: outputs, inputs: parameter.range.count / outputs, codes: nil, on: compute)
    }
  }

  /// What lies in the arena at one time when the decoder is trained on `rows` rows.
  ///
  /// - Parameter keeps: there is a backward pass through the layers.
  private func decoderFloats(rows: Int, keeps: Bool, recomputes: Bool) -> Int {
    let (columns, inner) = (text.hiddenSize, text.intermediateSize)
    let queries = text.headCount * text.headSize
    let keys = text.keyValueHeadCount * text.headSize
    var state = columns + 2 * queries + 2 * keys + 2 * inner + text.headCount
    var backward = 4 * columns + 2 * queries + 2 * keys + 2 * inner
    if text.traits.normsQueriesAndKeys {
      state += queries + keys
      backward += queries + keys
    }
    if text.traits.normsOutputs {
      state += 2 * columns
      backward += 2 * columns
    }
    let headRows = min(rows, text.headRowsMax)
    let head = headRows * (text.vocabularySize + 4 * columns)
    guard keeps else { return rows * (columns + state + 2 * columns + inner) + head }
    // The embeddings, what leaves each layer, and the derivative that goes back through them.
    let carried = rows * columns * (text.layerCount + 2)
    let forward = rows * (state + columns + inner)
    guard recomputes else {
      return carried + rows * text.layerCount * state + max(head, rows * backward)
    }
    return carried + max(head, forward, rows * (state + backward))
  }
}
