public import Domain

// Parts of the state on their way between members.

extension MemberMachine {
  /// The moments of a segment are those of the base.
  public mutating func loaded(segment: Int) -> [Action] {
    guard round?.plan.step == step, round?.plan.base != nil else { return [] }
    for cell in grid.cellsOfSegment[segment] { moments[cell] = step }
    return voteIfReady()
  }

  mutating func received(
    _ part: StatePart, _ version: Int, _ cell: Int, _ value: Value
  ) -> [Action] {
    switch part {
    case .weights:
      if version > step {
        if early[cell].map({ $0.step < version || $0.isChange }) ?? true {
          early[cell] = Early(step: version, isChange: false, value: value)
        }
        return []
      }
      // Of the step before they are good, too, where what comes next is added to them.
      guard version == step || version < step && wire == .bf16, weights[cell] < version,
        !updating.contains(cell)
      else { return [] }
      weights[cell] = version
      if version == step { staleCells -= 1 }
      return [.write(.weights, cell: cell, value)] + begin()
    case .firstMoment, .secondMoment, .master:
      let segment = grid.segmentOfCell[cell]
      guard keptParts.contains(part), version == step, let round, round.plan.step == step,
        moments[cell] != step,
        round.keeps.contains(segment) || round.acquires.contains(segment)
      else { return [] }
      arrived[cell, default: []].insert(part)
      if arrived[cell]?.count == keptParts.count { moments[cell] = step }
      return [.write(part, cell: cell, value)]
    }
  }

  mutating func receivedChange(_ version: Int, _ cell: Int, _ value: Value) -> [Action] {
    guard wire == .bf16 else { return [] }
    if version == step + 1 {
      // Weights are better than what is added to some.
      if early[cell] == nil {
        early[cell] = Early(step: version, isChange: true, value: value)
      }
      return []
    }
    guard version == step, weights[cell] == step - 1, !updating.contains(cell) else { return [] }
    weights[cell] = step
    staleCells -= 1
    return [.add(cell: cell, value)] + begin()
  }

  /// What a keeper has of a segment beside its weights.
  var keptParts: [StatePart] {
    wire == .f32 ? [.firstMoment, .secondMoment] : [.firstMoment, .secondMoment, .master]
  }

  /// A member asks for a segment of the state after `version` steps.
  public mutating func asked(
    _ part: StatePart, segment: Int, step version: Int, by peer: WorkerID
  ) -> [Action] {
    guard grid.cellsOfSegment.indices.contains(segment) else { return [] }
    let cells = grid.cellsOfSegment[segment]
    let versions = part == .weights ? weights : moments
    let to = round?.plan.members.firstIndex { $0.worker == peer }
    let isEarly = version > step || to == nil || cells.contains { versions[$0] == step - 1 }
    if version >= step, isEarly {
      if asks.count < 4 * grid.cellsOfSegment.count {
        asks.append(Ask(part: part, segment: segment, step: version, from: peer))
      }
      return []
    }
    guard version == step, let to, cells.allSatisfy({ versions[$0] == step }) else { return [] }
    let parts = part == .weights ? [.weights] : keptParts
    return cells.flatMap { cell in
      parts.map { .send(.state($0, step: step), cell: cell, nil, to: [to]) }
    }
  }

  /// Looks again at what was asked before it could be answered.
  mutating func answer() -> [Action] {
    let waiting = asks
    asks = []
    return waiting.flatMap { asked($0.part, segment: $0.segment, step: $0.step, by: $0.from) }
  }

  /// What this member waits for before it can vote, in words; nil when it waits for nothing but
  /// its own computing.
  public var lacking: String? {
    guard let round, round.plan.step == step, round.voted == nil, let reduction = round.reduction
    else { return nil }
    let own = reduction.contributions[round.me].count * grid.cells.count
    if round.isComputing, round.computed < own { return nil }
    let cells = (round.keeps + round.acquires).flatMap { grid.cellsOfSegment[$0] }
    let silent = round.statistics.indices.filter { round.statistics[$0] == nil }
    // Who computes does so with all weights.
    let needed = reduction.contributions[round.me].isEmpty ? cells : Array(grid.cells.indices)
    let found = [
      (needed.count { weights[$0] != step }, "weights"),
      (cells.count { moments[$0] != step }, "moments"),
      (cells.count { sums[$0] == nil }, "sums"),
    ]
    let words = found.filter { $0.0 > 0 }.map { "\($0.1) of \($0.0) cells" }
    let ranks = silent.isEmpty ? [] : ["ranks " + silent.map(String.init).joined(separator: ", ")]
    return "\(round.plan.training) step \(step), epoch \(round.plan.epoch): waits for "
      + (words + ranks).joined(separator: "; ")
  }

  mutating func takeEarly() -> [Action] {
    let waiting = early
    early = [:]
    return waiting.keys.sorted().flatMap { cell -> [Action] in
      guard let early = waiting[cell] else { return [] }
      return early.isChange
        ? receivedChange(early.step, cell, early.value)
        : received(.weights, early.step, cell, early.value)
    }
  }
}
