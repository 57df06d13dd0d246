public import Formats
import Foundation
import Kernels

extension Model {
  /// Loads a model from a Hugging Face folder (a text decoder or `llava`) or a GGUF file.
  ///
  /// A folder without `tokenizer.json` or image processor gives a model without; one whose files
  /// are wrong does not load.
  /// - Parameter purpose: what the model is for.
  /// - Throws: `FormatError` naming file, tensor or key, and what was expected.
  public static func load(
    _ path: String, for purpose: ModelPurpose = .anything
  ) throws(FormatError) -> Model {
    var isDirectory: ObjCBool = false
    guard FileManager.default.fileExists(atPath: path, isDirectory: &isDirectory) else {
      throw FormatError(
        file: path, subject: "model", problem: .missing,
        expected: "a Hugging Face folder or a GGUF file", remedy: "check the path")
    }
    return isDirectory.boolValue ? try load(folder: path, purpose) : try load(gguf: path, purpose)
  }

  private static func load(
    folder: String, _ purpose: ModelPurpose
  ) throws(FormatError) -> Model {
    let config = try ModelConfig(writingText: folder)
    let store = try TensorStore(folder: folder)
    try checkSecondLayer(config, store)
    let source = try store.renamed { canonicalName($0, config) }
    return try load(
      config, source, purpose,
      tokenizer: has(folder, "tokenizer.json") ? try Tokenizer(folder: folder) : nil,
      imageProcessor: try loadImageProcessor(folder))
  }

  private static func load(
    gguf path: String, _ purpose: ModelPurpose
  ) throws(FormatError) -> Model {
    let file = try GGUFFile(path: path)
    var text = try file.decoderConfig()
    // `huggingFaceTensors` puts the rows of queries and keys into Hugging Face's order.
    text.ropeStyle = .halfSplit
    return try load(
      .decoder(text), try file.huggingFaceTensors(), purpose, tokenizer: try file.tokenizer(),
      imageProcessor: nil)
  }

  /// - Parameter source: tensors by the layout's names.
  private static func load(
    _ config: ModelConfig, _ source: TensorStore, _ purpose: ModelPurpose,
    tokenizer: Tokenizer?, imageProcessor: ImageProcessor?
  ) throws(FormatError) -> Model {
    let all = ParameterLayout(config)
    let coded = try readPacked(all, config, source, purpose)
    guard !coded.isEmpty else {
      return Model(
        config: config, parameters: try readParameters(all, source), tokenizer: tokenizer,
        imageProcessor: imageProcessor)
    }
    let embedding = all.parameters.first { $0.isLookedUp(config) }
    let elsewhere = all.parameters.filter { $0.part == .unused }.map(\.name)
    let layout = ParameterLayout(
      config, omitting: Set(coded.keys).union(elsewhere).union(embedding.map { [$0.name] } ?? []))
    let embeddingRows = try embedding.map { parameter throws(FormatError) in
      try source.rows(parameter.name, shape: (parameter.shape[0], parameter.shape[1]))
    }
    return Model(
      config: config, layout: layout, parameters: try readParameters(layout, source),
      coded: coded, embeddingRows: embeddingRows, purpose: purpose, tokenizer: tokenizer,
      imageProcessor: imageProcessor)
  }

  static func loadImageProcessor(_ folder: String) throws(FormatError) -> ImageProcessor? {
    let isThere = has(folder, "preprocessor_config.json") || has(folder, "processor_config.json")
    return isThere ? try ImageProcessor(folder: folder) : nil
  }

  private static func has(_ folder: String, _ name: String) -> Bool {
    FileManager.default.fileExists(atPath: folder + "/" + name)
  }
}

/// Reads all parameters of a model into one vector.
/// - Throws: `FormatError` for the first tensor that is missing or has another shape.
func readParameters(_ config: ModelConfig, _ store: TensorStore) throws(FormatError) -> Floats {
  try readParameters(
    ParameterLayout(config), try store.renamed { canonicalName($0, config) })
}

/// - Parameter source: tensors by the layout's names.
private func readParameters(
  _ layout: ParameterLayout, _ source: TensorStore
) throws(FormatError) -> Floats {
  let parameters = Floats(zeros: layout.count)
  for parameter in layout.parameters {
    try parameters[parameter.range].withUnsafeMutableBufferPointer { buffer throws(FormatError) in
      try source.read(parameter.name, shape: parameter.shape, into: buffer)
    }
    source.release(parameter.name)
  }
  return parameters
}

/// The matrices as products read them, one after the other; none where a model is loaded for
/// anything.
private func readPacked(
  _ layout: ParameterLayout, _ config: ModelConfig, _ source: TensorStore, _ purpose: ModelPurpose
) throws(FormatError) -> [String: PackedMatrix] {
  guard case .generation(let precision, let compute) = purpose, compute.canReadCodes else {
    return [:]
  }
  let packing = compute.multiplying(precision.products)
  var packed: [String: PackedMatrix] = [:]
  let memory = Arena()
  for parameter in layout.parameters
  where parameter.part != .unused && !parameter.isLookedUp(config) {
    defer { source.release(parameter.name) }
    packed[parameter.name] = try source.matrix(
      parameter, config, precision, in: memory, on: packing)
  }
  return packed
}

