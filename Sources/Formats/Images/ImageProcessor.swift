internal import CImages

/// What a vision tower reads: a picture, or the tiles of one.
public struct PixelValues: Hashable, Sendable {
  public var channels: Int
  public var height: Int
  public var width: Int
  /// (tiles, channels, height, width) row-major.
  public var values: [Float]
  /// 1, but for LLaVA-NeXT: the whole picture, then its tiles line by line.
  public var tileCount: Int
  /// Of the picture before it was cut into tiles; nil when it was not.
  public var pictureSize: ImageProcessor.Size?

  public init(
    channels: Int, height: Int, width: Int, values: [Float], tileCount: Int = 1,
    pictureSize: ImageProcessor.Size? = nil
  ) {
    precondition(
      values.count == tileCount * channels * height * width, "values of another size")
    self.tileCount = tileCount
    self.pictureSize = pictureSize
    self.channels = channels
    self.height = height
    self.width = width
    self.values = values
  }
}

/// Turns pictures into pixel values: resize, centre crop, rescale, normalise, as `transformers`'
/// `CLIPImageProcessor`, `BitImageProcessor` (DINOv2's), `SiglipImageProcessor` and
/// `LlavaNextImageProcessor`, which cuts tiles, do with Pillow.
public struct ImageProcessor: Hashable, Sendable {
  /// The class of `transformers` that the saved file names; they differ in their defaults.
  public enum Kind: String, Hashable, Sendable {
    case clip = "CLIPImageProcessor"
    case bit = "BitImageProcessor"
    case siglip = "SiglipImageProcessor"
    case llavaNext = "LlavaNextImageProcessor"
  }

  public struct Size: Hashable, Sendable {
    public var height: Int
    public var width: Int
    public init(height: Int, width: Int) {
      self.height = height
      self.width = width
    }
  }

  public enum Resize: Hashable, Sendable {
    case none
    /// The shorter edge becomes so many pixels, the other follows.
    case shortestEdge(Int)
    case exact(Size)
  }

  public var kind: Kind
  public var resize: Resize
  public var filter: ResampleFilter
  /// Nil leaves the picture as it is; where it is smaller, black surrounds it.
  public var crop: Size?
  /// Nil leaves 0…255.
  public var rescaleFactor: Double?
  /// Per channel, of rescaled values; nil does not normalise.
  public var normalization: Normalization?
  /// LLaVA-NeXT: pictures are fitted into the best of these and cut into tiles as large as `crop`,
  /// whose multiples they are; nil: one tile.
  public var resolutions: [Size]?

  /// LLaVA-NeXT's own, for tiles of 336 pixels.
  public static let usualResolutions = [
    (336, 672), (672, 336), (672, 672), (1008, 336), (336, 1008),
  ]
  .map { Size(height: $0.0, width: $0.1) }

  public struct Normalization: Hashable, Sendable {
    public var mean: [Double]
    public var deviation: [Double]
    /// - Precondition: three of each.
    public init(mean: [Double], deviation: [Double]) {
      precondition(mean.count == 3 && deviation.count == 3, "one value per channel")
      self.mean = mean
      self.deviation = deviation
    }

    /// Of CLIP's training pictures.
    public static let clip = Normalization(
      mean: [0.48145466, 0.4578275, 0.40821073], deviation: [0.26862954, 0.26130258, 0.27577711])
    /// Of ImageNet; DINOv2 uses it.
    public static let imageNet = Normalization(
      mean: [0.485, 0.456, 0.406], deviation: [0.229, 0.224, 0.225])
    /// To −1…1; SigLIP uses it.
    public static let half = Normalization(mean: [0.5, 0.5, 0.5], deviation: [0.5, 0.5, 0.5])
  }

  public init(
    kind: Kind = .clip, resize: Resize, filter: ResampleFilter = .bicubic, crop: Size?,
    rescaleFactor: Double? = 1.0 / 255, normalization: Normalization? = .clip,
    resolutions: [Size]? = nil
  ) {
    precondition(resolutions == nil || crop != nil, "a tile has the size of the crop")
    self.resolutions = resolutions
    self.kind = kind
    self.resize = resize
    self.filter = filter
    self.crop = crop
    self.rescaleFactor = rescaleFactor
    self.normalization = normalization
  }

