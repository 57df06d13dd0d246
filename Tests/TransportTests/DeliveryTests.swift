import Testing
import Transport

@Suite("Messages", .timeLimit(.minutes(5)))
struct DeliveryTests {
  @Test("arrive all and in order, a hundred thousand of them, through queues of a hundred")
  func noneLost() async throws {
    var narrow = quick
    narrow.highWaterMark = 10
    narrow.inboxMessagesMax = 100
    narrow.outboxMessagesMax = 100
    let total = 100_000
    let loopback = try Loopback()
    let server = try loopback.server(limits: narrow)
    let client = try loopback.client("a", of: server, limits: narrow)
    #expect(await client.connected())
    async let received: Int = {
      var expected = 0
      while expected < total {
        for event in await server.events.nextBatch(max: 64) {
          guard case .message(let incoming) = event, incoming.frames[0].text == "\(expected)"
          else { return -1 }
          expected += 1
        }
      }
      return expected
    }()
    for number in 0..<total { try await client.sendWaiting([frame("\(number)")]) }
    #expect(await received == total)
    await client.close()
    await server.close()
  }

  @Test("go to many clients at once, each its own, though their queues in libzmq hold ten")
  func toMany() async throws {
    var narrow = quick
    narrow.highWaterMark = 10
    let loopback = try Loopback()
    let server = try loopback.server(limits: narrow)
    let clients = try (0..<4).map { try loopback.client("\($0)", of: server, limits: narrow) }
    var connections: [ConnectionID] = []
    for client in clients {
      #expect(await client.connected())
      try client.send([frame("hello")])
      connections.append(try #require(await server.nextMessage()).connection)
    }
    for number in 0..<2000 {
      for (index, connection) in connections.enumerated() {
        try await server.sendWaiting([frame("\(index) \(number)")], to: connection)
      }
    }
    for (index, client) in clients.enumerated() {
      for number in 0..<2000 {
        #expect(await client.nextMessage()?.first?.text == "\(index) \(number)")
      }
      await client.close()
    }
    await server.close()
  }

  @Test("that find the outbox full are refused with an error, and every accepted one arrives")
  func full() async throws {
    var narrow = quick
    narrow.highWaterMark = 2
    narrow.inboxMessagesMax = 2
    narrow.outboxMessagesMax = 10
    let loopback = try Loopback()
    let server = try loopback.server(limits: narrow)
    let client = try loopback.client("a", of: server, limits: narrow)
    #expect(await client.connected())
    // Nobody reads: everything between fills up. Large frames fill the kernel's buffers.
    let large = Frame([UInt8](repeating: 7, count: 1 << 20))
    var accepted = 0
    var refusal: TransportError?
    while refusal == nil, accepted < 1000 {
      do throws(TransportError) {
        try client.send([large])
        accepted += 1
      } catch {
        refusal = error
      }
    }
    #expect(refusal == .full(limit: "10 messages"))
    for _ in 0..<accepted { #expect(await server.nextMessage()?.frames[0].count == large.count) }
    #expect(server.counters.received == accepted)
    await client.close()
    await server.close()
  }

  @Test("of many MiB keep every bit, in both directions")
  func large() async throws {
    let loopback = try Loopback()
    let limits = SocketLimits(frameBytesMax: 32 << 20)
    let server = try loopback.server(limits: limits)
    let client = try loopback.client("a", of: server, limits: limits)
    #expect(await client.connected())
    let large = Frame((0..<24_000_000).map { UInt8(truncatingIfNeeded: $0 &* 31) })
    try client.send([frame("header"), large])
    let incoming = try #require(await server.nextMessage())
    #expect(incoming.frames[1].bytes == large.bytes)
    try server.send(incoming.frames, to: incoming.connection)
    #expect(await client.nextMessage()?[1].bytes == large.bytes)
    await client.close()
    await server.close()
  }

  @Test("with a frame above the limit are refused before they are sent")
  func tooLarge() async throws {
    let loopback = try Loopback()
    let server = try loopback.server()
    let client = try loopback.client("a", of: server)
    #expect(await client.connected())
    let limit = quick.frameBytesMax
    #expect(throws: TransportError.tooLarge(bytes: limit + 1, limit: limit)) {
      try client.send([Frame([UInt8](repeating: 0, count: limit + 1))])
    }
    #expect(throws: TransportError.noFrames) { try client.send([]) }
    await client.close()
    await server.close()
  }

  @Test("from a sender with a larger limit than ours end its connection, not our memory")
  func tooLargeForUs() async throws {
    var small = quick
    small.frameBytesMax = 1000
    let loopback = try Loopback()
    let server = try loopback.server(limits: small)
    let client = try loopback.client("a", of: server)
    #expect(await client.connected())
    try client.send([Frame([UInt8](repeating: 0, count: 100_000))])
    #expect(await client.disconnected())
    #expect(server.counters.received == 0)
    await client.close()
    await server.close()
  }

  @Test("to a connection that has ended come back as undeliverable")
  func undeliverable() async throws {
    let loopback = try Loopback()
    let server = try loopback.server()
    let client = try loopback.client("a", of: server)
    #expect(await client.connected())
    try client.send([frame("hello")])
    let connection = try #require(await server.nextMessage()).connection
    await client.close()
    // Until the server has seen the end of the connection, messages may still leave.
    var lost: (ConnectionID, [Frame])?
    while lost == nil {
      try await server.sendWaiting([frame("anyone there?")], to: connection)
      let sent = server.counters
      if sent.undeliverable > 0 { lost = await server.nextUndeliverable() }
      await Task.yield()
    }
    #expect(lost?.0 == connection)
    #expect(lost?.1.map(\.text) == ["anyone there?"])
    await server.close()
  }
}

@Suite("A connection", .timeLimit(.minutes(5)))
struct ConnectionTests {
  @Test("that ends is said to have ended, once, after the last message that came over it")
  func closed() async throws {
    let loopback = try Loopback()
    let server = try loopback.server()
    let staying = try loopback.client("staying", of: server)
    #expect(await staying.connected())
    for round in 0..<5 {
      let client = try loopback.client("client \(round)", of: server)
      #expect(await client.connected())
      let total = 500
      for number in 0..<total { try await client.sendWaiting([frame("\(number)")]) }
      await client.close()
      var connection: ConnectionID?
      for number in 0..<total {
        let incoming = try #require(await server.nextMessage())
        #expect(incoming.frames[0].text == "\(number)")
        connection = incoming.connection
      }
      #expect(await server.nextClosed() == connection)
    }
    try staying.send([frame("still here")])
    #expect(await server.nextMessage()?.frames[0].text == "still here")
    await staying.close()
    await server.close()
  }

