import Kernels
import TestSupport
import Testing

@Suite("Attention over pages")
struct PagedAttentionTests {
  /// A shape of heads, with the rows of a page.
  static let cases: [(shape: AttentionShape, rows: Int)] = [
    (.init(heads: 9, keyValueHeads: 3, headSize: 20), 16),
    (.init(heads: 4, keyValueHeads: 4, headSize: 64, window: 33), 64),
    (.init(heads: 3, keyValueHeads: 1, headSize: 7, window: 1), 32),
    (.init(heads: 8, keyValueHeads: 2, headSize: 80, window: 100), 48),
    (.init(heads: 4, keyValueHeads: 2, headSize: 64), 128),
  ]

  func layout(
    _ shape: AttentionShape, rows: Int, layers: Int = 2, _ precision: ProductPrecision = .f32
  ) -> PageLayout {
    PageLayout(
      layers: layers, rows: precision == .f32 ? rows : 2 * rows,
      keyValueHeads: shape.keyValueHeads, headSize: shape.headSize, precision: precision)
  }

  /// Pages that hold no numbers at first.
  func pages(_ positions: Int, _ layout: PageLayout) -> [Floats] {
    (0..<layout.pages(positions)).map { _ in
      Floats([Float](repeating: .nan, count: layout.words))
    }
  }

  @Test(
    "is, bit for bit, that of the whole sequence, in any steps, page sizes and company",
    arguments: ProductPrecision.allCases)
  func bits(precision: ProductPrecision) throws {
    for (shape, rows) in Self.cases {
      try compareWithWhole(
        shape, rows: rows, precision, steps: [1, 40, 2, 1, 70, 36], on: everyCompute())
    }
  }

  @Test(
    "is that of the whole sequence over several blocks of keys, too",
    arguments: ProductPrecision.allCases, [nil, 33, 530])
  func blocks(precision: ProductPrecision, window: Int?) throws {
    for rows in [48, 64] {
      try compareWithWhole(
        AttentionShape(heads: 6, keyValueHeads: 2, headSize: 20, window: window), rows: rows,
        precision, steps: [1, 500, 30, 1, 600, 1], on: [Compute(threads: 2)])
    }
  }

  /// The sequence in steps beside another one, with the whole in one call.
  private func compareWithWhole(
    _ shape: AttentionShape, rows: Int, _ precision: ProductPrecision, steps: [Int],
    on computes: [Compute]
  ) throws {
    let (length, otherLength) = (steps.reduce(0, +), 40)
    let x = AttentionTests.Inputs(length, shape)
    let other = AttentionTests.Inputs(otherLength, shape)
    let whole = Floats(zeros: x.q.count)
    attention(
      into: whole, logSumExp: Floats(zeros: length * shape.heads), q: x.q, k: x.k, v: x.v,
      .causal([length]), shape, on: try Compute().multiplying(precision))
    let layout = layout(shape, rows: rows, layers: 3, precision)
    let batch = PagedBatch(layout)
    for compute in computes {
      let (mine, theirs) = (pages(length, layout), pages(otherLength, layout))
      var position = 0
      for step in steps {
        position += step
        batch.removeAll()
        batch.append(pages: theirs, length: position % otherLength + 1, newRows: 1)
        batch.append(pages: mine, length: position, newRows: step)
        let place = position % otherLength
        /// The other sequence's row, then the new rows.
        func joined(_ a: Floats, _ b: Floats, _ columns: Int) -> Floats {
          Floats(
            a[place * columns..<(place + 1) * columns].array
              + b[(position - step) * columns..<position * columns].array)
        }
        let result = Floats(zeros: (step + 1) * shape.columns)
        attentionOverPages(
          into: result, q: joined(other.q, x.q, shape.columns),
          k: joined(other.k, x.k, shape.keyValueColumns),
          v: joined(other.v, x.v, shape.keyValueColumns), batch, layer: 1, shape,
          on: compute)
        let new = (position - step) * shape.columns..<position * shape.columns
        #expect(
          result[shape.columns..<result.count].bits == whole[new].bits,
          "\(shape) \(step) rows at \(position)")
      }
    }
  }

  @Test(
    "equals its twin, and leaves the pages of other layers and sequences alone",
    arguments: ProductPrecision.allCases)
  func twin(precision: ProductPrecision) throws {
    for (shape, rows) in Self.cases {
      let layout = layout(shape, rows: rows, precision)
      let lengths = [(17, 17), (65, 1), (130, 66)]
      func batch() -> (PagedBatch, [[Floats]]) {
        let batch = PagedBatch(layout)
        var all: [[Floats]] = []
        for (length, new) in lengths {
          var values = Values(UInt64(length))
          let pages = (0..<layout.pages(length)).map { _ in filled(layout, &values) }
          batch.append(pages: pages, length: length, newRows: new)
          all.append(pages)
        }
        return (batch, all)
      }
      let (mine, myPages) = batch()
      let (naive, naivePages) = batch()
      let x = AttentionTests.Inputs(mine.rows, shape)
      if precision == .bf16 { roundToBF16(x.q, on: try Compute()) }
      let (out, wanted) = (Floats(zeros: x.q.count), Floats(zeros: x.q.count))
      attentionOverPages(
        into: out, q: x.q, k: x.k, v: x.v, mine, layer: 1, shape, on: try Compute(threads: 2))
      attentionOverPagesReference(into: wanted, q: x.q, k: x.k, v: x.v, naive, layer: 1, shape)
      let difference = relativeDifference(out.array, wanted.array, least: 0.1)
      #expect(difference < (precision == .f32 ? 1e-5 : 0.03))
      #expect(myPages.map { $0.map(\.bits) } == naivePages.map { $0.map(\.bits) })
    }
  }
}

