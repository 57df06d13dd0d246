import Domain
import Testing

@testable import Scheduling

private func second(_ seconds: Double) -> Moment { .zero + .seconds(seconds) }

private func schedule(_ pieces: Int, seed: UInt64 = 0) -> PieceSchedule {
  PieceSchedule(here: PieceSet(none: pieces), seed: seed, at: .zero)
}

private func set(_ pieces: Range<Int>, of count: Int) -> PieceSet {
  var set = PieceSet(none: count)
  for piece in pieces { set.insert(piece) }
  return set
}

@Suite("The pieces of a blob")
struct PieceScheduleTests {
  typealias Ask = PieceSchedule.Ask

  @Test("come from the coordinator when no member has them, more at one time as they come quickly")
  func alone() {
    var schedule = schedule(20)
    var open = schedule.asks(at: .zero)
    #expect(open == [Ask(source: .coordinator, piece: 0)])
    var most = 0
    while !open.isEmpty {
      let ask = open.removeFirst()
      schedule.take(ask.piece, from: ask.source, at: second(0.1))
      open += schedule.asks(at: second(0.1))
      most = max(most, open.count)
    }
    #expect(most == PieceSchedule.windowMax)
    #expect(schedule.isComplete)
  }

  @Test("come from members that have them, and only the rest from the coordinator")
  func members() {
    var schedule = schedule(10)
    schedule.add("w1", at: .zero)
    #expect(schedule.surveys(at: .zero) { _ in true } == ["w1"])
    // What the member has is not known yet: the coordinator is not asked for it meanwhile.
    #expect(schedule.asks(at: .zero) == [])
    schedule.surveyed("w1", has: set(0..<6, of: 10))
    #expect(
      Set(schedule.asks(at: .zero))
        == [Ask(source: .member("w1"), piece: 0), Ask(source: .coordinator, piece: 6)])
  }

  @Test("come from the coordinator when a member does not say what it has")
  func silent() {
    var schedule = schedule(10)
    schedule.add("w1", at: .zero)
    #expect(schedule.asks(at: second(0.9)).isEmpty)
    #expect(schedule.asks(at: second(1.1)) == [Ask(source: .coordinator, piece: 0)])
  }

  @Test("that were asked of a member that is lost are asked of another")
  func lost() {
    var schedule = schedule(4)
    for name in ["w1", "w2"] {
      schedule.add(name, at: .zero)
      schedule.surveyed(name, has: PieceSet(all: 4))
    }
    let asked = schedule.asks(at: .zero)
    #expect(asked.count == 2)
    guard let first = asked.first(where: { $0.source == .member("w1") }) else {
      Issue.record("w1 is not asked")
      return
    }
    schedule.lost(.member("w1"))
    schedule.take(1 - first.piece, from: .member("w2"), at: second(0.1))
    #expect(
      schedule.asks(at: second(0.1)).map(\.source)
        == [.member("w2"), .member("w2")])
    #expect(schedule.asks(at: second(0.1)).isEmpty)
    schedule.add("w1", at: second(0.2))
    #expect(schedule.members == ["w1", "w2"])
  }

  @Test("are not asked again of a source that sent a broken one")
  func banned() {
    var schedule = schedule(4)
    schedule.add("w1", at: .zero)
    schedule.surveyed("w1", has: PieceSet(all: 4))
    #expect(schedule.asks(at: .zero) == [Ask(source: .member("w1"), piece: 0)])
    schedule.ban(.member("w1"))
    schedule.add("w1", at: .zero)
    #expect(schedule.members == [])
    #expect(schedule.asks(at: .zero) == [Ask(source: .coordinator, piece: 0)])
  }

  @Test("that a member is late with are asked of the coordinator, too, once")
  func late() {
    var schedule = schedule(2)
    schedule.add("w1", at: .zero)
    schedule.surveyed("w1", has: PieceSet(all: 2))
    #expect(schedule.asks(at: .zero) == [Ask(source: .member("w1"), piece: 0)])
    #expect(schedule.asks(at: second(1.9)).isEmpty)
    #expect(schedule.asks(at: second(2)) == [Ask(source: .coordinator, piece: 0)])
    #expect(schedule.asks(at: second(9)).isEmpty)
    schedule.take(0, from: .coordinator, at: second(9))
    #expect(!schedule.wants(0) && schedule.wants(1))
  }

  @Test("are asked for in an order of each worker's own", arguments: [1, 2, 5, 12, 97])
  func order(pieces: Int) {
    var orders: Set<[Int]> = []
    for seed in [0, 13, 1_000, .max, 77_777_777] as [UInt64] {
      var schedule = schedule(pieces, seed: seed)
      var order: [Int] = []
      while !schedule.isComplete {
        for ask in schedule.asks(at: .zero) {
          order.append(ask.piece)
          // What was lost is asked for again: the order goes both ways.
          if order.count % 3 == 0 { schedule.lost(.coordinator) }
          schedule.take(ask.piece, from: ask.source, at: .zero)
        }
      }
      #expect(Set(order) == Set(0..<pieces))
      orders.insert(order)
    }
    if pieces > 5 { #expect(orders.count > 2) }
  }

  /// Workers that fetch one blob at one time, each served by the others and by the coordinator,
  /// with links that are slow, stop and come back.
  @Test("all arrive, whatever members do, and the coordinator sends few twice", arguments: 1...40)
  func together(seed: UInt64) {
    var random = SeededRandom(seed: seed)
    let (pieces, takers) = (400, 4)
    var schedules = (0..<takers).map { schedule(pieces, seed: random.next() &+ UInt64($0)) }
    /// Answers on their way: when, to whom, and from whom.
    var coming: [(at: Double, taker: Int, ask: Ask)] = []
    var served = 0
    var now = 0.0
    let disturbed = seed % 2 == 0
    while !schedules.allSatisfy(\.isComplete), now < 600 {
      for taker in 0..<takers where !schedules[taker].isComplete {
        for other in 0..<takers where other != taker {
          schedules[taker].add("\(other)", at: second(now))
        }
        for name in schedules[taker].surveys(at: second(now), reachable: { _ in true }) {
          schedules[taker].surveyed(name, has: schedules[Int(name) ?? 0].here)
        }
        for ask in schedules[taker].asks(at: second(now)) {
          if ask.source == .coordinator { served += 1 }
          coming.append((now + 0.02 + 0.3 * random.unit(), taker, ask))
        }
        if disturbed, random.unit() < 0.02 {
          let lost = PieceSchedule.Source.member("\((taker + 1) % takers)")
          schedules[taker].lost(lost)
          coming.removeAll { $0.taker == taker && $0.ask.source == lost }
        }
      }
      now += 0.05
      for answer in coming where answer.at <= now && schedules[answer.taker].wants(answer.ask.piece)
      {
        if case .member(let name) = answer.ask.source {
          #expect(schedules[Int(name) ?? 0].here.contains(answer.ask.piece))
        }
        schedules[answer.taker].take(answer.ask.piece, from: answer.ask.source, at: second(now))
      }
      coming.removeAll { $0.at <= now }
    }
    #expect(schedules.allSatisfy { $0.isComplete })
    #expect(served <= pieces * 3 / 2, "\(served) of \(takers * pieces) are the coordinator's")
  }
}
