/// The filters of Pillow that image processors name, with Pillow's numbers.
public enum ResampleFilter: Int, Hashable, Sendable {
  case bilinear = 2
  case bicubic = 3

  /// Reach of the kernel at scale 1, in source pixels.
  var support: Double {
    switch self {
    case .bilinear: 1
    case .bicubic: 2
    }
  }

  func weight(_ offset: Double) -> Double {
    let x = abs(offset)
    switch self {
    case .bilinear: return x < 1 ? 1 - x : 0
    case .bicubic:
      let a = -0.5
      if x < 1 { return ((a + 2) * x - (a + 3)) * x * x + 1 }
      if x < 2 { return (((x - 5) * x + 8) * x - 4) * a }
      return 0
    }
  }
}

extension Picture {
  /// Resizes with antialiasing, bit for bit as `Image.resize` of Pillow 13: one direction, rounded
  /// to 8 bits, then the other; weights in fixed point with 22 bits.
  ///
  /// Across comes first, but for pictures that lose more than twice as many rows as columns: for
  /// those, Pillow before 13 differs by a rounding.
  ///
  /// - Precondition: both sizes are positive.
  /// - Source: Pillow, `src/libImaging/Resample.c`.
  public func resized(width newWidth: Int, height newHeight: Int, _ filter: ResampleFilter)
    -> Picture
  {
    precondition(newWidth > 0 && newHeight > 0, "a picture has at least one pixel")
    let losesRows = newHeight < height && height - newHeight > 2 * (width - newWidth)
    return losesRows
      ? resized(height: newHeight, filter).resized(width: newWidth, filter)
      : resized(width: newWidth, filter).resized(height: newHeight, filter)
  }

  private func resized(width newWidth: Int, _ filter: ResampleFilter) -> Picture {
    if newWidth == width { return self }
    let taps = ResampleTaps(from: width, to: newWidth, filter)
    return Picture(
      width: newWidth, height: height,
      pixels: acrossRows(pixels, width: width, height: height, taps))
  }

  private func resized(height newHeight: Int, _ filter: ResampleFilter) -> Picture {
    if newHeight == height { return self }
    let taps = ResampleTaps(from: height, to: newHeight, filter)
    return Picture(
      width: width, height: newHeight, pixels: downColumns(pixels, rowBytes: 3 * width, taps))
  }
}

private let precisionBits = 22

/// For every output position, where its source pixels begin and their weights in fixed point.
private struct ResampleTaps {
  var starts: [Int] = []
  var weights: [[Int32]] = []

  init(from count: Int, to newCount: Int, _ filter: ResampleFilter) {
    let scale = Double(count) / Double(newCount)
    let stretch = max(scale, 1)
    let support = filter.support * stretch
    for position in 0..<newCount {
      let center = (Double(position) + 0.5) * scale
      let start = max(0, Int(center - support + 0.5))
      let end = min(count, Int(center + support + 0.5))
      var taps = (start..<end).map {
        filter.weight((Double($0) - center + 0.5) * (1 / stretch))
      }
      let sum = taps.reduce(0, +)
      if sum != 0 { taps = taps.map { $0 / sum } }
      starts.append(start)
      weights.append(
        taps.map { tap in
          let fixed = tap * Double(1 << precisionBits)
          return Int32(fixed < 0 ? fixed - 0.5 : fixed + 0.5)
        })
    }
  }
}

private func rounded(_ sum: Int32) -> UInt8 {
  UInt8(clamping: sum >> Int32(precisionBits))
}

private func acrossRows(
  _ source: [UInt8], width: Int, height: Int, _ taps: ResampleTaps
) -> [UInt8] {
  let newWidth = taps.starts.count
  var target = [UInt8](repeating: 0, count: height * newWidth * 3)
  for y in 0..<height {
    for x in 0..<newWidth {
      var red = Int32(1) << Int32(precisionBits - 1)
      var (green, blue) = (red, red)
      var at = (y * width + taps.starts[x]) * 3
      for weight in taps.weights[x] {
        red &+= Int32(source[at]) &* weight
        green &+= Int32(source[at + 1]) &* weight
        blue &+= Int32(source[at + 2]) &* weight
        at += 3
      }
      let to = (y * newWidth + x) * 3
      target[to] = rounded(red)
      target[to + 1] = rounded(green)
      target[to + 2] = rounded(blue)
    }
  }
  return target
}

private func downColumns(_ source: [UInt8], rowBytes: Int, _ taps: ResampleTaps) -> [UInt8] {
  var target = [UInt8](repeating: 0, count: taps.starts.count * rowBytes)
  var sums = [Int32](repeating: 0, count: rowBytes)
  for y in 0..<taps.starts.count {
    for index in 0..<rowBytes { sums[index] = 1 << Int32(precisionBits - 1) }
    for (row, weight) in taps.weights[y].enumerated() {
      let from = (taps.starts[y] + row) * rowBytes
      for index in 0..<rowBytes { sums[index] &+= Int32(source[from + index]) &* weight }
    }
    for index in 0..<rowBytes { target[y * rowBytes + index] = rounded(sums[index]) }
  }
  return target
}
