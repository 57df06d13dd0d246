public import Domain

// Sums on their way to who finishes them, and the vote.

extension MemberMachine {
  /// Takes in a sum that this member computed, or some cells of it; `value` gives one.
  public mutating func computed(
    _ node: TreeNode, ranks: [RankStatistics], cells: [Int]? = nil, value: (Int) -> Value
  ) -> [Action] {
    guard round?.plan.step == step, let slot = round?.reduction?.tree.slot(of: node) else {
      return []
    }
    note(ranks)
    var actions: [Action] = []
    let cells = cells ?? Array(grid.cells.indices)
    for cell in cells { actions += take(value(cell), at: slot, cell) }
    round?.computed += cells.count
    return actions + voteIfReady()
  }

  /// Takes in what a member sent for the open epoch, or of the state. Whatever comes last may be
  /// what the vote waits for.
  public mutating func received(
    _ what: PeerCell, cell: Int, _ value: Value, ranks: [RankStatistics], from member: WorkerID
  ) -> [Action] {
    guard grid.cells.indices.contains(cell) else { return [] }
    return takeIn(what, cell, value, ranks, member) + voteIfReady()
  }

  private mutating func takeIn(
    _ what: PeerCell, _ cell: Int, _ value: Value, _ ranks: [RankStatistics], _ member: WorkerID
  ) -> [Action] {
    switch what {
    case .state(let part, let version): return received(part, version, cell, value)
    case .change(let version): return receivedChange(version, cell, value)
    case .partial, .sum: break
    }
    guard let plan = round?.plan, plan.step == step, let me = round?.me,
      let reduction = round?.reduction,
      let sender = plan.members.firstIndex(where: { $0.worker == member }),
      ranks.allSatisfy({ reduction.rankOwners.indices.contains($0.rank) })
    else { return [] }
    let owner = plan.segments[grid.segmentOfCell[cell]].owner
    switch what {
    case .partial(let node):
      let (tree, makers) = (reduction.tree, reduction.makers[owner])
      guard let slot = tree.slot(of: node), makers[slot] == sender,
        tree.destination(of: slot, makers, owner: owner) == me
      else { return [] }
      note(ranks)
      return take(value, at: slot, cell)
    case .sum:
      guard owner == sender, sender != me else { return [] }
      note(ranks)
      if sums[cell] == nil { sums[cell] = value }
      return []
    case .state, .change: return []
    }
  }

  mutating func note(_ ranks: [RankStatistics]) {
    for rank in ranks { round?.statistics[rank.rank] = rank }
  }

  /// Adds up what is made here, and sends on what is a half of something that is made elsewhere.
  mutating func take(_ value: Value, at slot: Int, _ cell: Int) -> [Action] {
    guard let me = round?.me, let reduction = round?.reduction,
      let segment = round?.plan.segments[grid.segmentOfCell[cell]]
    else { return [] }
    let (tree, makers) = (reduction.tree, reduction.makers[segment.owner])
    func send(_ value: Value, _ slot: Int) -> Action? {
      let target = tree.destination(of: slot, makers, owner: segment.owner)
      return target == me
        ? nil : .send(.partial(tree.slots[slot].node), cell: cell, value, to: [target])
    }
    if let sent = send(value, slot) { return [sent] }
    let taken = round?.open[cell, default: CellSum()].take(
      value, at: slot, of: tree, isMade: { makers[$0] == me }, add: add)
    guard let (sum, made) = taken ?? nil else { return [] }
    if round?.open[cell]?.isEmpty ?? false { round?.open[cell] = nil }
    if let sent = send(sum, made) { return [sent] }
    if sums[cell] == nil { sums[cell] = sum }
    let others = segment.keepers.dropFirst() + (segment.newcomer.map { [$0] } ?? [])
    return others.isEmpty ? [] : [.send(.sum, cell: cell, sums[cell], to: Array(others))]
  }

  mutating func voteIfReady() -> [Action] {
    guard let round, round.voted == nil, round.reduction != nil, round.plan.step == step,
      round.statistics.allSatisfy({ $0 != nil })
    else { return [] }
    func isReady(_ segment: Int) -> Bool { grid.cellsOfSegment[segment].allSatisfy(canUpdate) }
    let wanted = round.keeps + round.acquires
    // What is ready stays so: each segment is looked at once when it is, not with every message.
    var ready = round.ready
    while ready < wanted.count, isReady(wanted[ready]) { ready += 1 }
    self.round?.ready = ready
    guard ready == wanted.count, !wanted.isEmpty else { return [] }
    let segments = wanted.sorted()
    self.round?.voted = segments
    return [.vote(segments: segments)]
  }

  /// Whether it has all that the cell's next state follows from.
  func canUpdate(_ cell: Int) -> Bool {
    moments[cell] == step && weights[cell] == step && sums[cell] != nil
  }
}