extension TensorStore {
  /// In codes where the file has it so or the precision asks for it, else packed; nil for what no
  /// product reads.
  fileprivate func matrix(
    _ parameter: ParameterLayout.Parameter, _ config: ModelConfig,
    _ precision: GenerationPrecision, in memory: Arena, on compute: Compute
  ) throws(FormatError) -> PackedMatrix? {
    let stored = contains(parameter.name) ? try encoding(of: parameter.name).codeForm : nil
    if let codes = parameter.codes(stored, precision) {
      let matrix = PackedMatrix(
        outputs: parameter.shape[0], inputs: parameter.shape[1], codes: codes, in: memory,
        on: compute)
      try fill(matrix, parameter, isCoded: stored != nil, on: compute)
      return matrix
    }
    guard parameter.isPacked(config) else { return nil }
    let values = Floats(zeros: parameter.range.count)
    try values.withUnsafeMutableBufferPointer { buffer throws(FormatError) in
      try read(parameter.name, shape: parameter.shape, into: buffer)
    }
    return packLinear(values, outputs: parameter.shape[0], in: memory, on: compute)
  }

  // Inlined, it makes the optimiser of Swift 6.3.1 break its own rules of ownership.
  @inline(never)
  fileprivate func fill(
    _ matrix: PackedMatrix, _ parameter: ParameterLayout.Parameter, isCoded: Bool,
    on compute: Compute
  ) throws(FormatError) {
    guard isCoded else {
      return try readRows(parameter.name, shape: parameter.shape) { row, values in
        matrix.setRow(row, CodedRow(quantizing: values), on: compute)
      }
    }
    try readCodes(parameter.name, shape: parameter.shape) { row, codes in
      matrix.setRow(row, CodedRow(codes), on: compute)
    }
  }
}

extension CodedRow {
  /// A row as its file has it.
  fileprivate init(_ row: RowCodes) {
    self.init(
      codes: row.codes, scales: row.scales, offsets: row.offsets, scaleSteps: row.scaleSteps,
      offsetSteps: row.offsetSteps)
  }
}

extension ModelConfig {
  /// The config of a model that writes text.
  init(writingText folder: String) throws(FormatError) {
    self = try ModelConfig(folder: folder)
    guard case .vision = self else { return }
    throw FormatError(
      file: folder + "/config.json", subject: "key model_type",
      problem: .unsupported(found: "a vision tower alone"),
      expected: "a model that writes text: a decoder or llava",
      remedy: "assemble a LLaVA model from the tower and a language model")
  }
}

/// A linear projector is saved with a second layer that does nothing; one that does something was
/// put there by another program, and a model without it would answer otherwise.
private func checkSecondLayer(_ config: ModelConfig, _ store: TensorStore) throws(FormatError) {
  guard case .llava(let llava) = config, llava.projector == .linear else { return }
  let source = try store.renamed { canonicalName($0, config) }
  let columns = llava.text.hiddenSize
  for (name, diagonal) in [("weight", Float(1)), ("bias", 0)] {
    let tensor = "multi_modal_projector.linear_2.\(name)"
    guard source.contains(tensor) else { continue }
    let values = try source.floats(tensor)
    let step = columns + 1
    let isNothing = values.indices.allSatisfy { values[$0] == ($0 % step == 0 ? diagonal : 0) }
    guard isNothing else {
      throw FormatError(
        file: source.origin, subject: "tensor \(tensor)",
        problem: .malformed(found: "a layer that changes its input"),
        expected: "the identity, because mm_projector_type is linear",
        remedy: "multiply the two layers into linear_1")
    }
  }
}

/// The name of a tensor as this project and `transformers` 5 write it, from the names of older and
/// of other writers; nil for tensors that no model here has.
private func canonicalName(_ name: String, _ config: ModelConfig) -> String? {
  if name.hasSuffix("position_ids") || name.hasSuffix("rotary_emb.inv_freq") { return nil }
  switch config {
  case .decoder:
    // Gemma-3's text half may stand beside a tower.
    for prefix in ["model.language_model.", "language_model.model."] where name.hasPrefix(prefix) {
      return "model." + name.dropFirst(prefix.count)
    }
    return name
  case .vision: return towerName(Substring(name))
  case .llava:
    let inner = name.hasPrefix("model.") ? name.dropFirst("model.".count) : Substring(name)
    if inner.hasPrefix("vision_tower.") {
      return towerName(inner.dropFirst("vision_tower.".count)).map { "vision_tower." + $0 }
    }
    if inner == "lm_head.weight" { return "language_model.lm_head.weight" }
    if inner.hasPrefix("language_model.") && inner.startIndex != name.startIndex {
      return "language_model.model." + inner.dropFirst("language_model.".count)
    }
    return String(inner)
  }
}

/// The part of a vision tower's name that all writers agree on.
private func towerName(_ name: Substring) -> String? {
  for prefix in ["vision_model.", "dinov2."] where name.hasPrefix(prefix) {
    return String(name.dropFirst(prefix.count))
  }
  return String(name)
}
