public import Domain

/// What a training takes of each of its members, found by making the plans that it would make: how
/// ranks, segments and their copies lie, what is sent in a step, and what moves when a member is
/// lost or joins. Of equally quick members; the most that any of them has is told.
public struct TrainingForecast: Hashable, Sendable {
  /// What members keep in memory beside the model's activations, in bytes.
  public struct Memory: Hashable, Sendable {
    public var weights: Int
    /// Gradients that are alive at once while a member adds its ranks up.
    public var gradients: Int
    /// Both moments of the segments that it keeps, and the master weights where there are such.
    public var moments: Int
    /// Sums that it finishes as an owner and has until they are applied.
    public var sums: Int
    public var all: Int { weights + gradients + moments + sums }
  }

  /// Segments that find their place again after members have changed.
  public struct Move: Hashable, Sendable {
    /// Bytes of moments, over all members.
    public var bytes: Int
    /// Steps over which they are spread.
    public var steps: Int
  }

  public let parameters: Int
  public let members: Int
  public let memory: Memory
  /// Virtual ranks of who has the most.
  public let ranksMax: Int
  /// Bytes that a member sends in a step.
  public let sentBytes: Int
  /// Of all traffic over the least that there is, as a share.
  public let excess: Double
  /// What follows when one member is lost; nil when it was the only one, or kept what nobody else
  /// does.
  public let loss: Move?
  /// What follows when one more member joins, beside all weights for it.
  public let join: Move
  /// Pairs of members that keep some segment alone, of all pairs, as a share: losing both at once
  /// means going back to the checkpoint.
  public let fatalPairs: Double

  /// - Parameters:
  ///   - parameters: that are trained.
  ///   - replication: 0 for all, as in the settings.
  public init(
    parameters: Int, members: Int, virtualRanks: Int, replication: Int, wire: WirePrecision = .f32
  ) {
    precondition(parameters > 0 && members > 0 && virtualRanks > 0, "numbers above 0 expected")
    let layout = Layout(
      parameters: parameters, members: members, virtualRanks: virtualRanks,
      replication: replication, wire: wire)
    self.parameters = parameters
    self.members = members
    ranksMax = layout.ranksMax
    let plan = layout.plan
    let sent = layout.segmentBytes.map { $0 / 4 * wire.bytes }
    sentBytes = plan.traffic(segmentBytes: sent).map(\.sentBytes).max() ?? 0
    excess = plan.trafficExcess
    memory = layout.memory
    let kept = layout.segments.map { $0.keepers.sorted() }
    let pairs = Set(kept.filter { $0.count <= 2 })
    let isAlone = kept.contains { $0.count == 1 }
    fatalPairs =
      members < 2
      ? 0 : isAlone ? 1 : Double(pairs.count) / Double(members * (members - 1) / 2)
    loss =
      isAlone
      ? nil
      : layout.settled(
        kept.map { $0.filter { $0 > 0 }.map { $0 - 1 } }, members: members - 1)
    join = layout.settled(kept, members: members + 1)
  }
}

/// How everything lies in one step.
private struct Layout {
  let replication: Int
  /// Vectors of what keepers have of a segment beside its weights.
  let keptVectors: Int
  let bytesOfSegment: (Int) -> Int
  let segments: [SegmentKeepers]
  let plan: ReductionPlan

  init(
    parameters: Int, members: Int, virtualRanks: Int, replication: Int, wire: WirePrecision
  ) {
    self.replication = replication
    keptVectors = wire == .f32 ? 2 : 3
    let count = segmentCount(of: parameters)
    bytesOfSegment = { 4 * segmentRange($0, of: parameters, segments: count).count }
    let ranks = rankOwners(
      virtualRanks: virtualRanks, paces: Array(repeating: 1, count: members))
    segments = SegmentPlacement.fresh(
      members: Array(
        repeating: SegmentPlacement.Member(isWhole: true, isLeaving: false), count: members),
      replication: replication, segments: count)
    plan = ReductionPlan(
      rankOwners: ranks, segmentOwners: segments.map(\.owner), members: members)
  }

  var segmentBytes: [Int] { segments.indices.map(bytesOfSegment) }

  private var members: Range<Int> { plan.contributions.indices }

  var ranksMax: Int {
    members.map { member in plan.rankOwners.count { $0 == member } }.max() ?? 0
  }

  var memory: TrainingForecast.Memory {
    let vector = segmentBytes.reduce(0, +)
    let shares = members.map { member -> (kept: Int, owned: Int) in
      segments.indices.reduce(into: (0, 0)) { share, segment in
        let bytes = bytesOfSegment(segment)
        if segments[segment].keepers.contains(member) { share.kept += bytes }
        if segments[segment].owner == member { share.owned += bytes }
      }
    }
    return TrainingForecast.Memory(
      weights: vector, gradients: vector * plan.vectorsMax,
      moments: keptVectors * (shares.map(\.kept).max() ?? 0),
      sums: shares.map { $0.kept + $0.owned }.max() ?? 0)
  }

  /// Lets segments move from step to step until they lie evenly.
  func settled(_ keepers: [[Int]], members: Int) -> TrainingForecast.Move {
    let able = Array(
      repeating: SegmentPlacement.Member(isWhole: true, isLeaving: false), count: members)
    var kept = keepers
    var move = TrainingForecast.Move(bytes: 0, steps: 0)
    while true {
      var placement = SegmentPlacement(members: able, replication: replication, keepers: kept)
      let placed = placement.place()
      let moved = placed.indices.filter { placed[$0].newcomer != nil }
      if moved.isEmpty { return move }
      move.bytes += moved.reduce(0) { $0 + keptVectors * bytesOfSegment($1) }
      move.steps += 1
      kept = placed.map { $0.keepers + ($0.newcomer.map { [$0] } ?? []) }
    }
  }
}
