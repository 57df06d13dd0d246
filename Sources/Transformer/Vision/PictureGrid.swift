import Formats

/// The patches of a picture or of a tile, by rows.
struct PatchGrid: Hashable {
  let rows: Int
  let columns: Int
  var count: Int { rows * columns }
}

/// What a tower sees of a picture.
struct PictureGrid: Hashable {
  /// Of the picture, or of each of its tiles.
  let patches: PatchGrid
  /// LLaVA-NeXT's tiles, in front of which the whole picture stands as one more; nil: no tiles.
  let tiled: TiledFeatures?

  /// How often the tower runs for the picture.
  var tileCount: Int { tiled.map { 1 + $0.tileRows * $0.tileColumns } ?? 1 }
}

/// How a picture's features stand among what the language model reads.
struct PictureLines: Hashable {
  /// Features in front of the lines.
  var head: Int
  /// Lines, each closed by the newline embedding.
  var count = 0
  /// Features of a line.
  var length = 0

  var features: Int { head + count * length }
  /// Positions that the picture takes.
  var rows: Int { features + count }

  /// Calls `body` for each run of features and for each newline, in order.
  ///
  /// - Parameters of `body`: the first row that the run takes; its features, nil for a newline.
  func forEachRun(_ body: (_ row: Int, _ features: Range<Int>?) -> Void) {
    if head > 0 { body(0, 0..<head) }
    for line in 0..<count {
      let first = head + line * length
      body(first + line, first..<first + length)
      body(first + line + length, nil)
    }
  }
}

extension LlavaConfig {
  /// What the tower sees of a picture, or why it cannot see it.
  func grid(of pixels: PixelValues) throws(InputError) -> PictureGrid {
    let patches = PatchGrid(
      rows: pixels.height / vision.patchSize, columns: pixels.width / vision.patchSize)
    let isExact = pixels.height == vision.imageSize && pixels.width == vision.imageSize
    let takesAny = vision.family == .dinov2 && resolutions == nil
    guard pixels.channels == vision.channelCount, patches.count > 0, takesAny || isExact else {
      throw .pictureSize(
        channels: pixels.channels, height: pixels.height, width: pixels.width,
        expected: vision.imageSize)
    }
    var tiled: TiledFeatures?
    if let resolutions, let size = pixels.pictureSize {
      tiled = TiledFeatures(
        picture: size, resolution: size.best(of: resolutions), tile: vision.imageSize,
        side: patches.rows)
    }
    let grid = PictureGrid(patches: patches, tiled: tiled)
    let isKnown = resolutions == nil || tiled != nil
    guard isKnown && grid.tileCount == pixels.tileCount else {
      throw .pictureTiles(found: pixels.tileCount, expected: isKnown ? grid.tileCount : nil)
    }
    return grid
  }

  func lines(of grid: PictureGrid) -> PictureLines {
    let head = vision.featureCount(patches: grid.patches.count, featureSelection)
    guard let tiled = grid.tiled else { return PictureLines(head: head) }
    return PictureLines(head: head, count: tiled.lines.count, length: tiled.columns.count)
  }

  /// The tower's rows that are features, in the order in which the language model reads them;
  /// counted from the picture's first row.
  func featureRows(of grid: PictureGrid) -> [Int] {
    let rows = vision.family.classRows + grid.patches.count
    let first = rows - vision.featureCount(patches: grid.patches.count, featureSelection)
    guard let tiled = grid.tiled else { return Array(first..<rows) }
    let side = grid.patches.rows
    let inTiles = tiled.lines.flatMap { line in
      tiled.columns.map { column in
        let tile = 1 + line / side * tiled.tileColumns + column / side
        return tile * rows + first + line % side * side + column % side
      }
    }
    return Array(first..<rows) + inTiles
  }
}