extension PagedAttentionTests {
  /// A page of numbers in −1 ..< 1.
  func filled(_ layout: PageLayout, _ values: inout Values) -> Floats {
    let first = values.floats(layout.words)
    guard layout.precision == .bf16 else { return first }
    let second = values.floats(layout.words)
    return Floats(
      (0..<layout.words).map {
        Float(bitPattern: first[$0].bitPattern >> 16 | second[$0].bitPattern & 0xffff_0000)
      })
  }

  @Test("does not read keys and values in front of the window of all new rows")
  func skippedKeys() throws {
    let compute = try Compute()
    let shape = AttentionShape(heads: 6, keyValueHeads: 2, headSize: 20, window: 9)
    let (length, new) = (60, 3)
    let layout = layout(shape, rows: 16)
    let x = AttentionTests.Inputs(length, shape)
    let columns = shape.keyValueColumns
    let out = Floats(zeros: new * shape.columns)
    /// The pages filled with the old rows, then a call with the new ones.
    func outputs() -> [UInt32] {
      let pages = pages(length, layout)
      let batch = PagedBatch(layout)
      var row = 0
      for count in [length - new, new] {
        row += count
        batch.removeAll()
        batch.append(pages: pages, length: row, newRows: count)
        let rows = (row - count) * columns..<row * columns
        let queries = Floats(zeros: count * shape.columns)
        queries.copy(from: x.q[0..<queries.count])
        attentionOverPages(
          into: count == new ? out : Floats(zeros: queries.count), q: queries, k: x.k[rows],
          v: x.v[rows], batch, layer: 0, shape, on: compute)
      }
      return out.bits
    }
    let before = outputs()
    let hidden = 0..<(length - new + 1 - 9) * columns
    x.k[hidden].fill(.nan)
    x.v[hidden].fill(.nan)
    #expect(outputs() == before)
    x.v[hidden.upperBound] = .nan
    #expect(outputs() != before)
  }
}

extension PagedAttentionTests {
  @Test(
    "goes on behind a beginning in a page that was copied, whatever else was in it",
    arguments: ProductPrecision.allCases, [1, 20, 33])
  func copiedPage(precision: ProductPrecision, common: Int) throws {
    let compute = try Compute()
    let shape = AttentionShape(heads: 6, keyValueHeads: 2, headSize: 20)
    let layout = layout(shape, rows: 64, precision)
    let (length, columns) = (40, shape.keyValueColumns)
    let x = AttentionTests.Inputs(length, shape)
    /// The output of the last `new` rows of the sequence, which are put into the pages.
    func run(_ pages: [Floats], _ x: AttentionTests.Inputs, new: Int) -> [UInt32] {
      let batch = PagedBatch(layout)
      batch.append(pages: pages, length: length, newRows: new)
      let out = Floats(zeros: new * shape.columns)
      let rows = (length - new) * columns..<length * columns
      attentionOverPages(
        into: out, q: x.q[(length - new) * shape.columns..<length * shape.columns],
        k: x.k[rows], v: x.v[rows], batch, layer: 0, shape, on: compute)
      return out.bits
    }
    let whole = run(pages(length, layout), x, new: length)
    // Another sequence with the same beginning, and nothing behind it that can be added up.
    let other = AttentionTests.Inputs(length, shape)
    for rest in [other.k, other.v] { rest[common * columns..<length * columns].fill(.infinity) }
    let theirs = pages(length, layout)
    _ = run(theirs, other, new: length)
    // One row at a time: behind each of them lies what the other sequence left.
    let mine = theirs.map { Floats($0.array) }
    let batch = PagedBatch(layout)
    for row in common..<length {
      batch.removeAll()
      batch.append(pages: mine, length: row + 1, newRows: 1)
      let out = Floats(zeros: shape.columns)
      let place = row * columns..<(row + 1) * columns
      attentionOverPages(
        into: out, q: x.q[row * shape.columns..<(row + 1) * shape.columns], k: x.k[place],
        v: x.v[place], batch, layer: 0, shape, on: compute)
      #expect(
        out.bits.elementsEqual(whole[row * shape.columns..<(row + 1) * shape.columns]),
        "row \(row)")
    }
  }
}

@Suite("The largest of a row")
struct ArgmaxTests {
  @Test("is found as the twin finds it: the first of equals, never what is not a number")
  func twin() throws {
    for compute in try everyCompute() {
      for columns in oddSizes {
        var values = Values(UInt64(columns))
        let x = values.floats(9 * columns)
        for row in 1..<9 {
          // Few different values give many equals.
          for c in 0..<columns where row % 2 == 0 {
            x[row * columns + c] = (values.next() * 3).rounded()
          }
          for c in 0..<columns where row % 3 == 0 && values.next() > 0 {
            x[row * columns + c] = .nan
          }
        }
        x[7 * columns..<8 * columns].fill(.nan)
        x[8 * columns..<9 * columns].fill(-.infinity)
        var places = [Int32](repeating: -1, count: 9)
        argmaxRows(into: &places, x, columns: columns, on: compute)
        #expect(
          places == (0..<9).map { argmaxReference(x[$0 * columns..<($0 + 1) * columns]) })
      }
    }
  }
}
