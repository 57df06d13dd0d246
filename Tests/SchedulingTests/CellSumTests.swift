import Domain
import Testing

@testable import Scheduling

@Suite("The sum of a cell")
struct CellSumTests {
  @Test(
    "has the bits of the tree over all ranks, in whatever order contributions come, copies too",
    arguments: 1...60 as ClosedRange<UInt64>)
  func sameBits(seed: UInt64) throws {
    var random = SeededRandom(seed: seed)
    let ranks = 1 + random.below(33)
    let members = 1 + random.below(6)
    let leaves = (0..<ranks).map { _ in
      [Float(random.unit() - 0.5) * Float(1 << random.below(20))]
    }
    let plan = ReductionPlan(
      rankOwners: (0..<ranks).map { _ in random.below(members) }, segmentOwners: [0],
      members: members)
    let tree = ContributionTree(plan)
    let nodes = random.shuffled(plan.contributions.flatMap { $0 })
    var sum = CellSum<[Float]>()
    var whole: [Float]?
    for (index, node) in nodes.enumerated() {
      #expect(whole == nil)
      let value = treeSum(Array(leaves[node.ranks(of: ranks)]))
      let slot = try #require(tree.slot(of: node))
      let add = { (a: [Float], b: [Float]) in zip(a, b).map { $0 + $1 } }
      whole = sum.take(value, at: slot, of: tree, add: add)
      if index + 1 < nodes.count { #expect(sum.take(value, at: slot, of: tree, add: add) == nil) }
    }
    #expect(whole.map { $0[0].bitPattern } == treeSum(leaves)[0].bitPattern)
  }
}

@Suite("The cells of a vector")
struct VectorGridTests {
  @Test("cover it without gaps, lie within segments, and are no larger than they may be")
  func cells() {
    for (count, segments, cellMax) in [
      (0, 8, 10), (5, 8, 10), (1000, 7, 64), (64, 1, 64), (65, 1, 64),
    ] {
      let grid = VectorGrid(count: count, segments: segments, cellMax: cellMax)
      #expect(grid.cells.map(\.count).reduce(0, +) == count)
      #expect(grid.cells.allSatisfy { !$0.isEmpty && $0.count <= cellMax })
      #expect(zip(grid.cells, grid.cells.dropFirst()).allSatisfy { $0.upperBound == $1.lowerBound })
      for segment in 0..<segments {
        let range = segmentRange(segment, of: count, segments: segments)
        let cells = grid.cellsOfSegment[segment]
        #expect(cells.map { grid.cells[$0].count }.reduce(0, +) == range.count)
        #expect(cells.allSatisfy { grid.segmentOfCell[$0] == segment })
        #expect(cells.allSatisfy { range.contains(grid.cells[$0].lowerBound) })
      }
    }
  }
}
