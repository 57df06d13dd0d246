import Domain

/// Into how many segments a vector is cut so that none is small change for a message, and every
/// member of a large group has its share within a few percent.
public func segmentCount(of elements: Int) -> Int { min(256, max(8, elements >> 16)) }

/// How much later than it could the busiest member may be done for less traffic, as a share.
private let latenessUsual = 0.1
/// The same, where that alone keeps the traffic within `trafficExcessMax`.
private let latenessMax = 0.25

/// Spreads virtual ranks over members in contiguous blocks, so that the busiest is done as early as
/// can be and, within that, members send few sums.
///
/// A member's share is bounded by its pace: with equal ones no member gets more than `⌈V / W⌉`
/// ranks. Within these bounds the cuts are where the tree has the fewest subtrees to send; among
/// equally good ones the earliest. Where that costs much traffic, though neighbours add up what
/// they have of one subtree, the bounds are widened as little as helps: by a tenth at most, or by a
/// quarter where that keeps the traffic within its bound. No member that can keep up stays without
/// a rank unless there are more members than ranks.
///
/// - Parameter paces: of each member, seconds (or any other unit) that a rank takes there.
/// - Returns: (V), the member of each rank, never falling.
public func rankOwners(virtualRanks: Int, paces: [Double]) -> [Int] {
  precondition(virtualRanks > 0 && !paces.isEmpty, "at least 1 virtual rank and 1 member expected")
  precondition(paces.allSatisfy { $0 > 0 && $0.isFinite }, "paces above 0 expected")
  let first = earliestEnd(virtualRanks: virtualRanks, paces: paces)
  var best: (owners: [Int], excess: Double)?
  for end in [first] + laterEnds(than: first, virtualRanks: virtualRanks, paces: paces) {
    let caps = rankCaps(virtualRanks: virtualRanks, paces: paces, end: end)
    let owners = cut(virtualRanks: virtualRanks, caps: caps)
    let excess = ReductionPlan(
      rankOwners: owners, segmentOwners: Array(paces.indices), members: paces.count
    ).trafficExcess
    if excess <= trafficExcessMax { return owners }
    if end <= first * (1 + latenessUsual), excess < best?.excess ?? .infinity {
      best = (owners, excess)
    }
  }
  return best?.owners ?? []
}

/// Spreads the ranks of a step that is done again: who had some keeps them, as it has computed them
/// or is about to; each of the others goes to who would be done with it first.
///
/// - Parameters:
///   - before: (V), the member that had each rank in the attempt before; nil: it is gone.
///   - able: members that may have more of them.
///   - paces: of each of these, seconds for a rank.
///   - elapsed: seconds since the step began.
/// - Returns: (V), the member of each rank.
func rankOwners(
  again before: [Int?], able: [Int], paces: [Double], elapsed: Double
) -> [Int] {
  var ends = zip(able, paces).map { member, pace in
    max(0, Double(before.count { $0 == member }) * pace - elapsed)
  }
  var more = Array(repeating: 0, count: able.count)
  for _ in 0..<before.count(where: { $0 == nil }) {
    let first = able.indices.min { ends[$0] + paces[$0] < ends[$1] + paces[$1] } ?? 0
    ends[first] += paces[first]
    more[first] += 1
  }
  // In runs, which are fewer sums.
  var heirs = able.indices.flatMap { Array(repeating: able[$0], count: more[$0]) }[...]
  return before.compactMap { $0 ?? heirs.popFirst() }
}

/// Some of the moments, up to a quarter later, at which members could have done one more rank.
private func laterEnds(than first: Double, virtualRanks: Int, paces: [Double]) -> [Double] {
  let last = first * (1 + latenessMax)
  let ends = Set(
    paces.flatMap { pace in (1...virtualRanks).map { Double($0) * pace } }
      .filter { $0 > first && $0 <= last }
  ).sorted()
  let step = max(1, ends.count / 16)
  return stride(from: step - 1, to: ends.count, by: step).map { ends[$0] }
}

