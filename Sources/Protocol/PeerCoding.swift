import CProtocol
import Domain

/// The first frame of a message between workers; the tensor is the second.
public func encode(_ message: PeerMessage) -> [UInt8] {
  unsafe packed { arena in
    let c = unsafe arena.make(comd__peer_message__init)
    unsafe c.pointee.version = bulkVersion
    switch message {
    case .segment(let segment):
      unsafe c.pointee.kind_case = COMD__PEER_MESSAGE__KIND_SEGMENT
      unsafe c.pointee.segment = segment.message(in: arena)
    case .stateFetch(let request, let training, let step, let part, let offset, let count):
      let fetch = unsafe arena.make(comd__state_fetch__init)
      unsafe fetch.pointee.request = request
      unsafe fetch.pointee.training = UInt32(training.iteration)
      unsafe fetch.pointee.step = UInt64(step)
      unsafe fetch.pointee.part = part.value
      unsafe fetch.pointee.offset = UInt64(offset)
      unsafe fetch.pointee.count = UInt64(count)
      unsafe c.pointee.kind_case = COMD__PEER_MESSAGE__KIND_STATE_FETCH
      unsafe c.pointee.state_fetch = fetch
    case .state(let request, let training, let step, let part, let offset, let count, let total):
      let chunk = unsafe arena.make(comd__state_chunk__init)
      unsafe chunk.pointee.request = request
      unsafe chunk.pointee.training = UInt32(training.iteration)
      unsafe chunk.pointee.step = UInt64(step)
      unsafe chunk.pointee.part = part.value
      unsafe chunk.pointee.offset = UInt64(offset)
      unsafe chunk.pointee.count = UInt64(count)
      unsafe chunk.pointee.total = UInt64(total)
      unsafe c.pointee.kind_case = COMD__PEER_MESSAGE__KIND_STATE
      unsafe c.pointee.state = chunk
    case .stateUnavailable(let request, let training, let standing):
      let answer = unsafe arena.make(comd__state_unavailable__init)
      unsafe answer.pointee.request = request
      unsafe answer.pointee.training = UInt32(training.iteration)
      if let standing {
        let steps = unsafe arena.make(comd__state_unavailable__standing__init)
        unsafe steps.pointee.step = UInt64(standing)
        unsafe answer.pointee.standing = steps
      }
      unsafe c.pointee.kind_case = COMD__PEER_MESSAGE__KIND_STATE_UNAVAILABLE
      unsafe c.pointee.state_unavailable = answer
    }
    return unsafe c
  }
}

/// A message from a peer.
/// - Parameter payloadBytes: size of the second frame; 0 when there is none.
public func decodePeerMessage(
  _ bytes: [UInt8], payloadBytes: Int
) throws(ProtocolError) -> PeerMessage {
  let name = "peer message"
  return try unsafe unpacked(bytes, as: name, comd__peer_message__unpack) {
    message throws(ProtocolError) in
    try checkVersion(unsafe message.version, name)
    switch unsafe message.kind_case {
    case COMD__PEER_MESSAGE__KIND_SEGMENT:
      let segment = try unsafe GradientSegment(Checked.present(message.segment, "segment"))
      try checkPayload(payloadBytes, stated: segment.count * elementBytes, name)
      return .segment(segment)
    case COMD__PEER_MESSAGE__KIND_STATE_FETCH:
      try checkPayload(payloadBytes, stated: 0, name)
      let fetch = try unsafe Checked.present(message.state_fetch, "state_fetch")
      return .stateFetch(
        request: unsafe fetch.request,
        training: try unsafe Checked.training(fetch.training, "state_fetch.training"),
        step: try unsafe Checked.integer(fetch.step, "state_fetch.step"),
        part: try unsafe StatePart(fetch.part),
        offset: try unsafe Checked.integer(fetch.offset, "state_fetch.offset"),
        count: try unsafe Checked.integer(fetch.count, "state_fetch.count", in: 1...elementsMax))
    case COMD__PEER_MESSAGE__KIND_STATE:
      let chunk = try unsafe Checked.present(message.state, "state")
      let total = try unsafe Checked.integer(chunk.total, "state.total")
      let offset = try unsafe Checked.integer(chunk.offset, "state.offset", in: 0...total)
      let countMax = min(elementsMax, total - offset)
      let count = try unsafe Checked.integer(chunk.count, "state.count", in: 0...countMax)
      try checkPayload(payloadBytes, stated: count * elementBytes, name)
      return .state(
        request: unsafe chunk.request,
        training: try unsafe Checked.training(chunk.training, "state.training"),
        step: try unsafe Checked.integer(chunk.step, "state.step"),
        part: try unsafe StatePart(chunk.part), offset: offset, count: count, total: total)
    case COMD__PEER_MESSAGE__KIND_STATE_UNAVAILABLE:
      try checkPayload(payloadBytes, stated: 0, name)
      let answer = try unsafe Checked.present(message.state_unavailable, "state_unavailable")
      var standing: Int?
      if let steps = unsafe answer.standing {
        standing = try unsafe Checked.integer(steps.pointee.step, "state_unavailable.step")
      }
      return .stateUnavailable(
        request: unsafe answer.request,
        training: try unsafe Checked.training(answer.training, "state_unavailable.training"),
        standing: standing)
    default: throw .missing(field: "peer message's kind")
    }
  }
}

