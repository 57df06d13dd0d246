import Testing

@testable import Transport

@Suite("Queues of connections", .timeLimit(.minutes(5)))
struct ConnectionQueueTests {
  private let slow = ConnectionID(routing: [1])
  private let quick = ConnectionID(routing: [2])

  @Test("are worked off in order, and one that waits delays no other")
  func beside() async {
    let queues = ConnectionQueues<Int>(itemsMax: 100)
    let (held, release) = AsyncStream<Void>.makeStream()
    let (done, sink) = AsyncStream<(Int, ConnectionID)>.makeStream()
    async let running: Void = queues.run { item, connection in
      if item == 0 { for await _ in held { break } }
      sink.yield((item, connection))
    }
    for item in 0..<3 { #expect(queues.put(item, on: slow)) }
    for item in 10..<13 { #expect(queues.put(item, on: quick)) }
    var ends = done.makeAsyncIterator()
    for item in 10..<13 { #expect(await ends.next()?.0 == item) }
    release.yield()
    for item in 0..<3 { #expect(await ends.next()?.0 == item) }
    queues.finish()
    await running
  }

  @Test("take as many as they are said to, and nothing of a connection twice")
  func bounded() async {
    let queues = ConnectionQueues<Int>(itemsMax: 2)
    #expect([1, 2, 3].map { queues.put($0, on: slow) } == [true, true, false])
    #expect(queues.put(4, on: quick))
    queues.end(slow)
    // A connection of the same name is another one.
    #expect(queues.put(5, on: slow))
    queues.finish()
    let (done, sink) = AsyncStream<Int>.makeStream()
    await queues.run { item, _ in sink.yield(item) }
    sink.finish()
    var all: Set<Int> = []
    for await item in done { all.insert(item) }
    #expect(all == [1, 2, 4, 5])
  }
}
