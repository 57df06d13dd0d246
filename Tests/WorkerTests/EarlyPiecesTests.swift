import Domain
import Kernels
import Protocol
import Scheduling
import Testing

@testable import Worker

@Suite("Pieces that come before their step")
struct EarlyPiecesTests {
  static func plan(epoch: UInt64) -> StepPlan {
    StepPlan(
      training: .pretraining, epoch: epoch, step: 0,
      members: (0..<2).map {
        StepMember(worker: WorkerID(name: "w\($0)", boot: 1), endpoint: "", publicKey: "")
      },
      rankOwners: [0, 1], segmentOwners: [0])
  }

  /// What member 1 sends to member 0: its vector in three pieces.
  static func pieces(epoch: UInt64, compute: Compute) -> [OutgoingPiece] {
    let plan = plan(epoch: epoch)
    var sender = StepExchange(plan: plan, me: 1, count: count, compute: compute)
    let vector = Floats(zeros: count)
    for index in 0..<count { vector[index] = Float(index % 1009) }
    return sender.program.flatMap { instruction -> [OutgoingPiece] in
      guard case .emit(let node) = instruction else { return [] }
      return sender.contribute(
        node, vector, ranks: [RankStatistics(rank: 1, lossSum: 1, tokens: 1)])
    }
  }
  static let count = StepExchange.pieceCount * 5 / 2

  @Test("are taken in before those that come while the step runs")
  func order() throws {
    let compute = try Compute(threads: 1)
    let pieces = Self.pieces(epoch: 3, compute: compute)
    #expect(pieces.count == 3)
    var early = EarlyPieces()
    for piece in pieces.prefix(2) { early.keep(piece.header, piece.values.array, from: "w1") }
    var exchange = StepExchange(
      plan: Self.plan(epoch: 3), me: 0, count: Self.count, compute: compute)
    #expect(early.release(into: &exchange).isEmpty)
    _ = exchange.receive(pieces[2].header, pieces[2].values.array)
    for case .emit(let node) in exchange.program {
      _ = exchange.contribute(
        node, Floats(zeros: Self.count), ranks: [RankStatistics(rank: 0, lossSum: 1, tokens: 1)])
    }
    #expect(exchange.isComplete)
    let last = Self.count - 1
    #expect(exchange.total[last] == Float(last % 1009))
  }

  @Test("are dropped when they are of an older step or another sender, kept when of a newer one")
  func others() throws {
    let compute = try Compute(threads: 1)
    var early = EarlyPieces()
    for epoch in [UInt64(2), 4] {
      for piece in Self.pieces(epoch: epoch, compute: compute) {
        early.keep(piece.header, piece.values.array, from: epoch == 2 ? "w1" : "w0")
        early.keep(piece.header, piece.values.array, from: "w1")
      }
    }
    for (epoch, isComplete) in [(UInt64(3), false), (4, true), (4, false)] {
      var exchange = StepExchange(
        plan: Self.plan(epoch: epoch), me: 0, count: Self.count, compute: compute)
      _ = early.release(into: &exchange)
      for case .emit(let node) in exchange.program {
        _ = exchange.contribute(node, Floats(zeros: Self.count), ranks: [])
      }
      #expect(exchange.isComplete == isComplete)
    }
  }
}
