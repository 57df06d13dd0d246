import Domain
import Kernels
import Protocol
import Scheduling
import Testing

@testable import Worker

@Suite("Summing a step's gradients")
struct StepExchangeTests {
  /// A gradient for each virtual rank, with values far apart so that the order of additions shows.
  static func leaves(_ ranks: Int, count: Int, seed: UInt64) -> [[Float]] {
    var random = SeededRandom(seed: seed)
    return (0..<ranks).map { _ in
      (0..<count).map { _ in Float(random.unit() - 0.5) * Float(1 << random.below(20)) }
    }
  }

  static func plan(ranks: Int, members: Int, random: inout SeededRandom) -> StepPlan {
    StepPlan(
      training: .pretraining, epoch: 7, step: 3,
      members: (0..<members).map {
        StepMember(worker: WorkerID(name: "w\($0)", boot: 1), endpoint: "", publicKey: "")
      },
      rankOwners: (0..<ranks).map { _ in random.below(members) },
      segmentOwners: (0..<9).map { _ in random.below(members) })
  }

  /// Runs all members, delivering pieces in a random order that keeps the order on each connection.
  static func sums(
    _ plan: StepPlan, _ leaves: [[Float]], random: inout SeededRandom
  ) throws -> [StepExchange] {
    let compute = try Compute(threads: 1)
    let count = leaves[0].count
    var exchanges = plan.members.indices.map {
      StepExchange(plan: plan, me: $0, count: count, compute: compute)
    }
    var connections: [[Int]: [OutgoingPiece]] = [:]
    func queue(_ pieces: [OutgoingPiece], from sender: Int) {
      for piece in pieces { connections[[sender, piece.member], default: []].append(piece) }
    }
    for member in random.shuffled(Array(plan.members.indices)) {
      var stack: [(Floats, [RankStatistics])] = []
      for instruction in exchanges[member].program {
        switch instruction {
        case .push(let rank):
          let one = RankStatistics(rank: rank, lossSum: Double(rank) * 0.1, tokens: Int64(rank + 1))
          stack.append((Floats(leaves[rank]), [one]))
        case .add:
          let right = stack.removeLast()
          add(into: stack[stack.count - 1].0, right.0, on: compute)
          stack[stack.count - 1].1 += right.1
        case .emit(let node):
          let (sum, ranks) = stack.removeLast()
          queue(exchanges[member].contribute(node, sum, ranks: ranks), from: member)
        case .receive: Issue.record("a member's own program receives nothing")
        }
      }
    }
    while let key = connections.keys.sorted(by: { $0.lexicographicallyPrecedes($1) })
      .shuffled(using: &random).first
    {
      guard var pieces = connections.removeValue(forKey: key) else { break }
      let piece = pieces.removeFirst()
      if !pieces.isEmpty { connections[key] = pieces }
      queue(
        exchanges[piece.member].receive(piece.header, piece.values.array), from: piece.member)
    }
    return exchanges
  }

  @Test(
    "gives every member the same bits as one worker would have, whoever owns what",
    arguments: 1...40)
  func sameBits(seed: UInt64) throws {
    var random = SeededRandom(seed: seed)
    let ranks = 1 + random.below(17)
    let count = 1 + random.below(200)
    let leaves = Self.leaves(ranks, count: count, seed: seed)
    let expected = treeSum(leaves).map(\.bitPattern)
    for members in 1...4 {
      let plan = Self.plan(ranks: ranks, members: members, random: &random)
      for exchange in try Self.sums(plan, leaves, random: &random) {
        #expect(exchange.isComplete)
        #expect(exchange.total.array.map(\.bitPattern) == expected)
        #expect(exchange.loss.tokens == Int64(ranks * (ranks + 1) / 2))
      }
    }
  }

  /// A step of two members: the exchange of the first with its own part in it, and what the second
  /// sends it.
  private static func halves() throws -> (first: StepExchange, pieces: [OutgoingPiece]) {
    let plan = StepPlan(
      training: .pretraining, epoch: 7, step: 3,
      members: ["w0", "w1"].map {
        StepMember(worker: WorkerID(name: $0, boot: 1), endpoint: "", publicKey: "")
      }, rankOwners: [0, 0, 1, 1], segmentOwners: [0])
    let compute = try Compute(threads: 1)
    let count = 2 * StepExchange.pieceCount + 5
    var exchanges = (0..<2).map { StepExchange(plan: plan, me: $0, count: count, compute: compute) }
    let sent = (0..<2).map { member in
      exchanges[member].program.flatMap { instruction -> [OutgoingPiece] in
        guard case .emit(let node) = instruction else { return [] }
        let vector = Floats([Float](repeating: Float(member + 1), count: count))
        let ranks = plan.rankOwners.indices.filter { plan.rankOwners[$0] == member }
        return exchanges[member].contribute(
          node, vector, ranks: ranks.map { RankStatistics(rank: $0, lossSum: 1, tokens: 1) })
      }
    }
    #expect(sent[0].isEmpty)
    return (exchanges[0], sent[1])
  }

  @Test("is complete with the last piece and not before")
  func missing() throws {
    var (exchange, pieces) = try Self.halves()
    #expect(pieces.count == 3)
    for piece in pieces {
      #expect(!exchange.isComplete)
      _ = exchange.receive(piece.header, piece.values.array)
    }
    #expect(exchange.isComplete)
    #expect(exchange.total.array.allSatisfy { $0 == 3 })
  }

  @Test("takes no piece of another epoch")
  func anotherEpoch() throws {
    var (exchange, pieces) = try Self.halves()
    for piece in pieces {
      var header = piece.header
      header.epoch = 6
      #expect(exchange.receive(header, piece.values.array).isEmpty)
    }
    #expect(!exchange.isComplete)
    for piece in pieces { _ = exchange.receive(piece.header, piece.values.array) }
    #expect(exchange.isComplete)
  }
}

@Suite("A node of the summation tree on the wire")
struct WireNodeTests {
  @Test("is read back as the same node, and the root is 0")
  func roundTrip() {
    for height in 0...6 {
      #expect(TreeNode(level: height, index: 0).wire(height: height) == 0)
      for level in 0...height {
        for index in 0..<(1 << (height - level)) {
          let node = TreeNode(level: level, index: index)
          #expect(TreeNode(wire: node.wire(height: height), height: height) == node)
        }
      }
      #expect(TreeNode(wire: (2 << height) - 1, height: height) == nil)
      #expect(TreeNode(wire: -1, height: height) == nil)
    }
  }
}
