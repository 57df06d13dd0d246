import Foundation
import Testing

@testable import Transport

/// A member that keeps what it is sent.
private actor Member {
  nonisolated let mesh: Mesh
  nonisolated var unownedExecutor: UnownedSerialExecutor { mesh.asUnownedSerialExecutor() }
  nonisolated let keys: CurveKeyPair
  nonisolated let list = AllowList()
  nonisolated let name: String
  private nonisolated let inbox: AsyncStream<MeshMessage>

  init(_ name: String, isLocal: Bool) throws {
    self.name = name
    keys = try CurveKeyPair.generate()
    // Who stands still and has more in its queues than they hold hears no heartbeat either: on a
    // busy machine it could take until then, and what was on its way would be lost.
    var limits = SocketLimits.mesh
    limits.heartbeatTimeout = .seconds(300)
    mesh = try Mesh(
      endpoint: "tcp://127.0.0.1:*", security: .sealed(keys, list), limits: limits,
      isLocal: isLocal)
    let (inbox, feed) = AsyncStream<MeshMessage>.makeStream()
    self.inbox = inbox
    mesh.start { feed.yield($0) }
  }

  nonisolated var address: MeshPeer {
    MeshPeer(name: name, endpoint: mesh.endpoint, publicKey: keys.publicKey)
  }

  nonisolated func letIn(_ other: Member) {
    list.allow(publicKey: other.keys.publicKey, name: other.name)
  }

  func connect(_ peers: [MeshPeer]) throws { try mesh.connect(to: peers) }

  func send(_ head: String, _ payload: [UInt8]? = nil, to peer: String) {
    send(head, payload, to: [peer])
  }

  func send(_ head: String, _ payload: [UInt8]? = nil, to peers: [String]) {
    mesh.send(Array(head.utf8), payload.map { Frame($0).payload }, to: peers)
  }

  /// Sends what is made in the mesh's own memory.
  func sendMade(_ bytes: [UInt8], to peers: [String]) -> Mesh.Room? {
    guard let room = mesh.room(bytes: bytes.count) else { return nil }
    unsafe room.bytes.copyBytes(from: bytes)
    mesh.send(
      [], unsafe Payload(keeping: room.owner, UnsafeRawBufferPointer(room.bytes)), to: peers)
    return room
  }

  var dropped: Int { mesh.dropped }
  var shared: Int { mesh.shared }
  var lent: Int { mesh.lent }

  /// Holds up the thread on which the mesh does everything.
  func standStill(until gate: DispatchSemaphore) { gate.wait() }

  nonisolated func next() async -> MeshMessage? {
    for await message in inbox { return message }
    return nil
  }
}

extension MeshMessage {
  fileprivate var text: String { String(decoding: head, as: UTF8.self) }
  fileprivate var bytes: [UInt8]? { payload.map { unsafe Array($0.bytes) } }
}

