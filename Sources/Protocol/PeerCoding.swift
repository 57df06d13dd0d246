import CProtocol
import Domain

/// The head of a message between members; a cell's values are its payload.
public func encode(_ message: PeerMessage) -> [UInt8] {
  unsafe packed { arena in
    let c = unsafe arena.make(comd__peer_message__init)
    unsafe c.pointee.version = bulkVersion
    switch message {
    case .cell(let cell):
      unsafe c.pointee.kind_case = COMD__PEER_MESSAGE__KIND_CELL
      unsafe c.pointee.cell = cell.message(in: arena)
    case .ask(let training, let step, let part, let segment):
      let ask = unsafe arena.make(comd__state_ask__init)
      unsafe ask.pointee.training = UInt32(training.iteration)
      unsafe ask.pointee.step = UInt64(step)
      unsafe ask.pointee.part = CellKind.state(part).value.kind
      unsafe ask.pointee.segment = UInt32(segment)
      unsafe c.pointee.kind_case = COMD__PEER_MESSAGE__KIND_ASK
      unsafe c.pointee.ask = ask
    }
    return unsafe c
  }
}

/// A message from a member.
/// - Parameter payloadBytes: size of the payload; 0 when there is none.
public func decodePeerMessage(
  _ bytes: [UInt8], payloadBytes: Int
) throws(ProtocolError) -> PeerMessage {
  let name = "peer message"
  return try unsafe unpacked(bytes, as: name, comd__peer_message__unpack) {
    message throws(ProtocolError) in
    try checkVersion(unsafe message.version, name)
    switch unsafe message.kind_case {
    case COMD__PEER_MESSAGE__KIND_CELL:
      let cell = try unsafe VectorCell(Checked.present(message.cell, "cell"))
      try checkPayload(payloadBytes, stated: cell.payloadBytes, name)
      return .cell(cell)
    case COMD__PEER_MESSAGE__KIND_ASK:
      try checkPayload(payloadBytes, stated: 0, name)
      let ask = try unsafe Checked.present(message.ask, "ask")
      guard case .state(let part) = try unsafe CellKind(ask.part, node: 0) else {
        throw .outOfRange(
          field: "ask.part", found: "a sum or a change", allowed: "a part of the state")
      }
      return .ask(
        try unsafe Checked.training(ask.training, "ask.training"),
        step: try unsafe Checked.integer(ask.step, "ask.step"), part: part,
        segment: try unsafe Checked.integer(
          ask.segment, "ask.segment", in: 0...WireLimits.segmentsMax))
    default: throw .missing(field: "peer message's kind")
    }
  }
}

private let elementsMax = WireLimits.tensorBytesMax / WirePrecision.f32.bytes

extension CellKind {
  init(_ value: Comd__CellKind, node: Int) throws(ProtocolError) {
    switch value {
    case COMD__CELL_KIND__CELL_PARTIAL: self = .partial(node: node)
    case COMD__CELL_KIND__CELL_SUM: self = .sum
    case COMD__CELL_KIND__CELL_WEIGHTS: self = .state(.weights)
    case COMD__CELL_KIND__CELL_FIRST_MOMENT: self = .state(.firstMoment)
    case COMD__CELL_KIND__CELL_SECOND_MOMENT: self = .state(.secondMoment)
    case COMD__CELL_KIND__CELL_MASTER: self = .state(.master)
    case COMD__CELL_KIND__CELL_CHANGE: self = .change
    default: throw .missing(field: "cell.kind")
    }
  }

  var value: (kind: Comd__CellKind, node: Int) {
    switch self {
    case .partial(let node): (COMD__CELL_KIND__CELL_PARTIAL, node)
    case .sum: (COMD__CELL_KIND__CELL_SUM, 0)
    case .state(.weights): (COMD__CELL_KIND__CELL_WEIGHTS, 0)
    case .state(.firstMoment): (COMD__CELL_KIND__CELL_FIRST_MOMENT, 0)
    case .state(.secondMoment): (COMD__CELL_KIND__CELL_SECOND_MOMENT, 0)
    case .state(.master): (COMD__CELL_KIND__CELL_MASTER, 0)
    case .change: (COMD__CELL_KIND__CELL_CHANGE, 0)
    }
  }
}

extension RankStatistics {
  init(_ message: Comd__RankStatistics) throws(ProtocolError) {
    self.init(
      rank: try unsafe Checked.integer(
        message.rank, "statistics.rank", in: 0...WireLimits.ranksMax),
      lossSum: unsafe message.loss_sum,
      tokens: Int64(try unsafe Checked.integer(message.tokens, "statistics.tokens")))
  }

  func message(in arena: Arena) -> UnsafeMutablePointer<Comd__RankStatistics> {
    let c = unsafe arena.make(comd__rank_statistics__init)
    unsafe c.pointee.rank = UInt32(rank)
    unsafe c.pointee.loss_sum = lossSum
    unsafe c.pointee.tokens = UInt64(tokens)
    return unsafe c
  }
}

extension VectorCell {
  var payloadBytes: Int { count * precision.bytes }

  init(_ message: Comd__VectorCell) throws(ProtocolError) {
    self.init(
      training: try unsafe Checked.training(message.training, "cell.training"),
      epoch: unsafe message.epoch, step: try unsafe Checked.integer(message.step, "cell.step"),
      kind: try unsafe CellKind(
        message.kind,
        node: Checked.integer(message.node, "cell.node", in: 0...2 * WireLimits.ranksMax)),
      cell: try unsafe Checked.integer(message.cell, "cell.cell"),
      count: try unsafe Checked.integer(message.count, "cell.count", in: 1...elementsMax),
      precision: unsafe message.half != 0 ? .bf16 : .f32,
      ranks: try unsafe Checked.messages(
        message.ranks, message.n_ranks, "cell.ranks", max: WireLimits.ranksMax
      ) { rank throws(ProtocolError) in try unsafe RankStatistics(rank) })
  }

  func message(in arena: Arena) -> UnsafeMutablePointer<Comd__VectorCell> {
    let c = unsafe arena.make(comd__vector_cell__init)
    unsafe c.pointee.training = UInt32(training.iteration)
    unsafe c.pointee.epoch = epoch
    unsafe c.pointee.step = UInt64(step)
    unsafe c.pointee.kind = kind.value.kind
    unsafe c.pointee.node = UInt32(kind.value.node)
    unsafe c.pointee.cell = UInt32(cell)
    unsafe c.pointee.count = UInt64(count)
    unsafe c.pointee.half = precision == .bf16 ? 1 : 0
    unsafe c.pointee.n_ranks = ranks.count
    unsafe c.pointee.ranks = arena.pointers(ranks.map { unsafe $0.message(in: arena) })
    return unsafe c
  }
}
