/// The fixed binary tree over the virtual ranks along which gradients are summed.
///
/// Leaves are the ranks `0..<V`; at each level neighbours `2i` and `2i + 1` are added, and a node
/// without a right neighbour is its left child unchanged. The tree depends on `V` alone, and
/// floating-point addition is commutative, so the bits of the sum are the same for every way of
/// spreading the ranks over workers.
///
/// - Source: the fixed virtual workers of Li et al., "EasyScale", SC'22.
public struct TreeNode: Hashable, Comparable, Sendable, CustomStringConvertible {
  /// 0 for a leaf.
  public var level: Int
  /// From 0 within the level.
  public var index: Int

  public init(level: Int, index: Int) {
    self.level = level
    self.index = index
  }

  /// A rank as the leaf that it is.
  public init(rank: Int) { self.init(level: 0, index: rank) }

  /// The node that holds the sum over all `virtualRanks`.
  public static func root(virtualRanks: Int) -> TreeNode {
    precondition(virtualRanks > 0, "at least 1 virtual rank expected, \(virtualRanks) given")
    var level = 0
    while 1 << level < virtualRanks { level += 1 }
    return TreeNode(level: level, index: 0)
  }

  /// The ranks below this node.
  public func ranks(of virtualRanks: Int) -> Range<Int> {
    let first = min(index << level, virtualRanks)
    return first..<min((index + 1) << level, virtualRanks)
  }

  /// Left and right child; right is nil where the tree's last node of a level has none.
  func children(of virtualRanks: Int) -> (left: TreeNode, right: TreeNode?) {
    let left = TreeNode(level: level - 1, index: 2 * index)
    let right = TreeNode(level: level - 1, index: 2 * index + 1)
    return (left, right.ranks(of: virtualRanks).isEmpty ? nil : right)
  }

  public static func < (a: TreeNode, b: TreeNode) -> Bool {
    a.level == b.level ? a.index < b.index : a.level < b.level
  }

  public var description: String { "node \(level).\(index)" }
}

/// The sum over the tree, of vectors that are all at hand: the naive twin of `ReductionPlan`.
///
/// - Parameter leaves: (V, n), one vector per virtual rank, all of the same length.
/// - Returns: (n).
public func treeSum(_ leaves: [[Float]]) -> [Float] {
  precondition(!leaves.isEmpty, "at least 1 vector expected")
  var level = leaves
  while level.count > 1 {
    level = stride(from: 0, to: level.count, by: 2).map { left in
      guard left + 1 < level.count else { return level[left] }
      precondition(level[left].count == level[left + 1].count, "vectors of one length expected")
      return zip(level[left], level[left + 1]).map { $0 + $1 }
    }
  }
  return level[0]
}

/// The same over single numbers, in double precision: for losses and token counts.
public func treeSum(_ leaves: [Double]) -> Double {
  precondition(!leaves.isEmpty, "at least 1 number expected")
  var level = leaves
  while level.count > 1 {
    level = stride(from: 0, to: level.count, by: 2).map { left in
      left + 1 < level.count ? level[left] + level[left + 1] : level[left]
    }
  }
  return level[0]
}
