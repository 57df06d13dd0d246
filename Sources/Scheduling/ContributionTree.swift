/// The tree over what members contribute to a sum: the summation tree down to where all ranks below
/// a node are one member's. A sum is made when both of its halves are there, which are the same two
/// in any order of arrival.
struct ContributionTree: Hashable, Sendable {
  struct Slot: Hashable, Sendable {
    /// Whose sum it has.
    let node: TreeNode
    let origin: Origin
    /// The slot of the sum that it is a half of, and that of the other half; nil for the whole.
    fileprivate(set) var parent: Int?
    fileprivate(set) var sibling: Int?
  }

  enum Origin: Hashable, Sendable {
    /// A member makes it of ranks of its own.
    case contribution(of: Int)
    /// The sum of two slots.
    case sum(Int, Int)
  }

  /// Halves before their sum: the last is the whole.
  private(set) var slots: [Slot] = []
  private var slotOfNode: [TreeNode: Int] = [:]

  /// - Parameter rankOwners: (V).
  init(rankOwners: [Int]) {
    _ = add(.root(virtualRanks: rankOwners.count), rankOwners)
  }

  /// Nil: nobody has any use for the sum of this node alone.
  func slot(of node: TreeNode) -> Int? { slotOfNode[node] }

  /// - Returns: the slot of the node's sum.
  private mutating func add(_ node: TreeNode, _ owners: [Int]) -> Int {
    let ranks = node.ranks(of: owners.count)
    let owner = owners[ranks.lowerBound]
    let origin: Origin
    if ranks.allSatisfy({ owners[$0] == owner }) {
      origin = .contribution(of: owner)
    } else {
      let (left, right) = node.children(of: owners.count)
      let first = add(left, owners)
      // Without a right half it is its left one.
      guard let right else { return first }
      origin = .sum(first, add(right, owners))
    }
    let slot = slots.count
    slots.append(Slot(node: node, origin: origin))
    slotOfNode[node] = slot
    if case .sum(let left, let right) = origin {
      (slots[left].parent, slots[left].sibling) = (slot, right)
      (slots[right].parent, slots[right].sibling) = (slot, left)
    }
    return slot
  }

  // MARK: Who makes which sum

  /// For each slot who has it first, when all contributions go to one member.
  func direct(to member: Int) -> [Int] {
    slots.map { slot in
      if case .contribution(let contributor) = slot.origin { contributor } else { member }
    }
  }

  /// The same, when neighbours add their parts of a sum up before it goes on, wherever fewer sums
  /// are sent so.
  ///
  /// - Parameter fewest: see `fewestSent`.
  func relayed(to member: Int, _ fewest: [[Int]]) -> [Int] {
    var makers = direct(to: member)
    for (place, slot) in slots.enumerated().reversed() {
      guard case .sum = slot.origin, let parent = slot.parent else { continue }
      // One that is made elsewhere has to be sent, too.
      let target = makers[parent]
      let best = fewest[place].indices.min { fewest[place][$0] < fewest[place][$1] } ?? target
      makers[place] = fewest[place][target] <= fewest[place][best] + 1 ? target : best
    }
    return makers
  }

  /// For each slot and member, the fewest sums that have to be sent for this member to have it.
  func fewestSent(members: Int) -> [[Int]] {
    var fewest: [[Int]] = []
    for slot in slots {
      switch slot.origin {
      case .contribution(let contributor):
        fewest.append((0..<members).map { $0 == contributor ? 0 : 1 })
      case .sum(let left, let right):
        let halves = [fewest[left], fewest[right]]
        let elsewhere = halves.map { ($0.min() ?? 0) + 1 }
        fewest.append(
          (0..<members).map { member in
            min(halves[0][member], elsewhere[0]) + min(halves[1][member], elsewhere[1])
          })
      }
    }
    return fewest
  }

  /// Where the sum of a slot goes when these members make them: to who makes the next one of it,
  /// the whole to its owner.
  func destination(of slot: Int, _ makers: [Int], owner: Int) -> Int {
    slots[slot].parent.map { makers[$0] } ?? owner
  }

  /// The sums that are sent then: from whom to whom.
  func sent(_ makers: [Int], owner: Int) -> [(from: Int, to: Int)] {
    slots.indices.compactMap { slot in
      let target = destination(of: slot, makers, owner: owner)
      return makers[slot] == target ? nil : (makers[slot], target)
    }
  }
}