@Suite("A mesh", .timeLimit(.minutes(5)))
struct MeshTests {
  @Test("brings messages to the member, whole and in order, by name", arguments: [true, false])
  func delivery(isLocal: Bool) async throws {
    let members = try ["a", "b", "c"].map { try Member($0, isLocal: isLocal) }
    for one in members {
      for other in members where other !== one { one.letIn(other) }
      try await one.connect(members.filter { $0 !== one }.map(\.address))
    }
    let large = (0..<2_000_000).map { UInt8(truncatingIfNeeded: $0 * 7) }
    for number in 0..<40 {
      await members[0].send("to b \(number)", number == 20 ? large : nil, to: "b")
      await members[2].send("c to b \(number)", [UInt8(number)], to: "b")
    }
    var texts: [String: [String]] = [:]
    for _ in 0..<80 {
      let message = try #require(await members[1].next())
      texts[message.peer, default: []].append(message.text)
      if message.text == "to b 20" { #expect(message.bytes == large) }
    }
    #expect(texts == ["a": (0..<40).map { "to b \($0)" }, "c": (0..<40).map { "c to b \($0)" }])
    for member in members { await member.mesh.close() }
  }

  @Test(
    "brings more at once than the memory that two processes share has room for, both ways",
    arguments: [true, false])
  func plenty(isLocal: Bool) async throws {
    let members = try ["a", "b"].map { try Member($0, isLocal: isLocal) }
    let addresses = members.map(\.address)
    for (one, other) in zip(members, members.reversed()) { one.letIn(other) }
    for (one, other) in zip(members, addresses.reversed()) { try await one.connect([other]) }
    // Which each of them says first.
    for (one, other) in zip(members, addresses.reversed()) { await one.send("", to: other.name) }
    for one in members { #expect(await one.next()?.text == "") }
    let sizes = [1, 5000, SharedRegion.slotBytes - 3, SharedRegion.slotBytes, 700_000]
    func payload(_ number: Int, _ name: String) -> [UInt8] {
      let first = UInt8(truncatingIfNeeded: number) ^ Array(name.utf8)[0]
      return [UInt8](repeating: first, count: sizes[number % sizes.count])
    }
    for (one, other) in zip(members, addresses.reversed()) {
      for number in 0..<150 {
        await one.send("\(number)", payload(number, one.name), to: other.name)
      }
    }
    for (one, other) in zip(members, members.reversed()) {
      for number in 0..<150 {
        let message = try #require(await one.next())
        #expect(message.text == "\(number)" && message.bytes == payload(number, other.name))
      }
    }
    for one in members {
      // Sixty of these are neither too small nor too large for it.
      #expect(isLocal ? await one.shared > 20 : await one.shared == 0)
      #expect(await one.dropped == 0)
      await one.mesh.close()
    }
  }

  /// Members on one machine that have each other's memory open.
  private func together(_ names: [String]) async throws -> [Member] {
    let members = try names.map { try Member($0, isLocal: true) }
    for one in members {
      for other in members where other !== one { one.letIn(other) }
      try await one.connect(members.filter { $0 !== one }.map(\.address))
    }
    for one in members {
      for other in members where other !== one {
        let before = await one.shared
        repeat {
          await one.send("", large, to: [other.name])
          #expect(await other.next()?.bytes == large)
        } while await one.shared == before
      }
    }
    return members
  }
  private let large = [UInt8](repeating: 7, count: 100_000)

  @Test("goes on by shared memory when a member stood still, and loses nothing")
  func stalled() async throws {
    let members = try await together(["one", "other"])
    let (one, other) = (members[0], members[1])
    let gate = DispatchSemaphore(value: 0)
    let still = Task { await other.standStill(until: gate) }
    let before = await one.shared
    // More than the sockets' queues hold.
    for number in 0..<200 { await one.send("\(number)", large, to: ["other"]) }
    // What it was sent before, it reads and has not given back.
    while await one.lent < 16 { try await Task.sleep(for: .milliseconds(10)) }
    gate.signal()
    await still.value
    for number in 0..<200 {
      let message = try #require(await other.next())
      #expect(message.text == "\(number)" && message.bytes == large)
    }
    #expect(await one.shared > before)
    // What was told of meanwhile is open by now.
    var then = 0
    repeat {
      then = await one.shared
      await one.send("last", large, to: ["other"])
      #expect(await other.next()?.text == "last")
    } while await one.shared == then
    while await one.lent > 0 { try await Task.sleep(for: .milliseconds(10)) }
    for member in members { await member.mesh.close() }
  }

  @Test("puts a payload for several members into memory once, until the last has read it")
  func several() async throws {
    let members = try await together(["a", "b", "c"])
    while await members[0].lent > 0 { try await Task.sleep(for: .milliseconds(10)) }
    await members[0].send("", large, to: ["b", "c", "nobody"])
    var held = [try #require(await members[1].next()), try #require(await members[2].next())]
    #expect(held.allSatisfy { $0.bytes == large && $0.payload?.isOnLoan == true })
    #expect(await members[0].lent == 1)
    held.removeLast()
    // Whatever c gave back is here before what it says next.
    await members[2].send("read", to: ["a"])
    #expect(await members[0].next()?.text == "read")
    #expect(await members[0].lent == 1)
    held.removeLast()
    while await members[0].lent > 0 { try await Task.sleep(for: .milliseconds(10)) }
    for member in members { await member.mesh.close() }
  }

  @Test("sends what was made in its memory from there, to all on this machine")
  func made() async throws {
    let members = try await together(["a", "b", "c"])
    while await members[0].lent > 0 { try await Task.sleep(for: .milliseconds(10)) }
    var room = await members[0].sendMade(large, to: ["b", "c"])
    #expect(room != nil)
    var held = [try #require(await members[1].next()), try #require(await members[2].next())]
    #expect(held.allSatisfy { $0.bytes == large && $0.payload?.isOnLoan == true })
    // Neither of them has a copy in another slot.
    withExtendedLifetime(room) {}
    #expect(await members[0].lent == 1)
    (held, room) = ([], nil)
    while await members[0].lent > 0 { try await Task.sleep(for: .milliseconds(10)) }
    for member in members { await member.mesh.close() }
  }

  @Test("has memory to make payloads in where somebody reads it, and of their size alone")
  func room() async throws {
    let members = try await together(["a", "b"])
    for bytes in [0, 1_000, 1 << 20] {
      #expect(await members[0].sendMade([UInt8](repeating: 1, count: bytes), to: ["b"]) == nil)
    }
    try await members[0].connect([])
    #expect(await members[0].sendMade(large, to: ["b"]) == nil)
    for member in members { await member.mesh.close() }
  }

  @Test("gives back what it read when its owner is a member again")
  func late() async throws {
    let members = try await together(["one", "other"])
    let (one, other) = (members[0], members[1])
    while await one.lent > 0 { try await Task.sleep(for: .milliseconds(10)) }
    await one.send("", large, to: ["other"])
    do {
      let held = try #require(await other.next())
      try await other.connect([])
      #expect(held.payload?.isOnLoan == true)
    }
    // By then it has looked at what nobody reads any more.
    await one.send("word", to: ["other"])
    #expect(await other.next()?.text == "word")
    #expect(await one.lent == 1)
    try await other.connect([one.address])
    while await one.lent > 0 { try await Task.sleep(for: .milliseconds(10)) }
    for member in members { await member.mesh.close() }
  }

  @Test("leaves what a member reads as it is, though it is one no more")
  func leaves() async throws {
    let members = try await together(["one", "other"])
    let (one, other) = (members[0], members[1])
    await one.send("", large, to: ["other"])
    let held = try #require(await other.next())
    #expect(held.payload?.isOnLoan == true)
    try await one.connect([])
    #expect(await one.lent == 0)
    try await one.connect([other.address])
    let others = [UInt8](repeating: 9, count: large.count)
    let before = await one.shared
    while await one.shared < before + 40 {
      await one.send("", others, to: ["other"])
      #expect(await other.next()?.bytes == others)
    }
    #expect(held.bytes == large)
    for member in members { await member.mesh.close() }
  }

  @Test("lets in who is on the list, as soon as it is, and nobody else")
  func door() async throws {
    let (host, guest, stranger) = (
      try Member("host", isLocal: false), try Member("guest", isLocal: false),
      try Member("stranger", isLocal: false)
    )
    for one in [guest, stranger] {
      try await one.connect([host.address])
      await one.send("hello", to: "host")
    }
    // The stranger's key is as good as the guest's; it is not on the list.
    host.letIn(guest)
    #expect(await host.next()?.peer == "guest")
    await guest.send("again", to: "host")
    #expect(await host.next()?.text == "again")
    #expect(await host.dropped == 0)
    host.list.revoke(name: "guest")
    await guest.send("and again", to: "host")
    // Who has knocked before is let in at once, and has no handshake to wait for.
    let begun = ContinuousClock.now
    host.list.allow(publicKey: stranger.keys.publicKey, name: "stranger")
    #expect(await host.next()?.peer == "stranger")
    #expect(begun.duration(to: .now) < SocketLimits.mesh.handshakeTimeout / 2)
    #expect(await host.dropped == 1)
    for member in [host, guest, stranger] { await member.mesh.close() }
  }
}

@Suite("A sealed message")
struct SealTests {
  private let (a, b): (CurveKeyPair, CurveKeyPair)
  private var sender: MeshSecrets
  private var receiver: MeshSecrets

  init() throws {
    (a, b) = (try CurveKeyPair.generate(), try CurveKeyPair.generate())
    (sender, receiver) = (try MeshSecrets(a), try MeshSecrets(b))
  }

  private func sealer(_ secrets: inout MeshSecrets, to keys: CurveKeyPair) throws -> Sealer {
    let sealer = Sealer(&secrets, to: keys.publicKey)
    return try #require(sealer)
  }

  private func seal(
    _ head: [UInt8], _ payload: [UInt8]?, _ sealer: inout Sealer
  ) throws -> [Frame] {
    let frames = sealer.seal(head, payload.map { Frame($0).payload })
    return try #require(frames)
  }

  private func open(
    _ frames: [Frame], _ opener: inout Opener, _ receiver: inout MeshSecrets
  ) -> MeshMessage? {
    opener.open(frames, &receiver) { $0 == a.publicKey ? "a" : nil }
  }

  @Test("is opened by its receiver, once, and says who sealed it")
  func once() throws {
    var (sender, receiver, opener) = (sender, receiver, Opener())
    var sealer = try sealer(&sender, to: b)
    let frames = try seal([1, 2, 3], [4, 5], &sealer)
    #expect(!frames[1].bytes.contains([4, 5]))
    let opened = open(frames, &opener, &receiver)
    let message = try #require(opened)
    #expect(message.peer == "a" && message.head == [1, 2, 3] && message.bytes == [4, 5])
    #expect(open(frames, &opener, &receiver) == nil)
    let next = try seal([6], nil, &sealer)
    #expect(open(next, &opener, &receiver)?.head == [6])
  }

  @Test("with any byte changed, cut short, or with another's payload is opened by nobody")
  func changed() throws {
    var (sender, receiver, opener) = (sender, receiver, Opener())
    var sealer = try sealer(&sender, to: b)
    for frame in 0..<2 {
      let length = try seal([1, 2, 3], [4, 5], &sealer)[frame].count
      for place in 0..<length {
        var frames = try seal([1, 2, 3], [4, 5], &sealer)
        var bytes = frames[frame].bytes
        bytes[place] ^= 1
        frames[frame] = Frame(bytes)
        #expect(open(frames, &opener, &receiver) == nil, "byte \(place) of frame \(frame)")
        frames[frame] = Frame(Array(bytes.prefix(place)))
        #expect(open(frames, &opener, &receiver) == nil)
      }
    }
    let one = try seal([1], [1], &sealer)
    let other = try seal([2], [2], &sealer)
    #expect(open([one[0], other[1]], &opener, &receiver) == nil)
    #expect(open([other[0], one[1]], &opener, &receiver) == nil)
    #expect(open([], &opener, &receiver) == nil)
    #expect(open(one, &opener, &receiver)?.bytes == [1])
  }

  @Test("for another receiver, or by a key that is not on the list, is opened by nobody")
  func others() throws {
    let c = try CurveKeyPair.generate()
    var (sender, receiver, opener) = (sender, receiver, Opener())
    var toC = try sealer(&sender, to: c)
    let forC = try seal([1], nil, &toC)
    #expect(open(forC, &opener, &receiver) == nil)
    var stranger = try MeshSecrets(c)
    var fromC = try sealer(&stranger, to: b)
    let strange = try seal([1], nil, &fromC)
    #expect(open(strange, &opener, &receiver) == nil)
  }
}
