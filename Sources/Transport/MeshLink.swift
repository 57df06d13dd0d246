import CZeroMQ

extension MeshLoop {
  /// To one member.
  final class Link {
    let peer: MeshPeer
    let socket: Socket
    private let name: String?
    private var sealer: Sealer?
    private var waiting: [Message] = []
    private var first = 0
    /// Between the meshes themselves: ahead of messages that wait for what they say.
    private var words: [MeshEnvelope] = []
    /// Sealed already, and not taken by libzmq.
    private var next: [Frame]?
    /// Memory for large payloads, to a member on this machine; nil: they go through the socket.
    private let slots: SharedSlots?
    /// The member has the memory open.
    private var isShared = false
    /// A message waits for a slot since then.
    private(set) var heldSince: ContinuousClock.Instant?
    /// The member frees no slots: all goes through the socket until it does.
    private(set) var isGivenUp = false

    /// A smaller payload goes through the socket: that takes as long.
    private static let sharedMin = 16 << 10
    /// A member that frees no slot for so long has lost messages, or stands still.
    static let patience = Duration.seconds(2)

    /// - Parameter slots: nil: there is no memory that both could share.
    init(
      _ peer: MeshPeer, _ socket: Socket, _ sealer: Sealer?, name: String?, slots: SharedSlots?
    ) {
      self.peer = peer
      self.name = name
      self.socket = socket
      self.sealer = sealer
      self.slots = slots
      if let slots { words.append(.offer(slots.offer)) }
    }

    /// Something could be sent if libzmq took it.
    var hasWork: Bool {
      next != nil || !words.isEmpty || (first < waiting.count && heldSince == nil)
    }

    func add(_ message: Message) { waiting.append(message) }

    func say(_ word: MeshEnvelope) { words.append(word) }

    /// Sends until the member takes no more.
    /// - Returns: payloads that went through shared memory.
    func send() -> Int {
      var shared = 0
      while hasWork {
        guard let frames = next ?? take(&shared) else { continue }
        next = nil
        if socket.send(frames) == .wouldBlock {
          next = frames
          break
        }
      }
      return shared
    }

    func drop(_ isVoid: (Mesh.Kind) -> Bool) {
      waiting = waiting.dropFirst(first).filter { !isVoid($0.kind) }
      first = 0
      if waiting.isEmpty { heldSince = nil }
    }

    /// The member has opened the memory that was offered to it.
    func accepted(token: UInt64) { if token == slots?.offer.token { isShared = true } }

    func freed(_ freed: [Int], token: UInt64) {
      guard let slots, token == slots.offer.token else { return }
      slots.release(freed)
      heldSince = nil
      isGivenUp = false
    }

    /// Gives the shared memory up when nothing has been freed for long.
    func checkPatience(at now: ContinuousClock.Instant) {
      guard let held = heldSince, now - held >= Self.patience else { return }
      isGivenUp = true
      heldSince = nil
    }

    private func take(_ shared: inout Int) -> [Frame]? {
      if !words.isEmpty { return frames(words.removeFirst().wrap([]), nil) }
      let message = waiting[first]
      var envelope = MeshEnvelope.plain
      if let slots, isShared, !isGivenUp, let payload = message.payload,
        (Self.sharedMin...SharedSlots.slotBytes).contains(payload.count)
      {
        guard let slot = unsafe slots.put(payload.bytes) else {
          heldSince = .now
          return nil
        }
        envelope = .inSlot(slot, count: payload.count, token: slots.offer.token)
        shared += 1
      }
      first += 1
      if first == waiting.count { drop { _ in true } }
      return frames(
        envelope.wrap(message.head), envelope == .plain ? message.payload : nil)
    }

    private func frames(_ head: [UInt8], _ payload: Payload?) -> [Frame]? {
      guard sealer != nil else {
        let name = Frame(Array((name ?? "").utf8))
        return [name, Frame(head)] + (payload.map { [Frame($0)] } ?? [])
      }
      return sealer?.seal(head, payload)
    }
  }
}
