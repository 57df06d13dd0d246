/// The tree over what members contribute to a sum, so that partial sums can be added as they come:
/// a sum is made when both of its halves are there, which are the same two in any order of arrival.
///
/// Made from `ReductionPlan.finishProgram`; the same for every cell of the vector.
public struct ContributionTree: Sendable {
  /// Slots of the contributions, in rank order, then of their sums; the last is the whole.
  public let slots: Int
  /// For each slot but the last, the slot of the sum that it is a half of.
  let parent: [Int]
  /// The other half of that sum.
  let sibling: [Int]
  private let slotOfNode: [TreeNode: Int]

  public init(_ plan: ReductionPlan) {
    var nodes: [TreeNode: Int] = [:]
    for case .receive(let node, _) in plan.finishProgram { nodes[node] = nodes.count }
    slotOfNode = nodes
    slots = 2 * nodes.count - 1
    var parent = [Int](repeating: -1, count: slots)
    var sibling = parent
    var stack: [Int] = []
    var next = nodes.count
    for instruction in plan.finishProgram {
      switch instruction {
      case .receive(let node, _): stack.append(nodes[node] ?? 0)
      case .add:
        let right = stack.removeLast()
        let left = stack.removeLast()
        for (half, other) in [(left, right), (right, left)] {
          parent[half] = next
          sibling[half] = other
        }
        stack.append(next)
        next += 1
      case .push, .recall, .emit: break
      }
    }
    self.parent = parent
    self.sibling = sibling
  }

  /// Nil: nobody contributes this node.
  public func slot(of node: TreeNode) -> Int? { slotOfNode[node] }
}

/// The sum of one cell as its contributions come.
public struct CellSum<Value> {
  private var halves: [Int: Value] = [:]
  private var seen: Set<Int> = []

  public init() {}

  /// Takes in a contribution; a second copy is dropped.
  ///
  /// - Parameter add: the sum of two halves, in either order: addition of floats is commutative.
  /// - Returns: the whole sum, when this was the last of it.
  public mutating func take(
    _ value: Value, at slot: Int, of tree: ContributionTree, add: (Value, Value) -> Value
  ) -> Value? {
    guard seen.insert(slot).inserted else { return nil }
    var (value, slot) = (value, slot)
    while slot != tree.slots - 1 {
      guard let other = halves.removeValue(forKey: tree.sibling[slot]) else {
        halves[slot] = value
        return nil
      }
      value = add(value, other)
      slot = tree.parent[slot]
    }
    return value
  }
}