  @Test("comes back by itself when the server was restarted, and says so")
  func serverRestart() async throws {
    let loopback = try Loopback()
    let first = try loopback.server()
    let client = try loopback.client("a", of: first)
    #expect(await client.connected())
    try client.send([frame("one")])
    #expect(await first.nextMessage()?.frames[0].text == "one")
    let endpoint = first.endpoint
    await first.close()
    #expect(await client.disconnected())
    #expect(throws: TransportError.notConnected) { try client.send([frame("lost")]) }
    let second = try loopback.server(endpoint: endpoint)
    #expect(await client.connected())
    try client.send([frame("two")])
    #expect(await second.nextMessage()?.frames[0].text == "two")
    await client.close()
    await second.close()
  }

  @Test("after a reconnect is another one: the server cannot take it for the old")
  func newIdentity() async throws {
    let loopback = try Loopback()
    let server = try loopback.server()
    let keys = try CurveKeyPair.generate()
    loopback.list.allow(publicKey: keys.publicKey, name: "a")
    var seen: Set<ConnectionID> = []
    for _ in 0..<3 {
      let client = try loopback.client(keys, of: server)
      #expect(await client.connected())
      try client.send([frame("hello")])
      seen.insert(try #require(await server.nextMessage()).connection)
      await client.close()
    }
    #expect(seen.count == 3)
    await server.close()
  }

  @Test("that is closed sends first what was handed in")
  func closingFlushes() async throws {
    let loopback = try Loopback()
    let server = try loopback.server()
    let client = try loopback.client("a", of: server)
    #expect(await client.connected())
    for number in 0..<1000 { try client.send([frame("\(number)")]) }
    await client.close()
    for number in 0..<1000 {
      #expect(await server.nextMessage()?.frames[0].text == "\(number)")
    }
    #expect(throws: TransportError.closed) { try client.send([frame("too late")]) }
    await server.close()
    #expect(await server.nextClosed() != nil)
    #expect(await server.events.next() == nil)
  }

  @Test("cannot be bound twice, nor to what is no endpoint")
  func binding() async throws {
    let loopback = try Loopback()
    let server = try loopback.server()
    #expect(throws: TransportError.self) { try loopback.server(endpoint: server.endpoint) }
    #expect(throws: TransportError.self) { try loopback.server(endpoint: "nonsense") }
    await server.close()
  }

  @Test("is no longer waited for by a task that was cancelled")
  func cancellation() async throws {
    let loopback = try Loopback()
    let server = try loopback.server()
    let waiting = Task { await server.events.next() == nil }
    waiting.cancel()
    #expect(await waiting.value)
    let client = try loopback.client("a", of: server)
    #expect(await client.connected())
    try client.send([frame("hello")])
    #expect(await server.nextMessage() != nil)
    await client.close()
    await server.close()
  }
}
