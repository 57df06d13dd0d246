import Kernels

/// What a gradient is made in: a vector, or, where all samples are one pass, scratch memory in
/// which one layer of the language model follows the other.
enum GradientMemory {
  case vector(Floats)
  case scratch(GradientScratch)

  /// - Parameter range: of the gradient, within one of `GradientParts`.
  func window(_ range: Range<Int>) -> Floats {
    switch self {
    case .vector(let vector): vector[range]
    case .scratch(let scratch): scratch.window(range)
    }
  }

  func clear() {
    switch self {
    case .vector(let vector): vector.fill(0)
    case .scratch(let scratch): scratch.clear()
    }
  }
}

/// The ranges of a gradient that are finished together.
struct GradientParts {
  /// By layer of the language model; empty where nothing of it is trained.
  let layers: [[Range<Int>]]
  /// All between them.
  let others: [Range<Int>]

  /// - Parameter trained: of all parameters; the gradient's ranges count from its beginning.
  init(_ layout: ParameterLayout, trained: Range<Int>, layers count: Int) {
    func inGradient(_ range: Range<Int>) -> Range<Int>? {
      let range = range.clamped(to: trained)
      return range.isEmpty
        ? nil : range.lowerBound - trained.lowerBound..<range.upperBound - trained.lowerBound
    }
    layers = (0..<count).map { layout.ranges(ofLayer: $0).compactMap(inGradient) }
    var others: [Range<Int>] = []
    var start = 0
    for range in layers.joined().sorted(by: { $0.lowerBound < $1.lowerBound }) {
      if start < range.lowerBound { others.append(start..<range.lowerBound) }
      start = range.upperBound
    }
    if start < trained.count { others.append(start..<trained.count) }
    self.others = others
  }
}

/// Room for one layer, the largest, and for what is in none.
struct GradientScratch {
  private struct Place {
    var range: Range<Int>
    var memory: Floats
  }
  /// In the order of the gradient.
  private let places: [Place]
  private let layer: Floats
  private let others: Floats

  init(_ parts: GradientParts) {
    func size(_ ranges: [Range<Int>]) -> Int { ranges.reduce(0) { $0 + $1.count } }
    let layer = Floats(zeros: parts.layers.map(size).max() ?? 0)
    let others = Floats(zeros: size(parts.others))
    func places(_ ranges: [Range<Int>], in memory: Floats) -> [Place] {
      var used = 0
      return ranges.map { range in
        defer { used += range.count }
        return Place(range: range, memory: memory[used..<used + range.count])
      }
    }
    self.places =
      (parts.layers.flatMap { places($0, in: layer) } + places(parts.others, in: others))
      .sorted { $0.range.lowerBound < $1.range.lowerBound }
    (self.layer, self.others) = (layer, others)
  }

  func window(_ range: Range<Int>) -> Floats {
    if range.isEmpty { return layer[0..<0] }
    // The last place that begins at the range or before it.
    var (low, high) = (0, places.count)
    while low < high {
      let middle = (low + high) / 2
      let isBehind = places[middle].range.lowerBound > range.lowerBound
      if isBehind { high = middle } else { low = middle + 1 }
    }
    precondition(low > 0, "a range within the gradient expected, not \(range)")
    let place = places[low - 1]
    let start = range.lowerBound - place.range.lowerBound
    return place.memory[start..<start + range.count]
  }

  func clear() {
    clearLayer()
    others.fill(0)
  }

  /// Before the next layer is made in it.
  func clearLayer() { layer.fill(0) }
}
