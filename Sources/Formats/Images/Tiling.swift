/// Which features of a picture that was seen in tiles a language model reads (LLaVA-NeXT).
///
/// The tiles' features are put together as the tiles lie; lines and columns that only the border
/// around the picture fills are left out.
/// - Source: transformers, `modeling_llava_next.unpad_image`.
public struct TiledFeatures: Hashable, Sendable {
  /// Tiles down and across.
  public let tileRows, tileColumns: Int
  /// What is kept of `tileRows · side` lines and `tileColumns · side` columns.
  public let lines, columns: Range<Int>

  /// - Parameters:
  ///   - picture: its size before it was processed.
  ///   - resolution: what it was fitted into, whole tiles.
  ///   - tile: edge of a tile in pixels.
  ///   - side: patches along the edge of a tile.
  public init(
    picture: ImageProcessor.Size, resolution: ImageProcessor.Size, tile: Int, side: Int
  ) {
    tileRows = resolution.height / tile
    tileColumns = resolution.width / tile
    let (down, across) = (tileRows * side, tileColumns * side)
    let (height, width) = (Double(picture.height), Double(picture.width))
    if width / height > Double(across) / Double(down) {
      lines = middle(of: down, filled: height * (Double(across) / width))
      columns = 0..<across
    } else {
      lines = 0..<down
      columns = middle(of: across, filled: width * (Double(down) / height))
    }
  }
}

/// What is left of `count` when a border of equal width is taken from both ends.
private func middle(of count: Int, filled: Double) -> Range<Int> {
  // Rounded to seven decimals first, so that a whole number is not missed by the last bit.
  let border = (count - Int((filled * 1e7).rounded(.toNearestOrEven) / 1e7)) / 2
  return border..<count - border
}

extension ImageProcessor.Size {
  /// Of these resolutions the one in which most of a picture of this size is kept and, among
  /// equals, least is wasted; the first of equals in both.
  ///
  /// - Precondition: at least one resolution.
  /// - Source: transformers, `image_processing_utils.select_best_resolution`.
  public func best(of resolutions: [ImageProcessor.Size]) -> ImageProcessor.Size {
    precondition(!resolutions.isEmpty, "at least one resolution expected")
    func kept(_ target: ImageProcessor.Size) -> Int {
      let scale = min(
        Double(target.width) / Double(width), Double(target.height) / Double(height))
      let scaled = Int(Double(width) * scale) * Int(Double(height) * scale)
      return min(scaled, width * height)
    }
    var best = resolutions[0]
    for target in resolutions.dropFirst() {
      let (new, old) = (kept(target), kept(best))
      let wastesLess = target.width * target.height < best.width * best.height
      if new > old || new == old && wastesLess { best = target }
    }
    return best
  }

  /// This size scaled to fit `target`, one edge exactly.
  ///
  /// - Source: transformers, `image_processing_utils.get_patch_output_size`.
  func fitted(to target: ImageProcessor.Size) -> ImageProcessor.Size {
    let across = Double(target.width) / Double(width)
    let down = Double(target.height) / Double(height)
    if across < down {
      let edge = (Double(height) * across).rounded(.up)
      return ImageProcessor.Size(height: min(Int(edge), target.height), width: target.width)
    }
    let edge = (Double(width) * down).rounded(.up)
    return ImageProcessor.Size(height: target.height, width: min(Int(edge), target.width))
  }
}

extension ImageProcessor {
  /// The whole picture pressed into one tile, then the picture fitted into the best resolution,
  /// with black around it, tile by tile.
  func tiles(of picture: Picture, edge: Int, _ resolutions: [Size]) -> [Picture] {
    let size = Size(height: picture.height, width: picture.width)
    let target = size.best(of: resolutions)
    let fitted = size.fitted(to: target)
    let resized = picture.resized(width: fitted.width, height: fitted.height, filter)
    let (top, left) = ((target.height - fitted.height) / 2, (target.width - fitted.width) / 2)
    var tiles = [picture.resized(width: edge, height: edge, filter)]
    for y in stride(from: 0, to: target.height, by: edge) {
      for x in stride(from: 0, to: target.width, by: edge) {
        tiles.append(
          resized.region(top: y - top, left: x - left, Size(height: edge, width: edge)))
      }
    }
    return tiles
  }
}
