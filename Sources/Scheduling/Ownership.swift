/// Into how many segments the parameter vector is cut for every step plan: a constant, so that it
/// depends neither on the workers nor on anything the coordinator would have to know of the model.
public let segmentsPerVector = 64

/// Into how many segments a vector is cut so that none is small change for a message, and every
/// member of a large group has its share within a few percent.
public func segmentCount(of elements: Int) -> Int { min(256, max(8, elements >> 16)) }

/// Spreads virtual ranks over members in contiguous blocks, aligned to the tree where it costs no
/// balance.
///
/// No member gets more than `⌈V / W⌉` ranks. Within that bound each block ends on the multiple of
/// the highest power of two, so that members hold few, large subtrees and send few sums. Members
/// beyond V get none.
///
/// - Returns: (V), the member of each rank, never falling.
public func rankOwners(virtualRanks: Int, members: Int) -> [Int] {
  precondition(virtualRanks > 0 && members > 0, "at least 1 virtual rank and 1 member expected")
  let computing = min(virtualRanks, members)
  let load = (virtualRanks + computing - 1) / computing
  var owners: [Int] = []
  for member in 0..<computing {
    let start = owners.count
    let left = computing - member - 1
    let earliest = max(start + 1, virtualRanks - left * load)
    let latest = min(start + load, virtualRanks - left)
    let even = start + (virtualRanks - start) / (left + 1)
    let end = (earliest...latest).max { a, b in
      let (alignedA, alignedB) = (a.trailingZeroBitCount, b.trailingZeroBitCount)
      return alignedA == alignedB ? abs(a - even) > abs(b - even) : alignedA < alignedB
    }
    owners += Array(repeating: member, count: (end ?? latest) - start)
  }
  return owners
}

/// Spreads segments over members: contiguous, as even as can be.
///
/// - Returns: (S), the member of each segment.
public func segmentOwners(members: Int, segments: Int = segmentsPerVector) -> [Int] {
  precondition(members > 0 && segments > 0, "at least 1 member and 1 segment expected")
  return (0..<segments).map { $0 * members / segments }
}