/// Cuts the ranks into contiguous blocks of so many at most, with the fewest subtrees.
private func cut(virtualRanks: Int, caps: [Int]) -> [Int] {
  // fewest[m][v]: subtrees that the first m members send who have the first v ranks.
  let unreachable = Int.max / 2
  var fewest = [[Int]](
    repeating: Array(repeating: unreachable, count: virtualRanks + 1), count: caps.count + 1)
  var share = fewest
  fewest[0][0] = 0
  let least = virtualRanks >= caps.count ? 1 : 0
  for member in 0..<caps.count {
    for start in 0...virtualRanks where fewest[member][start] < unreachable {
      let most = min(caps[member], virtualRanks - start)
      for count in stride(from: min(least, caps[member]), through: most, by: 1) {
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
  for member in caps.indices.reversed() {
    let count = share[member + 1][end]
    owners += Array(repeating: member, count: count)
    end -= count
  }
  return owners.reversed()
}

/// How many ranks each member can have done at a moment.
private func rankCaps(virtualRanks: Int, paces: [Double], end: Double) -> [Int] {
  paces.map { pace in min(virtualRanks, Int((end / pace * (1 + 1e-9)).rounded(.down))) }
}

/// When the busiest member is done if that is to be as early as can be: when some member ends some
/// number of ranks.
private func earliestEnd(virtualRanks: Int, paces: [Double]) -> Double {
  let ends = paces.flatMap { pace in (1...virtualRanks).map { Double($0) * pace } }.sorted()
  var (low, high) = (0, ends.count - 1)
  while low < high {
    let middle = (low + high) / 2
    let caps = rankCaps(virtualRanks: virtualRanks, paces: paces, end: ends[middle])
    if caps.reduce(0, +) >= virtualRanks { high = middle } else { low = middle + 1 }
  }
  return ends[low]
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
  ///
  /// Keepers of a segment are as far apart as can be, in the order of the members: so the fewest
  /// groups of them have some segment between them that nobody else keeps.
  static func fresh(members: [Member], replication: Int, segments: Int) -> [SegmentKeepers] {
    let staying = members.indices.filter { members[$0].isWhole && !members[$0].isLeaving }
    let able = staying.isEmpty ? members.indices.filter { members[$0].isWhole } : staying
    let wanted = replication == 0 ? able.count : min(replication, able.count)
    let keepers = (0..<segments).map { segment in
      let first = segment * able.count / segments
      return (0..<wanted).map { able[(first + $0 * (able.count / wanted)) % able.count] }
    }
    return SegmentPlacement(members: members, replication: replication, keepers: keepers).owned()
  }

  /// Segments that one step may move, beside those that have too few keepers.
  static func movesMax(segments: Int) -> Int { max(1, segments / 16) }
  /// Of the latter.
  static func repairsMax(segments: Int) -> Int { max(1, segments / 4) }

  private var staying: [Int] {
    members.indices.filter { members[$0].isWhole && !members[$0].isLeaving }
  }

  /// - Parameter movesMax: segments that may be sent to new keepers, beside the bounds of its own.
  mutating func place(movesMax: Int = .max) -> [SegmentKeepers] {
    let staying = staying
    let wanted = replication == 0 ? staying.count : min(replication, staying.count)
    for segment in keepers.indices { release(segment, wanted: wanted) }
    repair(wanted: wanted, staying, movesMax: movesMax)
    even(staying, movesMax: movesMax - newcomers.count { $0 != nil })
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

  private mutating func repair(wanted: Int, _ staying: [Int], movesMax: Int) {
    var left = min(movesMax, Self.repairsMax(segments: keepers.count))
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
  private mutating func even(_ staying: [Int], movesMax: Int) {
    var left = min(movesMax, Self.movesMax(segments: keepers.count))
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

  /// Spreads ownership over the keepers, in runs where it can.
  private func owned() -> [SegmentKeepers] {
    var owns = Array(repeating: 0, count: members.count)
    let share = (keepers.count + members.count - 1) / max(1, members.count)
    var last: Int?
    var owners = keepers.map { $0[0] }
    // Where there is a choice it is made last.
    for segment in keepers.indices.sorted(by: {
      (keepers[$0].count, $0) < (keepers[$1].count, $1)
    }) {
      let owner =
        last.flatMap { keepers[segment].contains($0) && owns[$0] < share ? $0 : nil }
        ?? keepers[segment].min { (owns[$0], $0) < (owns[$1], $1) } ?? owners[segment]
      owns[owner] += 1
      last = owner
      owners[segment] = owner
    }
    return keepers.indices.map { segment in
      SegmentKeepers(
        [owners[segment]] + keepers[segment].filter { $0 != owners[segment] },
        newcomer: newcomers[segment])
    }
  }
}
