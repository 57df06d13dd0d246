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
      if version == step + 1 {
        early[cell] = (version, value)
        return []
      }
      guard version == step, weights[cell] < step, !updating.contains(cell) else { return [] }
      weights[cell] = step
      staleCells -= 1
      return [.write(.weights, cell: cell, value)] + begin()
    case .firstMoment, .secondMoment:
      let segment = grid.segmentOfCell[cell]
      guard version == step, let round, round.plan.step == step, moments[cell] != step,
        round.keeps.contains(segment) || round.acquires.contains(segment)
      else { return [] }
      arrived[cell, default: []].insert(part)
      var actions: [Action] = [.write(part, cell: cell, value)]
      if arrived[cell]?.count == 2 {
        moments[cell] = step
        actions += voteIfReady()
      }
      return actions
    }
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
    let parts: [StatePart] = part == .weights ? [.weights] : [.firstMoment, .secondMoment]
    return cells.flatMap { cell in
      parts.map { .send(.state($0, step: step), cell: cell, nil, to: to) }
    }
  }
}
