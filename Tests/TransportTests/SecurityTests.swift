import Testing
import Transport

@Suite("Who may talk", .timeLimit(.minutes(5)))
struct SecurityTests {
  @Test("is told by the key: the server names the sender, whatever it says of itself")
  func named() async throws {
    let loopback = try Loopback()
    let server = try loopback.server()
    let (a, b) = (try loopback.client("a", of: server), try loopback.client("b", of: server))
    #expect(await a.connected())
    #expect(await b.connected())
    try a.send([frame("I am b"), frame("second frame")])
    let first = try #require(await server.nextMessage())
    #expect(first.peer == "a")
    #expect(first.frames.map(\.text) == ["I am b", "second frame"])
    try b.send([frame("hello")])
    let second = try #require(await server.nextMessage())
    #expect(second.peer == "b")
    try server.send([frame("to a")], to: first.connection)
    try server.send([frame("to b")], to: second.connection)
    #expect(await a.nextMessage()?.map(\.text) == ["to a"])
    #expect(await b.nextMessage()?.map(\.text) == ["to b"])
    await a.close()
    await b.close()
    await server.close()
  }

  @Test("is refused with a key that is not on the list: nothing of it gets through")
  func unknown() async throws {
    let loopback = try Loopback()
    let server = try loopback.server()
    let stranger = try loopback.client(CurveKeyPair.generate(), of: server)
    #expect(await stranger.refused())
    #expect(throws: TransportError.notConnected) { try stranger.send([frame("let me in")]) }
    let known = try loopback.client("known", of: server)
    #expect(await known.connected())
    try known.send([frame("here")])
    #expect(await server.nextMessage()?.peer == "known")
    #expect(server.counters.received == 1)
    #expect(server.counters.refusedHandshakes >= 1)
    await stranger.close()
    await known.close()
    await server.close()
  }

  @Test("is let in without a new start once its key is allowed")
  func allowedLater() async throws {
    let loopback = try Loopback()
    let server = try loopback.server()
    let keys = try CurveKeyPair.generate()
    let client = try loopback.client(keys, of: server)
    #expect(await client.refused())
    loopback.list.allow(publicKey: keys.publicKey, name: "late")
    #expect(await client.connected())
    try client.send([frame("hello")])
    #expect(await server.nextMessage()?.peer == "late")
    await client.close()
    await server.close()
  }

  @Test("is cut off on a standing connection when the key is revoked, with its next message")
  func revoked() async throws {
    let loopback = try Loopback()
    let server = try loopback.server()
    let client = try loopback.client("gone", of: server)
    #expect(await client.connected())
    try client.send([frame("before")])
    let incoming = try #require(await server.nextMessage())

    loopback.list.revoke(name: "gone")
    try client.send([frame("after")])
    #expect(await client.disconnected())
    #expect(await client.refused())
    #expect(server.counters.received == 1)
    #expect(server.counters.droppedRevoked == 1)

    try server.send([frame("secret")], to: incoming.connection)
    #expect(await server.nextUndeliverable()?.0 == incoming.connection)
    await client.close()
    await server.close()
  }

  @Test("is sent nothing more once its key is revoked, though its connection stands")
  func nothingSentToRevoked() async throws {
    let loopback = try Loopback()
    let server = try loopback.server()
    let client = try loopback.client("gone", of: server)
    #expect(await client.connected())
    try client.send([frame("before")])
    let incoming = try #require(await server.nextMessage())
    loopback.list.revoke(name: "gone")
    try server.send([frame("secret")], to: incoming.connection)
    let lost = try #require(await server.nextUndeliverable())
    #expect(lost.1.map(\.text) == ["secret"])
    #expect(server.counters.sent == 0)
    await client.close()
    await server.close()
  }

  @Test("speaks to the server whose key it knows and to no other")
  func wrongServer() async throws {
    let loopback = try Loopback()
    let server = try loopback.server()
    let keys = try CurveKeyPair.generate()
    loopback.list.allow(publicKey: keys.publicKey, name: "deceived")
    let other = try CurveKeyPair.generate()
    let deceived = try MessageClient(
      endpoint: server.endpoint, security: .curve(keys, serverKey: other.publicKey),
      limits: quick)
    let known = try loopback.client("known", of: server)
    #expect(await known.connected())
    for number in 0..<200 {
      try known.send([frame("\(number)")])
      let incoming = try #require(await server.nextMessage())
      #expect(incoming.peer == "known")
      try server.send(incoming.frames, to: incoming.connection)
      #expect(await known.nextMessage() != nil)
    }
    #expect(throws: TransportError.notConnected) { try deceived.send([frame("secret")]) }
    await deceived.close()
    await known.close()
    await server.close()
  }
}

@Suite("A key pair")
struct KeyTests {
  @Test("is 40 characters of Z85 twice, another one each time")
  func generated() throws {
    let (a, b) = (try CurveKeyPair.generate(), try CurveKeyPair.generate())
    #expect(a.publicKey.count == 40 && a.secretKey.count == 40)
    #expect(a != b)
    #expect(try CurveKeyPair(publicKey: a.publicKey, secretKey: a.secretKey) == a)
  }

  @Test("is refused when it is no Z85, or its halves do not belong together")
  func refused() throws {
    let (a, b) = (try CurveKeyPair.generate(), try CurveKeyPair.generate())
    #expect(throws: TransportError.self) {
      try CurveKeyPair(publicKey: b.publicKey, secretKey: a.secretKey)
    }
    #expect(throws: TransportError.self) {
      try CurveKeyPair(publicKey: String(a.publicKey.dropLast()), secretKey: a.secretKey)
    }
    #expect(throws: TransportError.self) {
      try CurveKeyPair(publicKey: String(repeating: "\u{7f}", count: 40), secretKey: a.secretKey)
    }
  }
}