  /// Decodes a JPEG or PNG file and processes it; `name` stands for the file in errors.
  public func pixelValues(
    _ fileBytes: [UInt8], name: String = "picture"
  ) throws(FormatError) -> PixelValues {
    try pixelValues(of: Picture.decode(fileBytes, name: name), name: name)
  }

  /// - Throws: `FormatError` when resizing would make more than `Picture.pixelsMax` pixels, as it
  ///   can with a picture that is a thousand times as long as wide.
  public func pixelValues(
    of picture: Picture, name: String = "picture"
  ) throws(FormatError) -> PixelValues {
    if let resolutions, let crop {
      let tiles = tiles(of: picture, edge: crop.height, resolutions)
      return PixelValues(
        channels: 3, height: crop.height, width: crop.width,
        values: tiles.flatMap(normalized), tileCount: tiles.count,
        pictureSize: Size(height: picture.height, width: picture.width))
    }
    let target = resizedSize(of: picture)
    let (pixels, overflow) = target.height.multipliedReportingOverflow(by: target.width)
    guard !overflow && pixels <= Picture.pixelsMax else {
      throw FormatError(
        file: name, subject: "picture",
        problem: .overLimit(
          found: overflow ? .max : UInt64(pixels), limit: UInt64(Picture.pixelsMax)),
        expected: "a picture that fits when it is resized to \(target.width)×\(target.height)",
        remedy: "crop the picture or leave it out")
    }
    var result = picture.resized(width: target.width, height: target.height, filter)
    if let crop { result = result.centerCropped(to: crop) }
    return PixelValues(
      channels: 3, height: result.height, width: result.width, values: normalized(result))
  }

  private func resizedSize(of picture: Picture) -> Size {
    switch resize {
    case .none: return Size(height: picture.height, width: picture.width)
    case .exact(let size): return size
    case .shortestEdge(let edge):
      let short = min(picture.width, picture.height)
      let long = max(picture.width, picture.height)
      let newLong = Int(Double(edge * long) / Double(short))
      return picture.width <= picture.height
        ? Size(height: newLong, width: edge) : Size(height: edge, width: newLong)
    }
  }

  /// The factor in double precision, mean and deviation in single, as NumPy does it there.
  /// - Returns: (3, height, width).
  private func normalized(_ picture: Picture) -> [Float] {
    let levels = (0..<3).flatMap { channel in
      (0..<256).map { level -> Float in
        let scaled = rescaleFactor.map { Float(Double(level) * $0) } ?? Float(level)
        guard let normalization else { return scaled }
        return (scaled - Float(normalization.mean[channel]))
          / Float(normalization.deviation[channel])
      }
    }
    let count = picture.width * picture.height
    return unsafe [Float](unsafeUninitializedCapacity: 3 * count) { values, initialized in
      if let target = values.baseAddress {
        unsafe comd_planes(target, picture.pixels, count, levels)
      }
      initialized = 3 * count
    }
  }
}

extension Picture {
  /// The middle of the picture; where it is smaller than `size`, black is put around it.
  ///
  /// - Source: transformers, `image_transforms.center_crop`, odd remainders included.
  func centerCropped(to size: ImageProcessor.Size) -> Picture {
    region(top: cropStart(height, size.height), left: cropStart(width, size.width), size)
  }

  /// The part that begins at a place, which may lie outside; black where there is no picture.
  func region(top: Int, left: Int, _ size: ImageProcessor.Size) -> Picture {
    var pixels = [UInt8](repeating: 0, count: 3 * size.height * size.width)
    let first = max(0, -left)
    let columns = first..<max(first, min(size.width, width - left))
    for y in 0..<size.height where (0..<height).contains(y + top) {
      let to = 3 * (y * size.width + columns.lowerBound)
      let from = 3 * ((y + top) * width + left + columns.lowerBound)
      pixels.replaceSubrange(
        to..<to + 3 * columns.count, with: self.pixels[from..<from + 3 * columns.count])
    }
    return Picture(width: size.width, height: size.height, pixels: pixels)
  }
}

/// Where in an edge of `count` pixels the crop of `wanted` begins; negative when it is padded.
private func cropStart(_ count: Int, _ wanted: Int) -> Int {
  // `transformers` pads with half of what is missing, rounded up, then crops from the floor.
  count >= wanted ? (count - wanted) / 2 : -((wanted - count + 1) / 2)
}
