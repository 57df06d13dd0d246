extension ImageProcessor {
  /// Reads `preprocessor_config.json`, or the `image_processor` of `processor_config.json`.
  ///
  /// Absent keys have the defaults of `transformers`.
  public init(folder: String) throws(FormatError) {
    let path = folder + "/preprocessor_config.json"
    let combined = folder + "/processor_config.json"
    if !fileExists(path) && fileExists(combined) {
      let config = try ConfigObject(path: combined)
      guard let inner = try config.object("image_processor") else {
        throw config.failure("image_processor", .missing, expected: "an object")
      }
      try self.init(inner)
    } else {
      try self.init(ConfigObject(path: path))
    }
  }

  /// Reads the bytes of a preprocessor_config.json; `name` stands for the file in errors.
  public init(json bytes: [UInt8], name: String) throws(FormatError) {
    try self.init(ConfigObject(file: name, json: parseJSON(bytes, file: name)))
  }

  private init(_ config: ConfigObject) throws(FormatError) {
    let typeKey =
      config.value("image_processor_type") == nil
      ? "feature_extractor_type" : "image_processor_type"
    switch try config.string(typeKey) {
    case nil, "CLIPImageProcessor", "CLIPImageProcessorFast", "CLIPFeatureExtractor": kind = .clip
    case "BitImageProcessor", "BitImageProcessorFast": kind = .bit
    case "SiglipImageProcessor", "SiglipImageProcessorFast": kind = .siglip
    case "LlavaNextImageProcessor", "LlavaNextImageProcessorFast": kind = .llavaNext
    case .some(let other):
      throw config.failure(
        typeKey, .unsupported(found: "\"\(other)\""),
        expected: """
          CLIPImageProcessor, BitImageProcessor, SiglipImageProcessor or LlavaNextImageProcessor
          """)
    }
    // Tiles are padded to as many as the batch's largest picture has: one picture needs none.
    if kind != .llavaNext, try config.bool("do_pad", default: false) {
      throw config.failure("do_pad", .unsupported(found: "true"), expected: "no padding")
    }
    let isSiglip = kind == .siglip
    let square = Resize.exact(Size(height: 224, width: 224))
    let resizes = try config.bool("do_resize", default: true)
    let hasDefault = isSiglip && config.value("size") == nil
    resize = resizes ? hasDefault ? square : try resizeRule(config) : .none
    let number = try config.integer("resample", default: 3, in: 0...5)
    guard let filter = ResampleFilter(rawValue: number) else {
      throw config.failure(
        "resample", .unsupported(found: "\(number)"), expected: "2 (bilinear) or 3 (bicubic)")
    }
    self.filter = filter
    crop = try config.bool("do_center_crop", default: !isSiglip) ? try cropSize(config) : nil
    resolutions = kind == .llavaNext ? try tileResolutions(config, resize, crop) : nil
    rescaleFactor =
      try config.bool("do_rescale", default: true)
      ? try config.number("rescale_factor", default: 1.0 / 255, in: 1e-9...1e9) : nil
    let normalizes = try config.bool("do_normalize", default: true)
    let usual = isSiglip ? Normalization.half : .clip
    normalization =
      normalizes
      ? Normalization(
        mean: try channelValues(config, "image_mean", default: usual.mean, in: -1e6...1e6),
        deviation: try channelValues(
          config, "image_std", default: usual.deviation, in: 1e-9...1e6))
      : nil
  }

  /// Writes `preprocessor_config.json` so that `transformers` opens it.
  public func save(folder: String) throws(FormatError) {
    try writeFile(folder + "/preprocessor_config.json", encoded())
  }

  /// The bytes of preprocessor_config.json.
  public func encoded() -> [UInt8] {
    func json(_ size: Size) -> JSONValue {
      .members([
        ("height", .integer(Int64(size.height))), ("width", .integer(Int64(size.width))),
      ])
    }
    var members: [(String, JSONValue)] = [
      ("image_processor_type", .string(kind.rawValue)), ("do_convert_rgb", .bool(true)),
      ("do_resize", .bool(resize != .none)), ("resample", .integer(Int64(filter.rawValue))),
    ]
    switch resize {
    case .none: break
    case .shortestEdge(let edge):
      members.append(("size", .members([("shortest_edge", .integer(Int64(edge)))])))
    case .exact(let size): members.append(("size", json(size)))
    }
    members.append(("do_center_crop", .bool(crop != nil)))
    if let crop { members.append(("crop_size", json(crop))) }
    if let resolutions {
      members.append(("image_grid_pinpoints", imageResolutions(resolutions)))
      members.append(("do_pad", .bool(true)))
    }
    members.append(("do_rescale", .bool(rescaleFactor != nil)))
    if let rescaleFactor { members.append(("rescale_factor", .number(rescaleFactor))) }
    members.append(("do_normalize", .bool(normalization != nil)))
    if let normalization {
      members.append(("image_mean", .array(normalization.mean.map { .number($0) })))
      members.append(("image_std", .array(normalization.deviation.map { .number($0) })))
    }
    return JSONValue.members(members).encoded(indented: true)
  }
}

