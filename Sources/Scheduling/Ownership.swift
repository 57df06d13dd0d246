import Domain

/// Into how many segments a vector is cut so that none is small change for a message, and every
/// member of a large group has its share within a few percent.
public func segmentCount(of elements: Int) -> Int { min(256, max(8, elements >> 16)) }

/// Spreads virtual ranks over members in contiguous blocks, so that the busiest is done as early as
/// can be and, within that, members send few sums.
///
/// A member's share is bounded by its pace: with equal ones no member gets more than `⌈V / W⌉`
/// ranks. Within these bounds the cuts are where the tree has the fewest subtrees to send; among
/// equally good ones the earliest. Members may stay without a rank when there are more than ranks.
///
/// - Parameter paces: of each member, seconds (or any other unit) that a rank takes there.
/// - Returns: (V), the member of each rank, never falling.
public func rankOwners(virtualRanks: Int, paces: [Double]) -> [Int] {
  precondition(virtualRanks > 0 && !paces.isEmpty, "at least 1 virtual rank and 1 member expected")
  precondition(paces.allSatisfy { $0 > 0 && $0.isFinite }, "paces above 0 expected")
  let caps = rankCaps(virtualRanks: virtualRanks, paces: paces)
  // fewest[m][v]: subtrees that the first m members send who have the first v ranks.
  let unreachable = Int.max / 2
  var fewest = [[Int]](
    repeating: Array(repeating: unreachable, count: virtualRanks + 1), count: paces.count + 1)
  var share = fewest
  fewest[0][0] = 0
  for member in 0..<paces.count {
    for start in 0...virtualRanks where fewest[member][start] < unreachable {
      for count in 0...min(caps[member], virtualRanks - start) {
        let sent = fewest[member][start] + subtrees(in: start..<start + count, of: virtualRanks)
        if sent < fewest[member + 1][start + count] {
          fewest[member + 1][start + count] = sent
          share[member + 1][start + count] = count
        }
      }
    }
  }
  var owners: [Int] = []
  var end = virtualRanks
  for member in (0..<paces.count).reversed() {
    let count = share[member + 1][end]
    owners += Array(repeating: member, count: count)
    end -= count
  }
  return owners.reversed()
}

/// How many ranks each member may have when the busiest is to be done as early as can be.
func rankCaps(virtualRanks: Int, paces: [Double]) -> [Int] {
  // The earliest end is when some member ends some number of ranks.
  let ends = paces.flatMap { pace in (1...virtualRanks).map { Double($0) * pace } }.sorted()
  func caps(_ end: Double) -> [Int] {
    paces.map { pace in min(virtualRanks, Int((end / pace * (1 + 1e-9)).rounded(.down))) }
  }
  var (low, high) = (0, ends.count - 1)
  while low < high {
    let middle = (low + high) / 2
    if caps(ends[middle]).reduce(0, +) >= virtualRanks { high = middle } else { low = middle + 1 }
  }
  return caps(ends[low])
}

/// How many maximal subtrees of the summation tree make up these ranks.
func subtrees(in ranks: Range<Int>, of virtualRanks: Int) -> Int {
  var (count, start) = (0, ranks.lowerBound)
  while start < ranks.upperBound {
    var size = 1
    // The tree's last node of a level may have no right half: it reaches beyond the last rank.
    while start % (2 * size) == 0,
      min(start + 2 * size, virtualRanks) <= ranks.upperBound, start + size < virtualRanks
    {
      size *= 2
    }
    count += 1
    start = min(start + size, virtualRanks)
  }
  return count
}

/// Who keeps which segments in the next step: a pure function of who does now.
///
/// A member that leaves, and segments with too few keepers, are seen to first; then load is evened
/// out. What has to be fetched for it is bounded per step, so that a training goes on while
/// segments move. Owners change among keepers at no cost, and are spread evenly.
struct SegmentPlacement {
  /// Members by their index in the plan.
  struct Member {
    /// Has all weights of the step, so that it may take segments over.
    var isWhole: Bool
    /// Gives away what it keeps.
    var isLeaving: Bool
  }

  let members: [Member]
  /// Keepers of each segment wanted; 0: all.
  let replication: Int
  private(set) var keepers: [[Int]]
  private var newcomers: [Int?]
  private var load: [Int]

