import CImages

/// A decoded picture: 8-bit RGB.
public struct Picture: Hashable, Sendable {
  /// Pictures of more pixels are refused: Pillow's own threshold for a decompression bomb.
  public static let pixelsMax = 89_478_485

  public var width: Int
  public var height: Int
  /// (height, width, 3) row-major.
  public var pixels: [UInt8]

  /// - Precondition: `pixels` has `3 · width · height` bytes, and there is at least one pixel.
  public init(width: Int, height: Int, pixels: [UInt8]) {
    precondition(width > 0 && height > 0 && pixels.count == 3 * width * height, "not a picture")
    self.width = width
    self.height = height
    self.pixels = pixels
  }

  /// Decodes a JPEG or PNG file into the pixels of Pillow's `Image.open(…).convert("RGB")`: alpha
  /// is dropped, CMYK and palettes are resolved, EXIF orientation and colour profiles are ignored.
  ///
  /// - Parameters:
  ///   - name: stands for the file in errors.
  ///   - limit: pixels beyond which a picture is refused before memory is taken for it.
  /// - Throws: `FormatError` when the bytes are no such picture, are cut off or damaged, or when it
  ///   has more pixels than the limit.
  public static func decode(
    _ fileBytes: [UInt8], name: String, limit: Int = pixelsMax
  ) throws(FormatError) -> Picture {
    var info = comd_image_info()
    let status = unsafe comd_image_size(
      fileBytes, fileBytes.count, UInt64(limit), &info)
    try check(status, info, name, fileBytes.count, limit)
    var pixels = [UInt8](repeating: 0, count: Int(info.width) * Int(info.height) * 3)
    let count = pixels.count
    let decoded = unsafe comd_image_decode(fileBytes, fileBytes.count, &pixels, count, &info)
    try check(decoded, info, name, fileBytes.count, limit)
    return Picture(width: Int(info.width), height: Int(info.height), pixels: pixels)
  }
}

private func check(
  _ status: comd_image_status, _ info: comd_image_info, _ name: String, _ bytes: Int, _ limit: Int
) throws(FormatError) {
  if status == COMD_IMAGE_OK { return }
  var message = info.message
  let words = unsafe withUnsafeBytes(of: &message) { memory in
    unsafe String(decoding: memory.prefix { $0 != 0 }, as: UTF8.self)
  }
  let problem: FormatError.Problem
  switch status {
  case COMD_IMAGE_UNKNOWN: problem = .unsupported(found: "neither JPEG nor PNG in \(bytes) bytes")
  case COMD_IMAGE_TRUNCATED:
    problem = .truncated(needsBytes: UInt64(bytes) + 1, hasBytes: UInt64(bytes))
  case COMD_IMAGE_OVER_LIMIT:
    problem = .overLimit(
      found: UInt64(info.width) * UInt64(info.height), limit: UInt64(limit))
  case COMD_IMAGE_NO_MEMORY: problem = .unreadable("no memory for the picture")
  default: problem = .malformed(found: words)
  }
  throw FormatError(
    file: name, subject: "picture", problem: problem,
    expected: "a whole JPEG or PNG of at most \(limit) pixels",
    remedy: "replace the picture or leave it out")
}
