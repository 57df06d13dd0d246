/// The sum of one cell as its parts come to a member.
struct CellSum<Value> {
  private var halves: [Int: Value] = [:]
  private var seen: Set<Int> = []

  /// Nothing waits here for its other half.
  var isEmpty: Bool { halves.isEmpty }

  /// Takes in the sum of a slot, and adds up what can be; a second copy is dropped.
  ///
  /// - Parameters:
  ///   - isMade: whether the sum of a slot is made here.
  ///   - add: the sum of two halves, in either order: addition of floats is commutative.
  /// - Returns: the whole sum, or one that is a half of what is made elsewhere; nil while its other
  ///   half is missing here.
  mutating func take(
    _ value: Value, at slot: Int, of tree: ContributionTree, isMade: (Int) -> Bool,
    add: (Value, Value) -> Value
  ) -> (value: Value, slot: Int)? {
    guard seen.insert(slot).inserted else { return nil }
    var (value, slot) = (value, slot)
    while let parent = tree.slots[slot].parent, let sibling = tree.slots[slot].sibling,
      isMade(parent)
    {
      guard let other = halves.removeValue(forKey: sibling) else {
        halves[slot] = value
        return nil
      }
      value = add(value, other)
      slot = parent
    }
    return (value, slot)
  }
}
