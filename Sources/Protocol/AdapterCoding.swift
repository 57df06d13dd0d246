import CProtocol
import Domain

extension LowRankAdapters {
  init(_ message: Comd__LowRankAdapters) throws(ProtocolError) {
    let targets = try unsafe Checked.list(
      message.targets, message.n_targets, "adapters.targets", max: AdaptedLayer.allCases.count
    ) { code, field throws(ProtocolError) in
      guard let layer = AdaptedLayer.allCases.first(where: { $0.code == code }) else {
        throw .missing(field: field)
      }
      return layer
    }
    guard !targets.isEmpty else { throw .missing(field: "adapters.targets") }
    self.init(
      rank: try unsafe Checked.integer(
        message.rank, "adapters.rank", in: 1...WireLimits.adapterRankMax),
      alpha: try unsafe Checked.real(message.alpha, "adapters.alpha", in: 0...1e6),
      targets: Set(targets))
  }

  func message(in arena: Arena) -> UnsafeMutablePointer<Comd__LowRankAdapters> {
    let c = unsafe arena.make(comd__low_rank_adapters__init)
    let targets = orderedTargets.map(\.code)
    unsafe c.pointee.rank = UInt32(rank)
    unsafe c.pointee.alpha = alpha
    unsafe c.pointee.n_targets = targets.count
    unsafe c.pointee.targets = arena.array(targets)
    return unsafe c
  }
}

extension AdaptedLayer {
  fileprivate var code: Comd__AdaptedLayer {
    switch self {
    case .query: COMD__ADAPTED_LAYER__ADAPTED_QUERY
    case .key: COMD__ADAPTED_LAYER__ADAPTED_KEY
    case .value: COMD__ADAPTED_LAYER__ADAPTED_VALUE
    case .output: COMD__ADAPTED_LAYER__ADAPTED_OUTPUT
    case .gate: COMD__ADAPTED_LAYER__ADAPTED_GATE
    case .up: COMD__ADAPTED_LAYER__ADAPTED_UP
    case .down: COMD__ADAPTED_LAYER__ADAPTED_DOWN
    }
  }
}
