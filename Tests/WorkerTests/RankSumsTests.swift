import Domain
import Kernels
import Scheduling
import Testing

@testable import Worker

@Suite("The sums of a member's ranks")
struct RankSumsTests {
  private let count = 500

  private func leaf(_ rank: Int) -> [Float] {
    var random = SeededRandom(seed: UInt64(rank), "leaf")
    return (0..<count).map { _ in Float(random.unit() - 0.5) * Float(1 << random.below(30)) }
  }

  /// The sums that a member's program makes, as the worker goes through it; gradients come in
  /// parts.
  private func run(
    _ program: some Collection<ReductionInstruction>, _ sums: inout RankSums, parts: Int,
    _ compute: Compute
  ) -> [TreeNode: RankSums.Sum] {
    var found: [TreeNode: RankSums.Sum] = [:]
    var rest = Array(program)[...]
    while let instruction = rest.popFirst() {
      switch instruction {
      case .push(let rank):
        let additions = rest.prefix { $0 == .add }.count
        rest = rest.dropFirst(additions)
        let sum = sums.begin(additions: additions)
        let values = leaf(rank)
        for part in 0..<parts {
          let range = segmentRange(part, of: count, segments: parts)
          let made = sum.gradient?[range] ?? Floats(zeros: range.count)
          made.copy(from: Array(values[range]))
          sum.finish(range, made, on: compute)
        }
        sums.push(sum, RankStatistics(rank: rank, lossSum: Double(rank), tokens: 1))
      case .recall(let node): sums.recall(node)
      case .add: sums.add(on: compute)
      case .emit(let node): found[node] = sums.finish(node)
      }
    }
    return found
  }

  @Test(
    "are those of the tree to the last bit, whatever is known from earlier attempts",
    arguments: 1...40 as ClosedRange<UInt64>, WirePrecision.allCases)
  func bits(seed: UInt64, wire: WirePrecision) throws {
    let compute = try Compute(threads: 1)
    var random = SeededRandom(seed: seed, "sums")
    let ranks = 1 + random.below(16)
    var sums = RankSums(count: count, wire)
    // Attempts of one step, each with other owners; this member's place is 0.
    for _ in 0..<3 {
      let owners = (0..<ranks).map { _ in random.below(2) }
      let plan = ReductionPlan(rankOwners: owners, segmentOwners: [0], members: 2)
      // An attempt that ends before its sums do, with still other owners.
      let void = ReductionPlan(
        rankOwners: (0..<ranks).map { _ in random.below(2) }, segmentOwners: [0], members: 2
      ).localProgram(member: 0, known: sums.nodes)
      sums.keepBegun(for: void)
      _ = run(void.dropLast(random.below(1 + void.count)), &sums, parts: 2, compute)
      sums.setAside(virtualRanks: ranks)
      let program = plan.localProgram(member: 0, known: sums.nodes)
      sums.keepBegun(for: program)
      let before = sums.known.mapValues(\.values.array)
      let found = run(program, &sums, parts: 1 + random.below(5), compute)
      for node in plan.contributions[0] {
        let leaves = node.ranks(of: ranks)
        let expected = treeSum(leaves.map(leaf), wire)
        let sum = try #require(found[node])
        #expect(sum.values.array.map(\.bitPattern) == expected.map(\.bitPattern))
        #expect(sum.ranks.map(\.rank) == Array(leaves))
      }
      // What may be on its way to others was not written.
      for (node, values) in before { #expect(sums.known[node]?.values.array == values) }
    }
    // The next step uses the vectors again.
    sums.recycle()
    #expect(sums.known.isEmpty)
    let plan = ReductionPlan(
      rankOwners: Array(repeating: 0, count: ranks), segmentOwners: [0], members: 1)
    let found = run(plan.localProgram(member: 0), &sums, parts: 3, compute)
    #expect(
      found[.root(virtualRanks: ranks)]?.values.array == treeSum((0..<ranks).map(leaf), wire))
  }

