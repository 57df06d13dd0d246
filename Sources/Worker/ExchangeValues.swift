import Domain
import Kernels
import Protocol
import Scheduling
import Transport

/// Values on their way through a sum.
struct Chunk: Sendable {
  var values: Floats
  /// May be written: came from a peer by a socket, or was made of two others. What this member
  /// computed may not, nor what lies in a peer's memory.
  var isScratch: Bool
}

/// What keepers of a segment have beside its weights: AdamW's moments and, where members compute
/// with weights that follow them by rounded changes, the master weights.
struct Moments: Sendable {
  var first: Floats
  var second: Floats
  var master: Floats?

  init(zeros count: Int, _ wire: WirePrecision) {
    first = Floats(zeros: count)
    second = Floats(zeros: count)
    if wire == .bf16 { master = Floats(zeros: count) }
  }

  /// As a training begins from these weights.
  init(from weights: Floats, _ wire: WirePrecision) {
    self.init(zeros: weights.count, wire)
    master?.copy(from: weights)
  }

  /// A window on a part of it.
  subscript(range: Range<Int>) -> Moments {
    var part = self
    part.first = first[range]
    part.second = second[range]
    part.master = master?[range]
    return part
  }

  /// Nil for what it has not.
  subscript(part: StatePart) -> Floats? {
    switch part {
    case .weights: nil
    case .firstMoment: first
    case .secondMoment: second
    case .master: master
    }
  }

  /// All of it, in the order in which a checkpoint has it.
  var parts: [Floats] { [first, second] + (master.map { [$0] } ?? []) }
}

/// A cell that a committed step changes.
struct CellUpdate: Sendable {
  var cell: Int
  /// Where it lies in the vector.
  var range: Range<Int>
  var gradient: Floats
  /// Of this cell.
  var moments: Moments
}

/// What an exchange tells the thread that computes.
enum ExchangeEvent: Sendable {
  /// All weights of the open step are here.
  case compute(StepPlan, place: Int)
  /// The moments of a segment are wanted, as the plan's base has them.
  case load(segment: Int, StepPlan)
  /// All sums that this member votes for are here; it adds how long it computed.
  case vote(StepVote)
  case progressed(TrainingID, TrainingProgress)
  case failed(TrainingID, String)
}

extension Floats {
  /// What came over a mesh; nil when it is no whole number of floats.
  init?(_ payload: Payload) {
    if let values = Floats(keeping: payload.owner, payload.bytes) {
      self = values
      return
    }
    guard payload.count % 4 == 0 else { return nil }
    self.init(zeros: payload.count / 4)
    withUnsafeMutableBufferPointer {
      UnsafeMutableRawBufferPointer($0).copyMemory(from: payload.bytes)
    }
  }

  /// What is to be sent over a mesh is made there.
  init?(_ room: Mesh.Room) {
    self.init(keeping: room.owner, UnsafeRawBufferPointer(room.bytes))
  }

  /// Little-endian, as on every CPU that this program is built for.
  var payload: Payload {
    withUnsafeMutableBufferPointer { Payload(keeping: self, UnsafeRawBufferPointer($0)) }
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

extension VectorCell {
  /// What a member sends of a cell in the open step.
  init(_ what: PeerCell, cell: Int, _ member: MemberMachine<Chunk>, _ plan: StepPlan) {
    var (step, ranks) = (plan.step, [RankStatistics]())
    let kind: CellKind
    switch what {
    case .partial(let node):
      let root = TreeNode.root(virtualRanks: plan.rankOwners.count)
      kind = .partial(node: node.wire(height: root.level))
      ranks = node.ranks(of: plan.rankOwners.count).compactMap { member.statistics[$0] }
    case .sum:
      kind = .sum
      ranks = member.statistics.compactMap { $0 }
    case .state(let part, let version): (kind, step) = (.state(part), version)
    case .change(let version): (kind, step) = (.change, version)
    }
    self.init(
      training: plan.training, epoch: plan.epoch, step: step, kind: kind, cell: cell,
      count: member.grid.cells[cell].count, precision: kind.precision(member.wire), ranks: ranks)
  }
}