/// Edges of pictures that are allowed in settings, in pixels.
private let edges = 1...16_384

/// `size`: a number or `shortest_edge` for the shorter edge, or height and width.
private func resizeRule(_ config: ConfigObject) throws(FormatError) -> ImageProcessor.Resize {
  guard case .object = config.value("size") else {
    return .shortestEdge(try config.integer("size", default: 224, in: edges))
  }
  let size = try config.objectOrEmpty("size")
  if size.value("longest_edge") != nil {
    throw size.failure(
      "longest_edge", .unsupported(found: "a limit"), expected: "shortest_edge, or height and width"
    )
  }
  if size.value("shortest_edge") != nil {
    return .shortestEdge(try size.integer("shortest_edge", default: nil, in: edges))
  }
  return .exact(try heightAndWidth(size))
}

/// `crop_size`: a number for a square, or height and width.
private func cropSize(_ config: ConfigObject) throws(FormatError) -> ImageProcessor.Size {
  guard case .object = config.value("crop_size") else {
    let edge = try config.integer("crop_size", default: 224, in: edges)
    return ImageProcessor.Size(height: edge, width: edge)
  }
  return try heightAndWidth(config.objectOrEmpty("crop_size"))
}

private func heightAndWidth(_ size: ConfigObject) throws(FormatError) -> ImageProcessor.Size {
  ImageProcessor.Size(
    height: try size.integer("height", default: nil, in: edges),
    width: try size.integer("width", default: nil, in: edges))
}

/// What a tiled picture is fitted into. Tiles are resized and cropped like pictures, so both sizes
/// must be the tile's.
private func tileResolutions(
  _ config: ConfigObject, _ resize: ImageProcessor.Resize, _ crop: ImageProcessor.Size?
) throws(FormatError) -> [ImageProcessor.Size] {
  let edge = crop?.height ?? 0
  let square = ImageProcessor.Size(height: edge, width: edge)
  guard crop == square, resize == .shortestEdge(edge) || resize == .exact(square) else {
    throw config.failure(
      "crop_size", .unsupported(found: "a crop that is not the tile"),
      expected: "a square as large as size")
  }
  return try imageResolutions(config, tile: edge)
}

/// `image_grid_pinpoints`: heights and widths in whole tiles.
func imageResolutions(
  _ config: ConfigObject, tile: Int
) throws(FormatError) -> [ImageProcessor.Size] {
  let key = "image_grid_pinpoints"
  func failure(_ found: String) -> FormatError {
    config.failure(
      key, .malformed(found: found),
      expected:
        "1 to 1000 pairs of height and width, multiples of \(tile) up to \(edges.upperBound)")
  }
  var resolutions = ImageProcessor.usualResolutions
  if let value = config.value(key) {
    guard case .array(let pairs) = value, (1...1000).contains(pairs.count) else {
      throw failure(value.kind)
    }
    resolutions = []
    for pair in pairs {
      guard case .array(let edges) = pair, edges.count == 2, let height = edges[0].wholeNumber,
        let width = edges[1].wholeNumber
      else { throw failure(pair.kind) }
      resolutions.append(ImageProcessor.Size(height: height, width: width))
    }
  }
  for size in resolutions {
    for edge in [size.height, size.width] where !edges.contains(edge) || edge % tile != 0 {
      throw failure("\(size.height) × \(size.width)")
    }
    guard size.height * size.width <= Picture.pixelsMax else {
      throw failure("\(size.height) × \(size.width)")
    }
  }
  return resolutions
}

func imageResolutions(_ resolutions: [ImageProcessor.Size]) -> JSONValue {
  .array(
    resolutions.map { .array([.integer(Int64($0.height)), .integer(Int64($0.width))]) })
}

/// One number for all three channels, or a list of three.
private func channelValues(
  _ config: ConfigObject, _ key: String, default fallback: [Double], in allowed: ClosedRange<Double>
) throws(FormatError) -> [Double] {
  guard let value = config.value(key) else { return fallback }
  var numbers: [Double?] = [value.real, value.real, value.real]
  if case .array(let elements) = value { numbers = elements.map(\.real) }
  let channels = numbers.compactMap { $0 }.filter { allowed.contains($0) }
  guard channels.count == 3, numbers.count == 3 else {
    throw config.failure(
      key, .malformed(found: value.kind),
      expected: "three numbers from \(allowed.lowerBound) to \(allowed.upperBound)")
  }
  return channels
}
