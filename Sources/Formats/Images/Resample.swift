internal import CImages

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
    var result = [UInt8](repeating: 0, count: height * newWidth * 3)
    unsafe taps.withPointers { taps in
      unsafe comd_resample_across(&result, pixels, width, height, taps)
    }
    return Picture(width: newWidth, height: height, pixels: result)
  }

  private func resized(height newHeight: Int, _ filter: ResampleFilter) -> Picture {
    if newHeight == height { return self }
    let taps = ResampleTaps(from: height, to: newHeight, filter)
    var result = [UInt8](repeating: 0, count: newHeight * width * 3)
    unsafe taps.withPointers { taps in
      unsafe comd_resample_down(&result, pixels, 3 * width, taps)
    }
    return Picture(width: width, height: newHeight, pixels: result)
  }
}

let resampleBits = Int(COMD_RESAMPLE_BITS)

/// For every output position, where its source pixels begin and their weights in fixed point.
struct ResampleTaps {
  var starts: [Int32] = []
  var counts: [Int32] = []
  /// (positions, stride), zero behind a position's count.
  var weights: [Int32] = []
  let stride: Int

  init(from count: Int, to newCount: Int, _ filter: ResampleFilter) {
    let scale = Double(count) / Double(newCount)
    let stretch = max(scale, 1)
    let support = filter.support * stretch
    stride = Int(2 * support) + 2
    for position in 0..<newCount {
      let center = (Double(position) + 0.5) * scale
      let start = max(0, Int(center - support + 0.5))
      let end = min(count, Int(center + support + 0.5))
      var taps = (start..<end).map {
        filter.weight((Double($0) - center + 0.5) * (1 / stretch))
      }
      let sum = taps.reduce(0, +)
      if sum != 0 { taps = taps.map { $0 / sum } }
      starts.append(Int32(start))
      counts.append(Int32(taps.count))
      weights += taps.map { tap in
        let fixed = tap * Double(1 << resampleBits)
        return Int32(fixed < 0 ? fixed - 0.5 : fixed + 0.5)
      }
      weights += Array(repeating: 0, count: stride - taps.count)
    }
  }

  /// The taps as the C kernels read them, for the time of a call.
  func withPointers(_ body: (UnsafePointer<comd_taps>) -> Void) {
    unsafe starts.withUnsafeBufferPointer { starts in
      unsafe counts.withUnsafeBufferPointer { counts in
        unsafe weights.withUnsafeBufferPointer { weights in
          var taps = unsafe comd_taps(
            positions: starts.count, stride: stride, starts: starts.baseAddress,
            counts: counts.baseAddress, weights: weights.baseAddress)
          unsafe body(&taps)
        }
      }
    }
  }
}
