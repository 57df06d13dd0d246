import CZeroMQ
import Foundation
import Glibc
import Synchronization

/// A member of a mesh as the others reach it.
public struct MeshPeer: Hashable, Sendable {
  public var name: String
  /// Of its TCP socket.
  public var endpoint: String
  /// In Z85.
  public var publicKey: String

  public init(name: String, endpoint: String, publicKey: String) {
    self.name = name
    self.endpoint = endpoint
    self.publicKey = publicKey
  }
}

/// A message as a member of a mesh receives it.
public struct MeshMessage: Sendable {
  /// The name that the allow-list gives the key under which it was sealed.
  public var peer: String
  public var head: [UInt8]
  /// May be written where it is not on loan.
  public var payload: Payload?
}

public enum MeshSecurity: Sendable {
  /// Every frame is sealed by AES-256-GCM under a key that the two ends derive from their key
  /// pairs. At the door one shows another secret derived from them.
  case sealed(CurveKeyPair, AllowList)
  /// Neither encrypted nor authenticated: for measuring what that costs.
  case plainForBenchmarks(as: String)
}

/// Sockets between equals, each of which sends large messages to all others.
///
/// One thread does everything: it moves frames, seals and opens them, and runs whatever actor has
/// the mesh as its executor, so that what arrives is worked on where it lies in the cache. A peer
/// on the same machine is spoken to through a local socket, and large payloads go through memory
/// that both processes share.
public final class Mesh: SerialExecutor {
  public let endpoint: String
  private let jobs: Guarded<Jobs>
  private let wakeUp: WakeUp
  private let ended = Completion()
  // Made before the thread begins and used by it alone; `loop` asks where it is called.
  private nonisolated(unsafe) let owned: MeshLoop

  fileprivate struct Jobs {
    var waiting: [UnownedJob] = []
    var isClosed = false
  }

  /// - Parameters:
  ///   - endpoint: of TCP; `*` for a port that the system chooses.
  ///   - isLocal: false: TCP also on the same machine.
  public init(
    endpoint: String, security: MeshSecurity, limits: SocketLimits = .mesh, isLocal: Bool = true
  ) throws(TransportError) {
    wakeUp = try WakeUp()
    jobs = Guarded(Jobs())
    let loop = try MeshLoop(
      endpoint: endpoint, security: security, limits: limits, isLocal: isLocal, wakeUp)
    unsafe owned = loop
    self.endpoint = loop.endpoint
  }

  /// Begins to move messages.
  /// - Parameter receive: called on the mesh's thread with each message.
  public func start(_ receive: @escaping @Sendable (MeshMessage) -> Void) {
    let ended = ended
    let thread = Thread { [self] in
      unsafe owned.thread.withLock { $0 = pthread_self() }
      while true {
        let (waiting, isClosed) = jobs.withLock { jobs in
          defer { jobs.waiting = [] }
          return (jobs.waiting, jobs.isClosed)
        }
        for job in waiting { unsafe job.runSynchronously(on: asUnownedSerialExecutor()) }
        if isClosed && waiting.isEmpty { break }
        // The last jobs may have made others; nobody wakes a mesh that is closed.
        if !isClosed { unsafe owned.turn(receive) }
      }
      unsafe owned.close()
      ended.finish()
    }
    thread.name = "mesh"
    thread.start()
  }

  public func enqueue(_ job: consuming ExecutorJob) {
    let job = UnownedJob(job)
    let wasEmpty = jobs.withLock { jobs in
      defer { jobs.waiting.append(job) }
      return jobs.waiting.isEmpty
    }
    if wasEmpty { wakeUp.signal() }
  }

  public func checkIsolated() {
    precondition(unsafe owned.isOnItsThread, "only on the mesh's thread")
  }

  /// Ends the thread; what was not sent is dropped.
  public func close() async {
    jobs.withLock { $0.isClosed = true }
    wakeUp.signal()
    await ended.wait()
  }

  // On the mesh's thread: from the actor that it runs, and from `receive`.

  private var loop: MeshLoop {
    checkIsolated()
    return unsafe owned
  }

  /// Makes these the members: connects to those that are new, lets go of others.
  public func connect(to peers: [MeshPeer]) throws(TransportError) { try loop.connect(to: peers) }

  /// Queues a message for members; who is none gets nothing. `payload` is read when they can take
  /// it, so it must not change before it has left or was dropped.
  public func send(
    _ head: [UInt8], _ payload: Payload?, to peers: [String], as kind: Kind = .word
  ) {
    let parcel = payload.map(MeshLoop.Parcel.init)
    for peer in peers {
      loop.links[peer]?.add(MeshLoop.Message(head: head, parcel: parcel, kind: kind))
    }
  }

