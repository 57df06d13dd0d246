import Domain
import Protocol

/// Pieces of a step that a faster peer has begun before this worker has heard of it, in the order
/// they came.
struct EarlyPieces {
  /// At the limit a piece is dropped; its step is then fenced by the coordinator's patience.
  static let countMax = 4096

  private var pieces: [(header: GradientSegment, values: [Float], peer: String)] = []

  mutating func keep(_ header: GradientSegment, _ values: [Float], from peer: String) {
    if pieces.count < Self.countMax { pieces.append((header, values, peer)) }
  }

  /// Hands a step that begins its pieces, all before any that comes now: pieces of one sum must
  /// arrive in order. Older ones are dropped, newer ones stay.
  /// - Returns: what follows from them.
  mutating func release(into exchange: inout StepExchange) -> [OutgoingPiece] {
    let plan = exchange.plan
    let waiting = pieces
    pieces = waiting.filter { piece in
      let header = piece.header
      return header.training == plan.training
        ? header.epoch > plan.epoch : plan.training < header.training
    }
    return waiting.flatMap { piece in
      exchange.isFrom(piece.peer, piece.header) ? exchange.receive(piece.header, piece.values) : []
    }
  }
}

extension StepExchange {
  /// Whether a piece belongs to this step and comes from the member that it names.
  func isFrom(_ peer: String, _ header: GradientSegment) -> Bool {
    header.training == plan.training && header.epoch == plan.epoch
      && plan.members.indices.contains(header.sender)
      && plan.members[header.sender].worker.name == peer
  }
}