private let elementBytes = MemoryLayout<Float>.size
private let elementsMax = WireLimits.tensorBytesMax / elementBytes

extension StatePart {
  init(_ value: Comd__StatePart) throws(ProtocolError) {
    switch value {
    case COMD__STATE_PART__STATE_WEIGHTS: self = .weights
    case COMD__STATE_PART__STATE_FIRST_MOMENT: self = .firstMoment
    case COMD__STATE_PART__STATE_SECOND_MOMENT: self = .secondMoment
    default: throw .missing(field: "state.part")
    }
  }

  var value: Comd__StatePart {
    switch self {
    case .weights: COMD__STATE_PART__STATE_WEIGHTS
    case .firstMoment: COMD__STATE_PART__STATE_FIRST_MOMENT
    case .secondMoment: COMD__STATE_PART__STATE_SECOND_MOMENT
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

extension GradientSegment {
  init(_ message: Comd__GradientSegment) throws(ProtocolError) {
    let role: Role =
      switch unsafe message.role {
      case COMD__SEGMENT_ROLE__SEGMENT_PARTIAL: .partial
      case COMD__SEGMENT_ROLE__SEGMENT_TOTAL: .total
      default: throw .missing(field: "segment.role")
      }
    self.init(
      training: try unsafe Checked.training(message.training, "segment.training"),
      epoch: unsafe message.epoch,
      step: try unsafe Checked.integer(message.step, "segment.step"), role: role,
      segment: try unsafe Checked.integer(
        message.segment, "segment.segment", in: 0...WireLimits.segmentsMax),
      node: try unsafe Checked.integer(
        message.node, "segment.node", in: 0...4 * WireLimits.ranksMax),
      sender: try unsafe Checked.integer(
        message.sender, "segment.sender", in: 0...WireLimits.membersMax),
      offset: try unsafe Checked.integer(message.offset, "segment.offset"),
      count: try unsafe Checked.integer(message.count, "segment.count", in: 0...elementsMax),
      ranks: try unsafe Checked.messages(
        message.ranks, message.n_ranks, "segment.ranks", max: WireLimits.ranksMax
      ) { statistics throws(ProtocolError) in try unsafe RankStatistics(statistics) })
  }

  func message(in arena: Arena) -> UnsafeMutablePointer<Comd__GradientSegment> {
    let c = unsafe arena.make(comd__gradient_segment__init)
    unsafe c.pointee.training = UInt32(training.iteration)
    unsafe c.pointee.epoch = epoch
    unsafe c.pointee.step = UInt64(step)
    unsafe c.pointee.role =
      switch role {
      case .partial: COMD__SEGMENT_ROLE__SEGMENT_PARTIAL
      case .total: COMD__SEGMENT_ROLE__SEGMENT_TOTAL
      }
    unsafe c.pointee.segment = UInt32(segment)
    unsafe c.pointee.node = UInt32(node)
    unsafe c.pointee.sender = UInt32(sender)
    unsafe c.pointee.offset = UInt64(offset)
    unsafe c.pointee.count = UInt64(count)
    unsafe c.pointee.n_ranks = ranks.count
    unsafe c.pointee.ranks = arena.pointers(ranks.map { unsafe $0.message(in: arena) })
    return unsafe c
  }
}