  @Test(
    "take as many vectors as are forecast: none for a gradient that is added at once",
    arguments: 1...20 as ClosedRange<UInt64>)
  func vectors(seed: UInt64) throws {
    let compute = try Compute(threads: 1)
    var random = SeededRandom(seed: seed, "vectors")
    let ranks = 1 + random.below(20)
    let members = 1 + random.below(3)
    let plan = ReductionPlan(virtualRanks: ranks, evenlyOver: members)
    let taken = (0..<members).map { member in
      var sums = RankSums(count: count, .f32)
      _ = run(plan.localProgram(member: member), &sums, parts: 2, compute)
      sums.recycle()
      return sums.free.count
    }
    #expect(taken.max() == plan.vectorsMax)
    #expect(ReductionPlan(virtualRanks: 8, evenlyOver: 4).vectorsMax == 1)
    #expect(ReductionPlan(virtualRanks: 8, evenlyOver: 1).vectorsMax == 3)
  }

  @Test("go on from where a void attempt ended, in its vectors")
  func setAside() throws {
    let compute = try Compute(threads: 1)
    var sums = RankSums(count: count, .f32)
    let all = ReductionPlan(
      rankOwners: Array(repeating: 0, count: 8), segmentOwners: [0], members: 1)
    let program = all.localProgram(member: 0)
    // Six ranks of eight: the sums of four and of two.
    _ = run(program.prefix { $0 != .push(rank: 6) }, &sums, parts: 1, compute)
    sums.setAside(virtualRanks: 8)
    let (four, two) = (TreeNode(level: 2, index: 0), TreeNode(level: 1, index: 2))
    #expect(sums.nodes == [four, two] && sums.known.isEmpty)
    let rest = all.localProgram(member: 0, known: sums.nodes)
    #expect(
      rest == [
        .recall(four), .recall(two), .push(rank: 6), .push(rank: 7), .add, .add, .add,
        .emit(TreeNode(level: 3, index: 0)),
      ])
    let found = run(rest, &sums, parts: 3, compute)
    #expect(found.values.first?.values.array == treeSum((0..<8).map(leaf)))
    #expect(sums.nodes == [TreeNode(level: 3, index: 0)])
    // Who has no use for them any more has their vectors.
    sums.recycle()
    _ = run(program.prefix { $0 != .push(rank: 6) }, &sums, parts: 1, compute)
    sums.setAside(virtualRanks: 8)
    sums.keepBegun(for: [.recall(two), .push(rank: 6)])
    #expect(sums.nodes == [two])
  }

  @Test("are timed as if all ranks had been computed anew")
  func times() {
    var times = RankTimes()
    times.ranks = 4
    #expect(times.ofAll == .zero)
    times.took(.seconds(3))
    #expect(times.ofAll == .seconds(12))
    times.took(.seconds(1))
    #expect(times.ofAll == .seconds(8))
  }

  @Test("that are given up leave what is known as it was")
  func abandoned() throws {
    let compute = try Compute(threads: 1)
    var sums = RankSums(count: count, .f32)
    let node = TreeNode(rank: 0)
    _ = run([.push(rank: 0), .emit(node)], &sums, parts: 1, compute)
    _ = run([.recall(node), .push(rank: 1)], &sums, parts: 1, compute)
    sums.abandon()
    let pair = TreeNode(level: 1, index: 0)
    let found = run(
      [.recall(node), .push(rank: 1), .add, .emit(pair)], &sums, parts: 2, compute)
    #expect(found[pair]?.values.array == treeSum([leaf(0), leaf(1)]))
    #expect(sums.known[node]?.values.array == leaf(0))
  }
}

@Suite("The finished cells of a vector")
struct FinishedCellsTests {
  @Test("are told once each, when all of them is", arguments: 1...30 as ClosedRange<UInt64>)
  func once(seed: UInt64) {
    var random = SeededRandom(seed: seed, "cells")
    let grid = VectorGrid(count: 1 + random.below(900), segments: 8, cellMax: 1 + random.below(60))
    let parts = 1 + random.below(20)
    var cells = FinishedCells(grid)
    var known = Array(repeating: false, count: grid.count)
    var told: Set<Int> = []
    for part in random.shuffled(Array(0..<parts)).dropLast(random.below(3)) {
      let range = segmentRange(part, of: grid.count, segments: parts)
      for place in range { known[place] = true }
      for cell in cells.take(range) {
        #expect(told.insert(cell).inserted && grid.cells[cell].allSatisfy { known[$0] })
      }
      #expect(told == Set(grid.cells.indices.filter { grid.cells[$0].allSatisfy { known[$0] } }))
    }
  }
}
