import Domain
import Testing

@testable import Scheduling

@Suite("What a member is sent of a step")
struct MemberMachineTests {
  private let grid = VectorGrid(count: 4, segments: 1, cellMax: 2)

  private func member(_ wire: WirePrecision, step: Int = 0) -> MemberMachine<Int> {
    MemberMachine(grid: grid, lineage: 0, wire: wire, step: step, add: +)
  }

  /// Alice keeps all; Bob computes the second rank.
  private func plan(_ step: Int, ranks: [Int] = [0, 1]) -> StepPlan {
    StepPlan(
      training: .pretraining, epoch: UInt64(step + 1), step: step,
      members: [alice, bob].map { StepMember(worker: $0, endpoint: "", publicKey: "") },
      rankOwners: ranks, segments: [SegmentKeepers([0])], base: step == 0 ? .beginning : nil)
  }

  private func isAsk(_ action: MemberMachine<Int>.Action) -> Bool {
    if case .ask(.weights, segment: 0, _, of: 0) = action { true } else { false }
  }

  private func added(_ actions: [MemberMachine<Int>.Action]) -> [Int] {
    actions.compactMap { if case .add(let cell, _) = $0 { cell } else { nil } }
  }

  private func written(_ actions: [MemberMachine<Int>.Action]) -> [Int] {
    actions.compactMap { if case .write(.weights, let cell, _) = $0 { cell } else { nil } }
  }

  private func votes(_ actions: [MemberMachine<Int>.Action]) -> Bool {
    actions.contains { if case .vote = $0 { true } else { false } }
  }

  private func computes(_ actions: [MemberMachine<Int>.Action]) -> Bool {
    actions.contains { if case .compute = $0 { true } else { false } }
  }

  @Test("is what it adds to weights, in bf16; the weights themselves in f32")
  func sent() {
    for wire in WirePrecision.allCases {
      var keeper = member(wire)
      _ = keeper.open(plan(0), me: alice)
      _ = keeper.loaded(segment: 0)
      for rank in 0..<2 {
        for cell in grid.cells.indices {
          _ = keeper.received(
            .partial(TreeNode(rank: rank)), cell: cell, 1,
            ranks: [RankStatistics(rank: rank, lossSum: 1, tokens: 1)], from: [alice, bob][rank])
        }
      }
      _ = keeper.computed(
        TreeNode(rank: 0), ranks: [RankStatistics(rank: 0, lossSum: 1, tokens: 1)]
      ) { _ in 1 }
      let cells = keeper.commit(step: 0)
      #expect(cells == [0, 1])
      let changes = wire == .f32 ? [:] : [0: 10, 1: 11]
      let sent = keeper.updated(cells, changes: changes).compactMap { action -> String? in
        guard case .send(let what, let cell, let value, [1]) = action else { return nil }
        return "\(what) \(cell) \(value ?? -1)"
      }
      #expect(
        sent
          == (wire == .f32
            ? [
              "state(Domain.StatePart.weights, step: 1) 0 -1",
              "state(Domain.StatePart.weights, step: 1) 1 -1",
            ]
            : ["change(step: 1) 0 10", "change(step: 1) 1 11"]))
    }
  }

  @Test("is voted for when the weights come last, and what it waits for is told before")
  func weightsLast() {
    var machine = member(.f32)
    _ = machine.open(plan(0), me: bob)
    _ = machine.commit(step: 0)
    _ = machine.settled()
    // Bob computes nothing and is to keep the segment, too.
    var next = plan(1, ranks: [0, 0])
    next.segments = [SegmentKeepers([0], newcomer: 1)]
    _ = machine.open(next, me: bob)
    let waits = "pretraining step 1, epoch 2: waits for weights of 2 cells"
    #expect(machine.lacking == waits + "; moments of 2 cells; sums of 2 cells; ranks 0, 1")
    let ranks = (0..<2).map { RankStatistics(rank: $0, lossSum: 1, tokens: 1) }
    for cell in grid.cells.indices {
      for part in [StatePart.firstMoment, .secondMoment] {
        _ = machine.received(.state(part, step: 1), cell: cell, 1, ranks: [], from: alice)
      }
      _ = machine.received(.sum, cell: cell, 3, ranks: ranks, from: alice)
    }
    #expect(machine.lacking == waits)
    let first = machine.received(.state(.weights, step: 1), cell: 0, 5, ranks: [], from: alice)
    #expect(!votes(first))
    let second = machine.received(.state(.weights, step: 1), cell: 1, 5, ranks: [], from: alice)
    #expect(votes(second))
    #expect(machine.lacking == nil)
  }

  @Test("as a change is added to weights of the step before, once, and to no others")
  func change() {
    var machine = member(.bf16)
    _ = machine.open(plan(0), me: bob)
    // Before it has heard of the commit itself.
    #expect(added(machine.received(.change(step: 1), cell: 0, 5, ranks: [], from: alice)).isEmpty)
    #expect(machine.commit(step: 0).isEmpty)
    #expect(added(machine.settled()) == [0])
    #expect(added(machine.received(.change(step: 1), cell: 0, 5, ranks: [], from: alice)).isEmpty)
    var last = machine.open(plan(1), me: bob)
    #expect(!last.contains(where: isAsk) && !computes(last))
    last = machine.received(.change(step: 1), cell: 1, 5, ranks: [], from: alice)
    #expect(added(last) == [1] && computes(last) && machine.isWhole)
    // One that skips a step fits nothing that it has.
    var other = member(.bf16)
    _ = other.open(plan(0), me: bob)
    _ = other.open(plan(2), me: bob)
    #expect(added(other.received(.change(step: 2), cell: 0, 5, ranks: [], from: alice)).isEmpty)
    // In f32 there are none.
    var plain = member(.f32)
    _ = plain.open(plan(0), me: bob)
    _ = plain.commit(step: 0)
    _ = plain.settled()
    #expect(added(plain.received(.change(step: 1), cell: 0, 5, ranks: [], from: alice)).isEmpty)
  }

  @Test("is asked for by who has no weights for the changes to fit, ranks or none")
  func asks() {
    for wire in WirePrecision.allCases {
      var machine = member(wire)
      // Ranks are Alice's alone.
      let asked = machine.open(plan(3, ranks: [0, 0]), me: bob).contains(where: isAsk)
      #expect(asked == (wire == .bf16))
    }
    // Weights that come after the commit are good for the change that follows them.
    var machine = member(.bf16)
    _ = machine.open(plan(3, ranks: [0, 0]), me: bob)
    _ = machine.commit(step: 3)
    _ = machine.settled()
    let state = PeerCell.state(.weights, step: 3)
    #expect(written(machine.received(state, cell: 0, 7, ranks: [], from: alice)) == [0])
    #expect(!machine.isWhole)
    #expect(added(machine.received(.change(step: 4), cell: 0, 1, ranks: [], from: alice)) == [0])
    #expect(written(machine.received(state, cell: 0, 7, ranks: [], from: alice)).isEmpty)
  }

  @Test("that it has not heard of yet is kept, the newest of each cell")
  func lagging() {
    for wire in WirePrecision.allCases {
      var machine = member(wire)
      _ = machine.open(plan(0, ranks: [0, 0]), me: bob)
      for step in [2, 1] {
        let state = PeerCell.state(.weights, step: step)
        #expect(machine.received(state, cell: 0, step, ranks: [], from: alice).isEmpty)
      }
      _ = machine.commit(step: 0)
      #expect(written(machine.settled()).isEmpty)
      _ = machine.commit(step: 1)
      #expect(written(machine.settled()) == [0])
    }
  }
}
