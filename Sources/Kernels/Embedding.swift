/// Copies rows of a table: `y[t] = table[ids[t]]`.
///
/// - Parameters:
///   - y: (T, C), overwritten.
///   - table: (vocabulary, C).
///   - ids: (T), each within the vocabulary.
public func gatherRows(into y: Floats, _ table: Floats, ids: [Int32], columns: Int) {
  precondition(y.count == ids.count * columns, "(\(ids.count), \(columns)) expected")
  for (row, id) in ids.enumerated() {
    let start = Int(id) * columns
    y[row * columns..<(row + 1) * columns].copy(from: table[start..<start + columns])
  }
}

/// Adds rows to rows of a table, in order: `table[ids[t]] += y[t]` (the derivative of a gather).
///
/// - Parameters:
///   - table: (vocabulary, C), added to.
///   - y: (T, C).
///   - ids: (T), each within the vocabulary.
public func scatterAddRows(
  into table: Floats, _ y: Floats, ids: [Int32], columns: Int, on compute: Compute
) {
  precondition(y.count == ids.count * columns, "(\(ids.count), \(columns)) expected")
  for (row, id) in ids.enumerated() {
    let start = Int(id) * columns
    add(
      into: table[start..<start + columns], y[row * columns..<(row + 1) * columns], on: compute)
  }
}

/// Cuts a picture into patches, a row each, for a convolution whose stride is its size.
///
/// Patches go by rows of the picture; within a patch the order is channel, row, column, as in the
/// weight (out, channels, patch, patch) of the convolution.
/// - Parameters:
///   - rows: (height/patch · width/patch, channels · patch · patch), overwritten.
///   - pixels: (channels, height, width).
/// - Precondition: the counts fit. Pixels beyond the last whole patch are left out, as by the
///   convolution.
public func unfoldPatches(
  into rows: Floats, _ pixels: Floats, channels: Int, height: Int, width: Int, patch: Int
) {
  let (down, across) = (height / patch, width / patch)
  precondition(pixels.count == channels * height * width, "(C, H, W) pixels expected")
  precondition(rows.count == down * across * channels * patch * patch, "patch rows expected")
  var target = 0
  for row in 0..<down {
    for column in 0..<across {
      for channel in 0..<channels {
        for y in 0..<patch {
          let source = (channel * height + row * patch + y) * width + column * patch
          rows[target..<target + patch].copy(from: pixels[source..<source + patch])
          target += patch
        }
      }
    }
  }
}
