#if canImport(Glibc)
  internal import Glibc
#elseif canImport(Musl)
  internal import Musl
#endif

/// The naive twin of `attention`, in f64.
public func attentionReference(
  into out: Floats, logSumExp: Floats, q: Floats, k: Floats, v: Floats,
  _ layout: AttentionLayout, _ shape: AttentionShape
) {
  checkAttention([out, q], [k, v], logSumExp, layout, shape)
  for (row, seen) in visibleRows(layout, shape).enumerated() {
    for head in 0..<shape.heads {
      let (weights, total) = attentionWeights(row, head, seen, q: q, k: k, shape)
      logSumExp[row * shape.heads + head] = Float(total)
      for d in 0..<shape.headSize {
        var sum = 0.0
        for (weight, key) in zip(weights, seen) {
          sum += weight * Double(v[keyOffset(key, head, shape) + d])
        }
        out[row * shape.columns + head * shape.headSize + d] = Float(sum)
      }
    }
  }
}

/// The naive twin of `attentionBackward`, in f64.
public func attentionBackwardReference(
  dq: Floats, dk: Floats, dv: Floats, dOut: Floats, out: Floats, logSumExp: Floats,
  q: Floats, k: Floats, v: Floats, _ layout: AttentionLayout, _ shape: AttentionShape
) {
  checkAttention([dq, dOut, out, q], [dk, dv, k, v], logSumExp, layout, shape)
  for target in [dq, dk, dv] { target.fill(0) }
  let size = shape.headSize
  for (row, seen) in visibleRows(layout, shape).enumerated() {
    for head in 0..<shape.heads {
      let (weights, _) = attentionWeights(row, head, seen, q: q, k: k, shape)
      let query = row * shape.columns + head * size
      let dWeights = seen.map { key in
        let start = keyOffset(key, head, shape)
        return (0..<size).reduce(0.0) { $0 + Double(dOut[query + $1]) * Double(v[start + $1]) }
      }
      let mean = zip(weights, dWeights).reduce(0.0) { $0 + $1.0 * $1.1 }
      for (index, key) in seen.enumerated() {
        let start = keyOffset(key, head, shape)
        let dScore = Float(weights[index] * (dWeights[index] - mean) * Double(shape.scale))
        for d in 0..<size {
          dq[query + d] += dScore * k[start + d]
          dk[start + d] += dScore * q[query + d]
          dv[start + d] += Float(weights[index]) * dOut[query + d]
        }
      }
    }
  }
}

/// The naive twin of `attentionOverPages`, in f64.
public func attentionOverPagesReference(
  into out: Floats, q: Floats, k: Floats, v: Floats, _ batch: PagedBatch, layer: Int,
  _ shape: AttentionShape
) {
  let columns = shape.keyValueColumns
  var row = 0
  for sequence in batch.sequences {
    let first = sequence.length - sequence.newRows
    for new in 0..<sequence.newRows {
      let from = (row + new) * columns
      batch.layout.write(
        k[from..<from + columns], v[from..<from + columns], position: first + new,
        of: sequence.pages, layer: layer)
    }
    let keys = Floats(zeros: sequence.length * columns)
    let values = Floats(zeros: sequence.length * columns)
    for position in 0..<sequence.length {
      let range = position * columns..<(position + 1) * columns
      batch.layout.read(
        into: keys[range], values[range], position: position, of: sequence.pages, layer: layer)
    }
    for new in 0..<sequence.newRows {
      let seen = Array((0...first + new).suffix(shape.window ?? .max))
      for head in 0..<shape.heads {
        let (weights, _) = attentionWeights(row, head, seen, q: q, k: keys, shape)
        for d in 0..<shape.headSize {
          var sum = 0.0
          for (weight, key) in zip(weights, seen) {
            sum += weight * Double(values[keyOffset(key, head, shape) + d])
          }
          out[row * shape.columns + head * shape.headSize + d] = Float(sum)
        }
      }
      row += 1
    }
  }
}

extension PageLayout {
  /// Where element `d` of a head's key, or value, of a position lies in its page.
  private func place(_ layer: Int, _ head: Int, _ d: Int, position: Int) -> (key: Int, value: Int) {
    let row = position % rows
    let (keys, values) = (
      keysOffset(layer) + head * headCount, valuesOffset(layer) + head * headCount
    )
    guard precision == .bf16 else {
      return (keys + d * rows + row, values + row * headSize + d)
    }
    return (
      keys + row / 16 * 16 * paddedSize + d / 2 * 32 + row % 16 * 2 + d % 2,
      values + (d / 16 * rows + row / 2 * 2) * 16 + d % 16 * 2 + row % 2
    )
  }

