import Domain
import Testing

@testable import Scheduling

/// What members make of their parts of a sum, as these come in any order, some of them twice.
///
/// - Parameters:
///   - partials: the sums of all contributions.
///   - makers: of `ReductionPlan.makers`, for the owner of what is summed.
///   - copies: some come twice.
/// - Returns: the whole, as often as it was made, and how many sums were sent.
func sumByMessages(
  _ partials: [TreeNode: [Float]], _ tree: ContributionTree, _ makers: [Int], owner: Int,
  members: Int, copies: Bool, _ random: inout SeededRandom
) -> (wholes: [[Float]], sent: Int) {
  var cells = (0..<members).map { _ in CellSum<[Float]>() }
  var wholes: [[Float]] = []
  var sent = 0
  var coming = tree.slots.indices.compactMap { slot in
    partials[tree.slots[slot].node].map { (slot: slot, value: $0, to: makers[slot]) }
  }
  while !coming.isEmpty {
    let (slot, value, member) = coming.remove(at: random.below(coming.count))
    let target = tree.destination(of: slot, makers, owner: owner)
    if target != member {
      sent += 1
      for _ in 0..<(copies && random.below(3) == 0 ? 2 : 1) {
        coming.append((slot, value, target))
      }
      continue
    }
    let taken = cells[member].take(
      value, at: slot, of: tree, isMade: { makers[$0] == member }
    ) { a, b in zip(a, b).map { $0 + $1 } }
    guard let (sum, made) = taken else { continue }
    if tree.slots[made].parent == nil, member == owner {
      wholes.append(sum)
    } else {
      coming.append((made, sum, member))
    }
  }
  #expect(cells.allSatisfy { $0.isEmpty })
  return (wholes, sent)
}

@Suite("The sum of a cell")
struct CellSumTests {
  @Test(
    "has the bits of the tree over all ranks, whoever makes which part, in whatever order they come",
    arguments: 1...60 as ClosedRange<UInt64>)
  func sameBits(seed: UInt64) throws {
    var random = SeededRandom(seed: seed)
    let ranks = 1 + random.below(33)
    let members = 1 + random.below(6)
    let leaves = (0..<ranks).map { _ in
      [Float(random.unit() - 0.5) * Float(1 << random.below(20))]
    }
    let tree = ContributionTree(rankOwners: (0..<ranks).map { _ in random.below(members) })
    var partials: [TreeNode: [Float]] = [:]
    for slot in tree.slots {
      if case .contribution = slot.origin {
        partials[slot.node] = treeSum(Array(leaves[slot.node.ranks(of: ranks)]))
      }
    }
    let owner = random.below(members)
    let makers = tree.slots.indices.map { place in
      if case .contribution(let member) = tree.slots[place].origin { return member }
      return place == tree.slots.count - 1 ? owner : random.below(members)
    }
    let (wholes, _) = sumByMessages(
      partials, tree, makers, owner: owner, members: members, copies: true, &random)
    #expect(wholes.count == 1)
    #expect(wholes.first.map { $0[0].bitPattern } == treeSum(leaves)[0].bitPattern)
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
