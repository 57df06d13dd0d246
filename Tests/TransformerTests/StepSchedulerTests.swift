import Testing

@testable import Transformer

@Suite("A generator's scheduler")
struct StepSchedulerTests {
  @Test("gives every answer a row, and the rest of a pass to prompts, in chunks")
  func mixed() {
    var scheduler = StepScheduler(batchMax: 4, rowsMax: 16)
    scheduler.add(1, priority: 0, promptRows: 3)
    #expect(scheduler.next { _ in .now(cachedRows: 0) } == [.init(id: 1, rows: 3)])
    scheduler.add(2, priority: 0, promptRows: 40)
    // Alone with an answer it has all but that row.
    #expect(
      scheduler.next { _ in .now(cachedRows: 0) } == [
        .init(id: 1, rows: 1), .init(id: 2, rows: 15),
      ])
    // One behind it is read beside it, and what that one leaves goes back.
    scheduler.add(3, priority: 0, promptRows: 5)
    #expect(
      scheduler.next { _ in .now(cachedRows: 0) }
        == [.init(id: 1, rows: 1), .init(id: 2, rows: 10), .init(id: 3, rows: 5)])
    #expect(
      scheduler.next { _ in .now(cachedRows: 0) }
        == [.init(id: 1, rows: 1), .init(id: 3, rows: 1), .init(id: 2, rows: 14)])
  }

  @Test("begins by priority, then arrival, and none before one that waits for memory")
  func order() {
    var scheduler = StepScheduler(batchMax: 2, rowsMax: 16)
    for (id, priority) in [(1, 0), (2, 5), (3, 0), (4, 5)] {
      scheduler.add(id, priority: priority, promptRows: 2)
    }
    var asked: [Int] = []
    _ = scheduler.next {
      asked.append($0)
      return .now(cachedRows: 0)
    }
    #expect(asked == [2, 4])
    scheduler.remove(2)
    scheduler.remove(4)
    asked.removeAll()
    let parts = scheduler.next {
      asked.append($0)
      return .noMemory
    }
    #expect(asked == [1] && parts.isEmpty)
    // One whose beginning another computes lets those behind it go first.
    #expect(
      scheduler.next { $0 == 1 ? .held : .now(cachedRows: 0) } == [.init(id: 3, rows: 2)])
  }

  @Test("reads every prompt and stalls no answer, whatever comes and goes", arguments: 0..<30)
  func random(seed: UInt64) {
    var random = SeededStream(seed: seed)
    func below(_ bound: Int) -> Int { Int(random.next() % UInt64(bound)) }
    let (batchMax, rowsMax) = (1 + below(6), 8 + below(40))
    var scheduler = StepScheduler(batchMax: batchMax, rowsMax: rowsMax)
    /// What is left of each prompt, and of each answer.
    var prompts: [Int: Int] = [:]
    var answers: [Int: Int] = [:]
    var begun: Set<Int> = []
    var (next, steps) = (0, 0)
    while next < 40 || !prompts.isEmpty {
      if next < 40, below(3) > 0 {
        (prompts[next], answers[next]) = (1 + below(100), 1 + below(20))
        scheduler.add(next, priority: below(3), promptRows: prompts[next] ?? 0)
        next += 1
      }
      if below(15) == 0, let gone = prompts.keys.sorted().randomElement(below) {
        scheduler.remove(gone)
        prompts[gone] = nil
        begun.remove(gone)
      }
      let parts = scheduler.next { id in
        switch below(8) {
        case 0: return .held
        case 1: return .noMemory
        default:
          begun.insert(id)
          let cached = min(below(30), (prompts[id] ?? 0) - 1)
          prompts[id]? -= cached
          return .now(cachedRows: cached)
        }
      }
      #expect(Set(parts.map(\.id)).count == parts.count)
      #expect(parts.count <= batchMax && parts.reduce(0) { $0 + $1.rows } <= rowsMax)
      #expect(Set(parts.map(\.id)).isSubset(of: begun))
      let reading = begun.filter { prompts[$0] ?? 0 > 0 }
      #expect(begun.subtracting(reading).isSubset(of: parts.map(\.id)), "an answer has no row")
      #expect(reading.isEmpty || reading.contains { id in parts.contains { $0.id == id } })
      for part in parts {
        guard let left = prompts[part.id] else { continue }
        #expect(left > 0 ? part.rows <= left : part.rows == 1)
        if left > 0 { prompts[part.id] = left - part.rows }
        if left == part.rows || left == 0 { answers[part.id]? -= 1 }
        if answers[part.id] == 0 {
          scheduler.remove(part.id)
          prompts[part.id] = nil
          begun.remove(part.id)
        }
      }
      steps += 1
      guard steps < 5_000 else {
        Issue.record("prompts that are never read: \(prompts)")
        return
      }
    }
    #expect(scheduler.runningIDs.isEmpty && scheduler.waitingIDs.isEmpty)
  }
}

extension Array {
  fileprivate func randomElement(_ below: (Int) -> Int) -> Element? {
    isEmpty ? nil : self[below(count)]
  }
}