  /// Elements of a head with what fills the last group.
  private var paddedSize: Int { precision == .f32 ? headSize : (headSize + 31) / 32 * 32 }

  /// One position's key and value, (keyValueHeads · headSize) each, into its page.
  fileprivate func write(
    _ key: Floats, _ value: Floats, position: Int, of pages: [Floats], layer: Int
  ) {
    let page = pages[position / rows]
    for (head, d) in (0..<keyValueHeads).flatMap({ head in (0..<paddedSize).map { (head, $0) } }) {
      // Values behind the last position are 0 to the end of its group.
      if precision == .bf16 {
        for next in position..<position / 32 * 32 + 32 {
          put(0, into: page, at: place(layer, head, d, position: next).value)
        }
      }
      let column = head * headSize + d
      let place = place(layer, head, d, position: position)
      put(d < headSize ? key[column] : 0, into: page, at: place.key)
      put(d < headSize ? value[column] : 0, into: page, at: place.value)
    }
  }

  /// One position's key and value, (keyValueHeads · headSize) each, out of its page.
  fileprivate func read(
    into key: Floats, _ value: Floats, position: Int, of pages: [Floats], layer: Int
  ) {
    for column in 0..<columns {
      let (head, d) = column.quotientAndRemainder(dividingBy: headSize)
      let place = place(layer, head, d, position: position)
      key[column] = number(in: pages[position / rows], at: place.key)
      value[column] = number(in: pages[position / rows], at: place.value)
    }
  }

  /// The first of two numbers of bf16 is in the lower half of a word.
  private func put(_ number: Float, into page: Floats, at place: Int) {
    guard precision == .bf16 else { return page[place] = number }
    let bits = bf16Reference(number).bitPattern, word = page[place / 2].bitPattern
    page[place / 2] = Float(
      bitPattern: place % 2 == 0 ? word & 0xffff_0000 | bits >> 16 : word & 0xffff | bits)
  }

  private func number(in page: Floats, at place: Int) -> Float {
    guard precision == .bf16 else { return page[place] }
    let word = page[place / 2].bitPattern
    return Float(bitPattern: place % 2 == 0 ? word << 16 : word & 0xffff_0000)
  }
}

/// The rows that each row sees.
private func visibleRows(_ layout: AttentionLayout, _ shape: AttentionShape) -> [[Int]] {
  layout.pieces.flatMap { piece in
    piece.own.map { row in
      let own = layout.causal ? piece.own.lowerBound..<row + 1 : piece.own
      return (Array(piece.prefix) + Array(own)).suffix(shape.window ?? .max)
    }
  }
}

/// Where a query head's key (or value) begins in row `key`.
private func keyOffset(_ key: Int, _ head: Int, _ shape: AttentionShape) -> Int {
  let group = head / (shape.heads / shape.keyValueHeads)
  return key * shape.keyValueColumns + group * shape.headSize
}

/// The softmax of one head's scores in one row, and their log-sum-exp.
private func attentionWeights(
  _ row: Int, _ head: Int, _ seen: [Int], q: Floats, k: Floats, _ shape: AttentionShape
) -> (weights: [Double], logSumExp: Double) {
  let query = row * shape.columns + head * shape.headSize
  let scores = seen.map { key in
    let start = keyOffset(key, head, shape)
    let dot = (0..<shape.headSize).reduce(0.0) {
      $0 + Double(q[query + $1]) * Double(k[start + $1])
    }
    return dot * Double(shape.scale)
  }
  let top = scores.max() ?? 0
  let sum = scores.reduce(0) { $0 + exp($1 - top) }
  return (scores.map { exp($0 - top) / sum }, top + log(sum))
}

func checkAttention(
  _ queries: [Floats], _ keys: [Floats], _ logSumExp: Floats,
  _ layout: AttentionLayout, _ shape: AttentionShape
) {
  let rows = layout.rows
  precondition(layout.causal || shape.window == nil, "a window without an order of rows")
  for x in queries { precondition(x.count == rows * shape.columns, "(\(rows), heads·size)") }
  for x in keys { precondition(x.count == rows * shape.keyValueColumns, "(\(rows), kv·size)") }
  precondition(logSumExp.count == rows * shape.heads, "(\(rows), heads) expected")
}
