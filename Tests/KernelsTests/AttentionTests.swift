import Kernels
import TestSupport
import Testing

@Suite("Attention")
struct AttentionTests {
  static let layouts: [AttentionLayout] = [
    .causal([1]), .causal([5, 1, 70]), .full([9, 33]),
    AttentionLayout(
      [
        .init(prefix: 9, branches: [4, 1, 12]), .init(prefix: 3),
        .init(prefix: 0, branches: [5, 2]),
      ],
      causal: true),
    AttentionLayout([.init(prefix: 70, branches: [3, 66])], causal: false),
  ]
  static let shapes: [AttentionShape] = [
    .init(heads: 2, keyValueHeads: 2, headSize: 16),
    .init(heads: 6, keyValueHeads: 2, headSize: 20),
    .init(heads: 9, keyValueHeads: 3, headSize: 64),
    .init(heads: 3, keyValueHeads: 1, headSize: 128, scale: 0.3),
    .init(heads: 6, keyValueHeads: 2, headSize: 20, window: 7),
    .init(heads: 2, keyValueHeads: 1, headSize: 16, window: 1),
    .init(heads: 2, keyValueHeads: 2, headSize: 24, window: 40),
  ]

  struct Inputs {
    let q, k, v, dOut: Floats

    init(_ rows: Int, _ shape: AttentionShape) {
      var values = Values(UInt64(rows))
      q = values.floats(rows * shape.columns, scale: 2)
      k = values.floats(rows * shape.keyValueColumns, scale: 2)
      v = values.floats(rows * shape.keyValueColumns)
      dOut = values.floats(rows * shape.columns)
    }
  }

  @Test(
    "forward and backward equal their twins for all layouts, heads, head sizes and windows",
    arguments: ProductPrecision.allCases)
  func twins(products: ProductPrecision) throws {
    try compare(Self.layouts, Self.shapes, products)
  }

  @Test(
    "forward and backward equal their twins over several blocks of keys",
    arguments: ProductPrecision.allCases)
  func blocks(products: ProductPrecision) throws {
    try compare(
      [
        .causal([1030]), .full([577]),
        AttentionLayout([.init(prefix: 500, branches: [40, 530])], causal: true),
      ],
      [
        .init(heads: 2, keyValueHeads: 1, headSize: 16),
        .init(heads: 2, keyValueHeads: 2, headSize: 20, scale: 2, window: 520),
        .init(heads: 3, keyValueHeads: 1, headSize: 16, window: 90),
      ], products)
  }

  /// The twins know no bf16: what they read is rounded, and weights are as exact as bf16 is.
  private func compare(
    _ layouts: [AttentionLayout], _ shapes: [AttentionShape], _ products: ProductPrecision
  ) throws {
    let computes = try everyCompute().map { $0.multiplying(products) }
    let most: Float = products == .f32 ? 1e-5 : 0.03
    for layout in layouts {
      for shape in shapes where layout.causal || shape.window == nil {
        let x = Inputs(layout.rows, shape)
        if products == .bf16 {
          for values in [x.q, x.k, x.v, x.dOut] { roundToBF16(values, on: computes[0]) }
        }
        let expected = Results(layout.rows, shape)
        attentionReference(
          into: expected.out, logSumExp: expected.logSumExp, q: x.q, k: x.k, v: x.v, layout, shape)
        attentionBackwardReference(
          dq: expected.dq, dk: expected.dk, dv: expected.dv, dOut: x.dOut, out: expected.out,
          logSumExp: expected.logSumExp, q: x.q, k: x.k, v: x.v, layout, shape)
        var first: [[UInt32]]?
        for compute in computes {
          let results = Results(layout.rows, shape)
          results.fill(x, layout, shape, on: compute)
          for (result, wanted) in zip(results.all, expected.all) {
            let d = relativeDifference(result.array, wanted.array, least: 0.1)
            #expect(d < most, "\(layout) \(shape): \(d)")
          }
          let bits = results.all.map(\.bits)
          #expect(bits == first ?? bits, "other bits on \(compute.instructionSet)")
          first = bits
        }
      }
    }
  }

  struct Results {
    let out, logSumExp, dq, dk, dv: Floats
    var all: [Floats] { [out, logSumExp, dq, dk, dv] }

    init(_ rows: Int, _ shape: AttentionShape) {
      out = Floats(zeros: rows * shape.columns)
      logSumExp = Floats(zeros: rows * shape.heads)
      dq = Floats(zeros: rows * shape.columns)
      dk = Floats([Float](repeating: 5, count: rows * shape.keyValueColumns))
      dv = dk.copy
    }

    func fill(
      _ x: Inputs, _ layout: AttentionLayout, _ shape: AttentionShape, on compute: Compute
    ) {
      attention(
        into: out, logSumExp: logSumExp, q: x.q, k: x.k, v: x.v, layout, shape, on: compute)
      attentionBackward(
        dq: dq, dk: dk, dv: dv, dOut: x.dOut, out: out, logSumExp: logSumExp, q: x.q, k: x.k,
        v: x.v, layout, shape, on: compute)
    }
  }

  @Test(
    "of a branch is, bit for bit, that of prefix and branch as one plain sequence",
    arguments: [nil, 3, 50, 600], [37, 490])
  func branches(window: Int?, prefix: Int) throws {
    for products in ProductPrecision.allCases {
      try compareBranches(window: window, prefix: prefix, on: Compute().multiplying(products))
    }
  }

  private func compareBranches(window: Int?, prefix: Int, on compute: Compute) throws {
    let shape = AttentionShape(heads: 6, keyValueHeads: 2, headSize: 24, window: window)
    let lengths = [5, 90, 1]
    let layout = AttentionLayout([.init(prefix: prefix, branches: lengths)], causal: true)
    let x = Inputs(layout.rows, shape)
    let out = Floats(zeros: x.q.count)
    let sums = Floats(zeros: layout.rows * shape.heads)
    attention(into: out, logSumExp: sums, q: x.q, k: x.k, v: x.v, layout, shape, on: compute)
    var start = prefix
    for length in lengths {
      func plain(_ x: Floats) -> Floats {
        let columns = x.count / layout.rows
        return Floats(
          x[0..<prefix * columns].array + x[start * columns..<(start + length) * columns].array)
      }
      let alone = Floats(zeros: (prefix + length) * shape.columns)
      attention(
        into: alone, logSumExp: Floats(zeros: (prefix + length) * shape.heads), q: plain(x.q),
        k: plain(x.k), v: plain(x.v), .causal([prefix + length]), shape, on: compute)
      #expect(alone.bits == plain(out).bits)
      start += length
    }
  }

  @Test("a window as long as the sequence changes no bits")
  func wideWindow() throws {
    let compute = try Compute()
    let results = [nil, 75, 76, 1000].map { window in
      let shape = AttentionShape(heads: 6, keyValueHeads: 2, headSize: 20, window: window)
      let results = Results(76, shape)
      results.fill(Inputs(76, shape), .causal([76]), shape, on: compute)
      return results.all.map(\.bits)
    }
    #expect(results[2] == results[0] && results[3] == results[0])
    #expect(results[1] != results[0])
  }

  @Test("positions go on behind the prefix in every branch")
  func positions() {
    let layout = AttentionLayout(
      [.init(prefix: 2, branches: [2, 1]), .init(prefix: 1)], causal: true)
    #expect(layout.positions == [0, 1, 2, 3, 2, 0])
    #expect(layout.rows == 6)
  }
}
