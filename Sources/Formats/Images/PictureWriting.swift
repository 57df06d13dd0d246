import CImages

extension Picture {
  /// The picture as a PNG file; the same bytes for the same pixels on one version of libpng.
  public func png() -> [UInt8] {
    let (width, height) = (UInt32(width), UInt32(height))
    return unsafe pixels.withUnsafeBufferPointer { rgb in
      var count = 0
      _ = unsafe comd_png_encode(rgb.baseAddress, width, height, nil, &count)
      return unsafe [UInt8](unsafeUninitializedCapacity: count) { png, written in
        let status = unsafe comd_png_encode(
          rgb.baseAddress, width, height, png.baseAddress, &count)
        // Memory is all it needs, and that was reserved.
        precondition(status == COMD_IMAGE_OK, "libpng refused \(width)×\(height) pixels")
        written = count
      }
    }
  }
}