  /// - Parameter keepers: for each segment, the members that have its moments; owners first.
  init(members: [Member], replication: Int, keepers: [[Int]]) {
    self.members = members
    self.replication = replication
    self.keepers = keepers
    newcomers = Array(repeating: nil, count: keepers.count)
    load = Array(repeating: 0, count: members.count)
    for member in keepers.joined() { load[member] += 1 }
  }

  /// Of a step that every whole member can begin without moments of others: all is placed anew.
  static func fresh(members: [Member], replication: Int, segments: Int) -> [SegmentKeepers] {
    let staying = members.indices.filter { members[$0].isWhole && !members[$0].isLeaving }
    let able = staying.isEmpty ? members.indices.filter { members[$0].isWhole } : staying
    let wanted = replication == 0 ? able.count : min(replication, able.count)
    return (0..<segments).map { segment in
      let owner = segment * able.count / segments
      return SegmentKeepers((0..<wanted).map { able[(owner + $0) % able.count] })
    }
  }

  /// Segments that one step may move, beside those that have too few keepers.
  static func movesMax(segments: Int) -> Int { max(1, segments / 16) }
  /// Of the latter.
  static func repairsMax(segments: Int) -> Int { max(1, segments / 4) }

  private var staying: [Int] {
    members.indices.filter { members[$0].isWhole && !members[$0].isLeaving }
  }

  mutating func place() -> [SegmentKeepers] {
    let staying = staying
    let wanted = replication == 0 ? staying.count : min(replication, staying.count)
    for segment in keepers.indices { release(segment, wanted: wanted) }
    repair(wanted: wanted, staying)
    even(staying)
    return owned()
  }

  /// Lets go of keepers that are not needed: those that leave, then the busiest.
  private mutating func release(_ segment: Int, wanted: Int) {
    let isEnough = keepers[segment].count { !members[$0].isLeaving } >= max(wanted, 1)
    if isEnough {
      for member in keepers[segment] where members[member].isLeaving { load[member] -= 1 }
      keepers[segment].removeAll { members[$0].isLeaving }
    }
    while wanted > 0, keepers[segment].count > wanted,
      let busiest = keepers[segment].filter({ !members[$0].isLeaving })
        .max(by: { (load[$0], $0) < (load[$1], $1) }), isEnough
    {
      keepers[segment].removeAll { $0 == busiest }
      load[busiest] -= 1
    }
  }

  private mutating func repair(wanted: Int, _ staying: [Int]) {
    var left = Self.repairsMax(segments: keepers.count)
    // Those with the fewest keepers first.
    let poor = keepers.indices
      .filter { segment in keepers[segment].count { !members[$0].isLeaving } < wanted }
      .sorted { a, b in (keepers[a].count, a) < (keepers[b].count, b) }
    for segment in poor where left > 0 {
      guard
        let newcomer = staying.filter({ !keepers[segment].contains($0) })
          .min(by: { (load[$0], $0) < (load[$1], $1) })
      else { continue }
      newcomers[segment] = newcomer
      load[newcomer] += 1
      left -= 1
    }
  }

  /// Moves segments from the busiest to the idlest, a few.
  private mutating func even(_ staying: [Int]) {
    var left = Self.movesMax(segments: keepers.count)
    while left > 0, let idlest = staying.min(by: { (load[$0], $0) < (load[$1], $1) }),
      let busiest = staying.max(by: { (load[$0], -$0) < (load[$1], -$1) }),
      load[busiest] - load[idlest] > 1,
      let segment = keepers.indices.first(where: {
        newcomers[$0] == nil && keepers[$0].contains(busiest) && !keepers[$0].contains(idlest)
      })
    {
      newcomers[segment] = idlest
      // As it will be when the newcomer keeps it and the busiest does not.
      load[idlest] += 1
      load[busiest] -= 1
      left -= 1
    }
  }

  /// Spreads ownership over keepers, in runs where it can.
  private func owned() -> [SegmentKeepers] {
    var owns = Array(repeating: 0, count: members.count)
    let share = (keepers.count + members.count - 1) / max(1, members.count)
    var last: Int?
    return keepers.indices.map { segment in
      let able = keepers[segment]
      let owner =
        last.flatMap { able.contains($0) && owns[$0] < share ? $0 : nil }
        ?? able.min { (owns[$0], $0) < (owns[$1], $1) } ?? able[0]
      owns[owner] += 1
      last = owner
      return SegmentKeepers(
        [owner] + able.filter { $0 != owner }, newcomer: newcomers[segment])
    }
  }
}