  /// Memory in which to make a payload of so many bytes: members on this machine read it there, and
  /// nothing is copied. It does not change any more from when it is sent.
  /// - Returns: nil where nobody is on this machine, or there is no more such memory.
  public func room(bytes: Int) -> Room? {
    let loop = loop
    guard MeshLoop.Link.shared.contains(bytes), loop.links.values.contains(where: \.isShared),
      let slot = loop.slots.room()
    else { return nil }
    return unsafe Room(
      owner: slot,
      bytes: UnsafeMutableRawBufferPointer(rebasing: slot.region.room(slot.number)[..<bytes]))
  }

  /// Memory that `owner` keeps.
  @safe public struct Room: Sendable {
    public let owner: any Sendable
    nonisolated(unsafe) public let bytes: UnsafeMutableRawBufferPointer
  }

  /// Drops what no member has taken yet.
  public func dropUnsent(_ isVoid: (Kind) -> Bool = { _ in true }) {
    for link in loop.links.values { link.drop(isVoid) }
  }

  /// What a message is of, for whoever drops some.
  public enum Kind: Hashable, Sendable { case word, sum, state }

  /// Messages that were thrown away: from nobody who may speak here, changed, or copies.
  public var dropped: Int { loop.dropped }

  /// Payloads that were sent through memory shared with a member on this machine.
  public var shared: Int { loop.shared }

  /// Slots of shared memory that members have not given back.
  var lent: Int { loop.slots.usedCount }
}

/// What the mesh's thread does.
final class MeshLoop {
  struct Message {
    var head: [UInt8]
    var parcel: Parcel?
    var kind: Mesh.Kind
  }

  let endpoint: String
  var links: [String: Link] = [:]
  private(set) var dropped = 0
  private(set) var shared = 0
  /// For payloads to members on this machine.
  let slots = SharedSlots()
  private var borrowed: BorrowedMemory
  private let wakeUp: WakeUp
  let thread = Guarded<pthread_t?>(nil)
  private let context: Context
  private let router: Socket
  private let limits: SocketLimits
  private let isLocal: Bool
  private let authenticator: Authenticator?
  private let list: AllowList?
  private let secrets: Secrets?
  /// Said before each message where nobody proves a name.
  private let plainName: String?
  private var opener = Opener()

  /// Of a class, because the door asks for it, too.
  private final class Secrets {
    var value: MeshSecrets
    init(_ value: MeshSecrets) { self.value = value }
  }

  /// Messages that are read before outgoing ones get their turn.
  private static let turnMessages = 16

  init(
    endpoint: String, security: MeshSecurity, limits: SocketLimits, isLocal: Bool, _ wakeUp: WakeUp
  ) throws(TransportError) {
    self.limits = limits
    self.wakeUp = wakeUp
    borrowed = BorrowedMemory(wakeUp)
    self.isLocal = isLocal
    context = try Context()
    var local: String?
    switch security {
    case .sealed(let keys, let list):
      let secrets = Secrets(try MeshSecrets(keys))
      self.secrets = secrets
      self.list = list
      local = localEndpoint(of: keys.publicKey)
      authenticator = try Authenticator(context, list) { client in
        secrets.value.password(from: client, to: keys.publicKey)
      }
      plainName = nil
    case .plainForBenchmarks(let name):
      (secrets, list, authenticator) = (nil, nil, nil)
      plainName = name
    }
    router = try Socket(context, type: ZMQ_ROUTER)
    do throws(TransportError) {
      try router.apply(limits)
      if secrets != nil {
        try router.set(ZMQ_PLAIN_SERVER, 1)
        try router.set(ZMQ_ZAP_DOMAIN, "comd")
      }
      try router.bind(endpoint)
      self.endpoint = router.boundEndpoint
      if isLocal { try router.bind(local ?? localEndpoint(of: self.endpoint)) }
    } catch {
      router.close()
      authenticator?.close()
      context.terminate()
      throw error
    }
  }

  var isOnItsThread: Bool {
    thread.withLock { $0.map { pthread_equal($0, pthread_self()) != 0 } ?? false }
  }

  func turn(_ receive: (MeshMessage) -> Void) {
    var awaited: [Awaited] = [.wakeUp(wakeUp), .socket(router, readable: true)]
    if let authenticator { awaited.append(.socket(authenticator.socket, readable: true)) }
    for link in links.values where link.hasWork {
      awaited.append(.socket(link.socket, readable: false, writable: true))
    }
    let isAwaited = authenticator?.hasWaiting ?? false
    poll(awaited, milliseconds: isAwaited ? Authenticator.lookMilliseconds : nil)
    wakeUp.drain()
    _ = authenticator?.answer(patience: limits.handshakeTimeout)
    for _ in 0..<Self.turnMessages {
      guard let frames = router.receive() else { break }
      guard let message = message(Array(frames.dropFirst())),
        let (envelope, head) = MeshEnvelope.unwrap(message.head)
      else {
        dropped += 1
        continue
      }
      handle(
        MeshMessage(peer: message.peer, head: head, payload: message.payload), envelope, receive)
    }
    for (owner, loans) in borrowed.takeReturns(isMember: { links[$0] != nil }) {
      links[owner]?.say(.returned(loans))
    }
    for link in links.values { shared += link.send() }
  }

