/// Naive twins of the resampling kernels.
extension Picture {
  /// As `resized`, a pixel and a tap at a time.
  func resizedNaively(width newWidth: Int, height newHeight: Int, _ filter: ResampleFilter)
    -> Picture
  {
    let across = ResampleTaps(from: width, to: newWidth, filter)
    let down = ResampleTaps(from: height, to: newHeight, filter)
    let losesRows = newHeight < height && height - newHeight > 2 * (width - newWidth)
    return losesRows
      ? weighed(down: down).weighed(across: across) : weighed(across: across).weighed(down: down)
  }

  private func weighed(across taps: ResampleTaps) -> Picture {
    if taps.starts.count == width { return self }
    return drawn(width: taps.starts.count, height: height) { x, y, channel in
      taps.sum(at: x) { Int32(pixels[3 * (y * width + $0) + channel]) }
    }
  }

  private func weighed(down taps: ResampleTaps) -> Picture {
    if taps.starts.count == height { return self }
    return drawn(width: width, height: taps.starts.count) { x, y, channel in
      taps.sum(at: y) { Int32(pixels[3 * ($0 * width + x) + channel]) }
    }
  }

  private func drawn(
    width: Int, height: Int, _ level: (_ x: Int, _ y: Int, _ channel: Int) -> UInt8
  ) -> Picture {
    let places = 0..<3 * width * height
    return Picture(
      width: width, height: height,
      pixels: places.map { level($0 / 3 % width, $0 / 3 / width, $0 % 3) })
  }
}

extension ResampleTaps {
  /// The rounded sum of an output position.
  fileprivate func sum(at position: Int, _ source: (Int) -> Int32) -> UInt8 {
    var sum = Int32(1) << Int32(resampleBits - 1)
    for tap in 0..<Int(counts[position]) {
      sum += source(Int(starts[position]) + tap) * weights[position * stride + tap]
    }
    return UInt8(clamping: sum >> Int32(resampleBits))
  }
}
