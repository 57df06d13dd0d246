import Domain
import Kernels
import Logging
import Protocol
import Scheduling
import Transport

/// Values on their way through a sum.
struct Chunk: Sendable {
  var values: Floats
  /// Came from a peer, or is a sum of such: it may be written. What this member computed may not.
  var isScratch: Bool
}

/// A step whose sum is whole.
struct SummedStep: Sendable {
  var plan: StepPlan
  var grid: VectorGrid
  /// By cell.
  var sums: [Floats]
  /// By virtual rank.
  var statistics: [RankStatistics]

  /// Mean loss over the trained tokens of the global batch, and their number.
  var loss: (mean: Double, tokens: Int64) {
    let tokens = statistics.reduce(0) { $0 + $1.tokens }
    return (treeSum(statistics.map(\.lossSum)) / Double(max(tokens, 1)), tokens)
  }
}

/// One member's part in summing the gradients of steps, on the mesh's thread: what comes is added
/// where it lies, while another thread computes.
///
/// Contributions go to the owner of each segment, cell by cell; an owner that has all contributions
/// of a cell sends their sum to everyone. What belongs to another step than the one that is open is
/// kept when it is of a later one and dropped otherwise.
actor StepExchange {
  /// Elements of a cell at most: small enough to stay in a core's cache from the socket to the sum.
  static let cellMax = 1 << 17
  /// Messages of steps that are not open here yet; at the limit one is dropped, and its step is
  /// then fenced by the coordinator's patience.
  static let earlyMax = 4096

  private struct Early {
    var header: GradientSegment
    var payload: Payload
    var peer: String
  }

  private struct Round {
    let plan: StepPlan
    let me: Int
    let grid: VectorGrid
    let reduction: ReductionPlan
    let tree: ContributionTree
    let height: Int
    /// By own cell.
    var open: [Int: CellSum<Chunk>] = [:]
    var sums: [Floats?]
    var cellsMissing: Int
    var statistics: [RankStatistics?]

    init(_ plan: StepPlan, me: Int, count: Int) {
      self.plan = plan
      self.me = me
      grid = VectorGrid(count: count, segments: plan.segmentOwners.count, cellMax: cellMax)
      reduction = ReductionPlan(
        rankOwners: plan.rankOwners, segmentOwners: plan.segmentOwners,
        members: plan.members.count)
      tree = ContributionTree(reduction)
      height = TreeNode.root(virtualRanks: plan.rankOwners.count).level
      sums = Array(repeating: nil, count: grid.cells.count)
      cellsMissing = grid.cells.count
      statistics = Array(repeating: nil, count: plan.rankOwners.count)
    }

    func owner(of cell: Int) -> Int { plan.segmentOwners[grid.segmentOfCell[cell]] }

    /// Nil when it is whole, or some of it has not come.
    var summed: SummedStep? {
      let known = statistics.compactMap { $0 }
      guard cellsMissing == 0, known.count == statistics.count else { return nil }
      return SummedStep(
        plan: plan, grid: grid, sums: sums.compactMap { $0 }, statistics: known)
    }
  }

  nonisolated let mesh: Mesh
  nonisolated var unownedExecutor: UnownedSerialExecutor { mesh.asUnownedSerialExecutor() }
  private let me: String
  private let fence: EpochFence
  private let compute: Compute
  private let done: @Sendable (SummedStep) -> Void
  private let log: Logger
  private var round: Round?
  private var early: [Early] = []

  /// - Parameters:
  ///   - me: the name under which the others know this member.
  ///   - done: called on the mesh's thread when the sum of the open step is whole.
  init(
    me: String, mesh: Mesh, fence: EpochFence, log: Logger,
    done: @escaping @Sendable (SummedStep) -> Void
  ) throws {
    self.me = me
    self.mesh = mesh
    self.fence = fence
    self.done = done
    self.log = log
    // Sums of a cell are short work: a pool of threads would cost more than it gives.
    compute = try Compute(threads: 1)
  }

  /// Begins to take part.
  nonisolated func start() {
    mesh.start { message in self.assumeIsolated { $0.received(message) } }
  }

  /// Opens a step: what is left of the one before is void.
  ///
  /// - Parameter count: elements of the vector.
  /// - Returns: what this member has to compute, in which order; nil when it is no member.
  func open(_ plan: StepPlan, count: Int) throws -> [ReductionInstruction]? {
    guard let place = plan.members.firstIndex(where: { $0.worker.name == me }) else { return nil }
    mesh.dropUnsent()
    try mesh.connect(
      to: plan.members.enumerated().filter { $0.offset != place }.map { _, member in
        MeshPeer(
          name: member.worker.name, endpoint: member.endpoint, publicKey: member.publicKey)
      })
    let begun = Round(plan, me: place, count: count)
    round = begun
    let waiting = early
    early = waiting.filter { message in
      let header = message.header
      return header.training == plan.training
        ? header.epoch > plan.epoch : plan.training < header.training
    }
    for message in waiting where isOfRound(message.header) {
      take(message.header, message.payload, from: message.peer)
    }
    return begun.reduction.localProgram(member: place)
  }

  /// Takes in a sum that this member computed; `ranks` tells about the ranks below `node`. `sum`
  /// is read until the step is over.
  func contribute(_ node: TreeNode, _ sum: Floats, ranks: [RankStatistics], epoch: UInt64) {
    guard let round, round.plan.epoch == epoch else { return }
    note(ranks)
    for (cell, range) in round.grid.cells.enumerated() {
      let owner = round.owner(of: cell)
      if owner == round.me {
        add(Chunk(values: sum[range], isScratch: false), node, cell)
      } else {
        send(sum[range], node, cell, .partial, ranks, to: owner)
      }
    }
    tellIfWhole()
  }

  /// No step is open any more.
  func forget() {
    round = nil
    early = []
    mesh.dropUnsent()
  }

  // MARK: What comes

  private func received(_ message: MeshMessage) {
    do {
      guard let payload = message.payload,
        case .segment(let header) = try decodePeerMessage(
          message.head, payloadBytes: payload.count),
        !fence.isVoid(header.training, epoch: header.epoch)
      else { return }
      if isOfRound(header) {
        take(header, payload, from: message.peer)
      } else if early.count < Self.earlyMax {
        early.append(Early(header: header, payload: payload, peer: message.peer))
      }
    } catch {
      log.warning("dropped a message of \(message.peer): \(error)")
    }
  }

  private func isOfRound(_ header: GradientSegment) -> Bool {
    guard let plan = round?.plan else { return false }
    return header.training == plan.training && header.epoch == plan.epoch
      && header.step == plan.step
  }

  /// Takes in what a member sent for the open step; what does not fit it is dropped.
  private func take(_ header: GradientSegment, _ payload: Payload, from peer: String) {
    guard let round, round.plan.members.indices.contains(header.sender),
      mayBe(peer, round.plan.members[header.sender]),
      let cell = cell(of: header, in: round.grid),
      header.ranks.allSatisfy({ round.statistics.indices.contains($0.rank) }),
      let values = floats(payload), values.count == round.grid.cells[cell].count
    else { return }
    let owner = round.owner(of: cell)
    switch header.role {
    case .partial:
      guard owner == round.me, let node = TreeNode(wire: header.node, height: round.height),
        round.reduction.contributions[header.sender].contains(node)
      else { return }
      note(header.ranks)
      add(Chunk(values: values, isScratch: true), node, cell)
    case .total:
      guard owner == header.sender, owner != round.me else { return }
      note(header.ranks)
      keep(values, cell)
    }
    tellIfWhole()
  }

  /// Without keys nobody proves a name.
  private func mayBe(_ peer: String, _ member: StepMember) -> Bool {
    peer == member.worker.name || peer == "anonymous"
  }

  private func cell(of header: GradientSegment, in grid: VectorGrid) -> Int? {
    guard grid.cellsOfSegment.indices.contains(header.segment) else { return nil }
    let cells = grid.cellsOfSegment[header.segment]
    guard let first = cells.first else { return nil }
    let start = grid.cells[first].lowerBound + header.offset
    return cells.first { grid.cells[$0].lowerBound == start }
  }

  private func floats(_ payload: Payload) -> Floats? {
    if let values = Floats(keeping: payload.owner, payload.bytes) { return values }
    guard payload.count % 4 == 0 else { return nil }
    let values = Floats(zeros: payload.count / 4)
    values.withUnsafeMutableBufferPointer {
      UnsafeMutableRawBufferPointer($0).copyMemory(from: payload.bytes)
    }
    return values
  }

  private func note(_ ranks: [RankStatistics]) {
    for rank in ranks { round?.statistics[rank.rank] = rank }
  }

  // MARK: Sums

  private func add(_ chunk: Chunk, _ node: TreeNode, _ cell: Int) {
    guard let tree = round?.tree, let slot = tree.slot(of: node), round?.sums[cell] == nil else {
      return
    }
    let compute = compute
    let sum = round?.open[cell, default: CellSum()].take(chunk, at: slot, of: tree) { a, b in
      // A member's own contributions are the largest subtrees that it has: no two are halves of
      // one sum, so one of the two came from a peer.
      let (target, other) = a.isScratch ? (a, b) : (b, a)
      precondition(target.isScratch, "two own contributions are one")
      Kernels.add(into: target.values, other.values, on: compute)
      return target
    }
    guard let sum else { return }
    round?.open[cell] = nil
    keep(sum.values, cell)
    guard let round else { return }
    let ranks = round.statistics.compactMap { $0 }
    for member in round.plan.members.indices where member != round.me {
      send(
        sum.values, .root(virtualRanks: round.plan.rankOwners.count), cell, .total, ranks,
        to: member)
    }
  }

  private func keep(_ sum: Floats, _ cell: Int) {
    guard round?.sums[cell] == nil else { return }
    round?.sums[cell] = sum
    round?.cellsMissing -= 1
  }

  private func tellIfWhole() {
    guard let summed = round?.summed else { return }
    round?.cellsMissing = -1
    done(summed)
  }

  private func send(
    _ values: Floats, _ node: TreeNode, _ cell: Int, _ role: GradientSegment.Role,
    _ ranks: [RankStatistics], to member: Int
  ) {
    guard let round else { return }
    let segment = round.grid.segmentOfCell[cell]
    let start = round.grid.cells[round.grid.cellsOfSegment[segment].lowerBound].lowerBound
    let header = GradientSegment(
      training: round.plan.training, epoch: round.plan.epoch, step: round.plan.step, role: role,
      segment: segment, node: node.wire(height: round.height), sender: round.me,
      offset: round.grid.cells[cell].lowerBound - start, count: values.count, ranks: ranks)
    let payload = values.withUnsafeMutableBufferPointer {
      Payload(keeping: values, UnsafeRawBufferPointer($0))
    }
    mesh.send(
      encode(PeerMessage.segment(header)), payload, to: round.plan.members[member].worker.name)
  }
}

extension TreeNode {
  /// Its number in breadth-first order from the root, 0, of a tree of this height: as the wire has
  /// it.
  func wire(height: Int) -> Int { (1 << (height - level)) - 1 + index }

  /// Nil for a number that no node of such a tree has.
  init?(wire: Int, height: Int) {
    let depth = Int.bitWidth - 1 - (wire + 1).leadingZeroBitCount
    guard wire >= 0, depth <= height else { return nil }
    self.init(level: height - depth, index: wire + 1 - (1 << depth))
  }
}