  private func handle(
    _ message: MeshMessage, _ envelope: MeshEnvelope, _ receive: (MeshMessage) -> Void
  ) {
    let peer = message.peer
    switch envelope {
    case .plain: receive(message)
    case .inSlot(let slot, let count, let token, let number):
      guard let payload = borrowed.payload(slot, count: count, token: token, number, of: peer)
      else {
        dropped += 1
        return
      }
      receive(MeshMessage(peer: peer, head: message.head, payload: payload))
    case .offer(let offer):
      guard isLocal, borrowed.open(offer, of: peer) else { return }
      links[peer]?.say(.accepted(token: offer.token))
    case .accepted(let token): links[peer]?.accepted(token: token)
    case .retired(let token): borrowed.retired(token, of: peer)
    case .returned(let loans): links[peer]?.returned(loans)
    }
  }

  private func message(_ frames: [Frame]) -> MeshMessage? {
    guard let secrets, let list else {
      guard frames.count == 2 || frames.count == 3 else { return nil }
      return MeshMessage(
        peer: String(decoding: frames[0].bytes, as: UTF8.self), head: frames[1].bytes,
        payload: frames.count > 2 ? frames[2].payload : nil)
    }
    return opener.open(frames, &secrets.value, name: list.name(of:))
  }

  func connect(to peers: [MeshPeer]) throws(TransportError) {
    for (name, link) in links where !peers.contains(link.peer) {
      link.close(hasEnded: borrowed.hasEnded(name))
      links[name] = nil
    }
    borrowed.forgetTheGone { links[$0] != nil }
    for peer in peers where links[peer.name] == nil {
      let link = try link(to: peer)
      links[peer.name] = link
      for word in borrowed.words(to: peer.name) { link.say(word) }
    }
  }

  private func link(to peer: MeshPeer) throws(TransportError) -> Link {
    let socket = try Socket(context, type: ZMQ_DEALER)
    do throws(TransportError) {
      try socket.apply(limits)
      try socket.set(ZMQ_LINGER, 0)
      // A message is queued for a connection that stands, or not at all.
      try socket.set(ZMQ_IMMEDIATE, 1)
      var sealer: Sealer?
      if let secrets {
        let own = secrets.value.publicKey
        guard let password = secrets.value.password(from: own, to: peer.publicKey),
          let made = Sealer(&secrets.value, to: peer.publicKey)
        else { throw .key(reason: "the key of \(peer.name) is not one of Curve25519") }
        sealer = made
        try socket.set(ZMQ_PLAIN_USERNAME, own)
        try socket.set(ZMQ_PLAIN_PASSWORD, password)
      }
      let local = localEndpoint(of: secrets == nil ? peer.endpoint : peer.publicKey)
      let isHere = isLocal && isListening(local)
      try socket.connect(isHere ? local : peer.endpoint)
      return Link(peer, socket, sealer, name: plainName, slots: isHere ? slots : nil)
    } catch {
      socket.close()
      throw error
    }
  }

  func close() {
    for link in links.values { link.close(hasEnded: false) }
    router.close()
    authenticator?.close()
    context.terminate()
  }
}

/// The local socket of who has this public key: a name in the abstract namespace, which reaches as
/// far as a network namespace does.
private func localEndpoint(of identity: String) -> String {
  let hex = (keyBytes(identity) ?? Array(identity.utf8)).map { byte in
    String(byte >> 4, radix: 16) + String(byte & 15, radix: 16)
  }
  return "ipc://@comd-" + hex.joined()
}

/// Whether somebody listens on a local socket: then its owner runs on this machine. A stranger who
/// took the name would receive sealed frames and could open none.
private func isListening(_ local: String) -> Bool {
  let name = Array(local.dropFirst("ipc://@".count).utf8)
  var address = sockaddr_un()
  guard name.count < MemoryLayout.size(ofValue: address.sun_path) else { return false }
  address.sun_family = sa_family_t(AF_UNIX)
  unsafe withUnsafeMutableBytes(of: &address.sun_path) { path in
    for (index, byte) in name.enumerated() { unsafe path[index + 1] = byte }
  }
  let length = socklen_t(MemoryLayout<sa_family_t>.size + 1 + name.count)
  let kind = SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue
  let descriptor = socket(AF_UNIX, Int32(kind), 0)
  guard descriptor >= 0 else { return false }
  defer { _ = Glibc.close(descriptor) }
  return unsafe withUnsafePointer(to: &address) { pointer in
    unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
      unsafe Glibc.connect(descriptor, $0, length) == 0
    }
  }
}
