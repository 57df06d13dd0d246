public import Formats
import Kernels

/// Where every tensor of a model lies in its one vector of parameters.
///
/// The order is: what no output depends on (`unused`), vision tower, projector, adapters, language
/// model; in each, the order of the forward pass. So whatever is trained is one contiguous range.
/// Tensors follow each other without gaps.
public struct ParameterLayout: Sendable {
  /// `unused`: the vision tower behind the feature layer. It is kept only to be saved again.
  /// `adapters`: of the language model; see `Model.withAdapters`.
  public enum Part: Int, Hashable, Sendable, CaseIterable {
    case unused, vision, projector, adapters, language
  }

  public struct Parameter: Hashable, Sendable {
    /// As in the files of Hugging Face.
    public var name: String
    public var shape: [Int]
    public var part: Part
    /// Where the values lie, row-major, in the vector of all parameters.
    public var range: Range<Int>
  }

  /// In the order of the vector.
  public let parameters: [Parameter]
  /// Values in the vector.
  public let count: Int
  private let indices: [String: Int]
  /// Tensors of the model that are kept elsewhere.
  private let omitted: Set<String>

  public init(_ config: ModelConfig, adapters: AdapterShape? = nil) {
    self.init(config, adapters: adapters, omitting: [])
  }

  init(
    _ config: ModelConfig, adapters: AdapterShape? = nil, omitting omitted: Set<String>
  ) {
    var found: [Parameter] = []
    func visit(_ part: Part) -> TakeTensor<Void> {
      { name, shape in
        if omitted.contains(name) { return }
        found.append(Parameter(name: name, shape: shape, part: part, range: 0..<0))
      }
    }
    func visitAdapters(_ prefix: String, _ text: DecoderConfig) {
      if let adapters { _ = DecoderAdapters(prefix, text, adapters, visit(.adapters)) }
    }
    switch config {
    case .decoder(let text):
      visitAdapters("", text)
      _ = DecoderTensors("", text, visit(.language))
    case .vision(let vision): _ = VisionTensors("", vision, visit(.vision))
    case .llava(let llava):
      _ = VisionTensors("vision_tower.", llava.vision) { name, shape in
        visit(llava.isUsed(name) ? .vision : .unused)(name, shape)
      }
      _ = ProjectorTensors(llava, visit(.projector))
      visitAdapters("language_model.", llava.text)
      _ = DecoderTensors("language_model.", llava.text, visit(.language))
    }
    var ordered: [Parameter] = []
    var offset = 0
    for part in Part.allCases {
      for var parameter in found where parameter.part == part {
        let end = offset + parameter.shape.reduce(1, *)
        parameter.range = offset..<end
        offset = end
        ordered.append(parameter)
      }
    }
    parameters = ordered
    count = offset
    self.omitted = omitted
    indices = Dictionary(
      uniqueKeysWithValues: ordered.enumerated().map { ($0.element.name, $0.offset) })
  }

  public subscript(name: String) -> Parameter? { indices[name].map { parameters[$0] } }

  /// The range of a part; empty when the model has none.
  public func range(of part: Part) -> Range<Int> {
    let members = parameters.filter { $0.part == part }
    guard let first = members.first, let last = members.last else { return 0..<0 }
    return first.range.lowerBound..<last.range.upperBound
  }

  /// The contiguous range that a training changes; empty when the model has no such part.
  public func range(of trained: TrainedParts) -> Range<Int> {
    let members = parameters.filter { trained.contains($0.part) }
    guard let first = members.first, let last = members.last else { return 0..<0 }
    return first.range.lowerBound..<last.range.upperBound
  }

  /// Where the parameters of a layer of the language model lie, its adapters included, in order.
  func ranges(ofLayer layer: Int) -> [Range<Int>] {
    var ranges: [Range<Int>] = []
    for parameter in parameters
    where [.language, .adapters].contains(parameter.part)
      && parameter.name.contains("layers.\(layer).")
    {
      if let last = ranges.last, last.upperBound == parameter.range.lowerBound {
        ranges[ranges.count - 1] = last.lowerBound..<parameter.range.upperBound
      } else {
        ranges.append(parameter.range)
      }
    }
    return ranges
  }

  /// Hands out windows on the vector of all parameters; empty ones for tensors that are kept
  /// elsewhere.
  func taker(of vector: Floats) -> TakeTensor<Floats> { taker { vector[$0] } }

  /// - Parameter window: on a range of the vector of all parameters, of one tensor; an empty one of
  ///   an empty range.
  func taker(_ window: @escaping (Range<Int>) -> Floats) -> TakeTensor<Floats> {
    { name, shape in
      if omitted.contains(name) { return window(0..<0) }
      guard let parameter = self[name], parameter.shape == shape else {
        preconditionFailure("\(name) \(shape) is not in this layout")
      }
      return window(parameter.range)
    }
  }
}

extension ParameterLayout {
  /// How much of a model a part is.
  public struct PartSize: Hashable, Sendable {
    public var part: Part
    public var tensors: Int
    public var parameters: Int
  }

  /// Of the parts that the model has, in the order of its vector.
  public var partSizes: [PartSize] {
    Part.allCases.compactMap { part in
      let members = parameters.filter { $0.part == part }
      guard !members.isEmpty else { return nil }
      return PartSize(part: part, tensors: members.count, parameters: range(of: part).count)
    }
  }
}

/// Which parts of a model a training changes; the others are frozen.
public enum TrainedParts: Int, Hashable, Sendable, CaseIterable {
  case projector
  /// The adapters of the language model in place of its weights.
  case projectorAndAdapters
  /// Adapters, too, where the model has some.
  case projectorAndLanguage
  case all

  public func contains(_ part: ParameterLayout.Part) -> Bool {
    switch (self, part) {
    case (_, .unused): false
    case (_, .projector): true
    case (.projector, _), (.projectorAndAdapters, .vision), (.projectorAndAdapters, .language):
      false
    case (.projectorAndLanguage, .vision): false
    case (.projectorAndAdapters, .adapters), (.projectorAndLanguage, _), (.all, _): true
    }
  }
}

extension LlavaConfig {
  /// Vision layers that run: the feature is what leaves the last of them.
  ///
  /// `featureLayer` counts as `hidden_states` of transformers does: 0 is what enters the first
  /// layer, negative numbers count from the end, −1 being the last layer's output.
  public var visionLayersUsed: Int {
    featureLayer >= 0 ? featureLayer : vision.layerCount + 1 + featureLayer
  }

  func isUsed(_ visionName: String) -> Bool {
    let prefix =
      switch vision.family {
      case .clip, .siglip: "vision_tower.encoder.layers."
      case .dinov2: "vision_tower.encoder.layer."
      }
    if visionName.hasPrefix(prefix) {
      let digits = visionName.dropFirst(prefix.count).prefix { $0 != "." }
      return Int(digits).map { $0 < visionLayersUsed } ?? true
    }
    return !visionName.hasPrefix("vision_tower.post_layernorm")
      && !visionName.hasPrefix("vision_tower.layernorm")
  }
}
