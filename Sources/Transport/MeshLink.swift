import CZeroMQ
import Glibc

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
    /// For large payloads, to a member on this machine; nil: they go through the socket.
    private let slots: SharedSlots?
    /// The regions as they were when this looked last.
    private var seen = 0
    /// Regions that the member was told of.
    private var offered: Set<UInt64> = []
    /// Of these, what it has open.
    private var opened: Set<UInt64> = []
    /// What the member has not given back.
    private var lent: [UInt64: SharedSlots.Slot] = [:]
    private var lentCount: UInt64 = 0
    /// By which the member knows this connection's loans.
    private let number = Link.nextNumber()

    /// Of the machine's clock, so that a process that begins anew has higher ones as well.
    private static func nextNumber() -> UInt64 {
      var now = timespec()
      unsafe clock_gettime(CLOCK_MONOTONIC, &now)
      return UInt64(now.tv_sec) * 1_000_000_000 + UInt64(now.tv_nsec)
    }

    /// A smaller payload goes through the socket: that takes as long.
    static let shared = 16 << 10...SharedRegion.slotBytes

    /// - Parameter slots: nil: there is no memory that both could share.
    init(
      _ peer: MeshPeer, _ socket: Socket, _ sealer: Sealer?, name: String?, slots: SharedSlots?
    ) {
      self.peer = peer
      self.name = name
      self.socket = socket
      self.sealer = sealer
      self.slots = slots
    }

    /// Something could be sent if libzmq took it.
    var hasWork: Bool { next != nil || !words.isEmpty || first < waiting.count }

    /// The member reads memory of this process.
    var isShared: Bool { !opened.isEmpty }

    func add(_ message: Message) { waiting.append(message) }

    func say(_ word: MeshEnvelope) { words.append(word) }

    /// Sends until the member takes no more.
    /// - Returns: payloads that went through shared memory.
    func send() -> Int {
      var shared = 0
      offer()
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
    }

    /// The member has opened the region that was offered to it.
    func accepted(token: UInt64) { if offered.contains(token) { opened.insert(token) } }

    func returned(_ loans: [Loan.Number]) {
      for loan in loans where loan.link == number { lent[loan.count] = nil }
    }

    /// Ends it.
    /// - Parameter hasEnded: the member's process is no more. One that runs may read what it was
    ///   lent for as long as it likes.
    func close(hasEnded: Bool) {
      socket.close()
      if !hasEnded { for slot in lent.values { slots?.retire(slot.region) } }
      lent = [:]
    }

    /// Tells of regions that are new or no more.
    private func offer() {
      guard let slots else { return }
      slots.collect()
      if slots.regions.isEmpty { slots.grow() }
      guard slots.version != seen else { return }
      seen = slots.version
      for region in slots.regions where offered.insert(region.offer.token).inserted {
        words.append(.offer(region.offer))
      }
      for token in offered.subtracting(slots.regions.map(\.offer.token)) {
        offered.remove(token)
        opened.remove(token)
        words.append(.retired(token: token))
      }
    }

    private func take(_ shared: inout Int) -> [Frame]? {
      if !words.isEmpty { return frames(words.removeFirst().wrap([]), nil) }
      let message = waiting[first]
      first += 1
      if first == waiting.count { drop { _ in true } }
      guard let slot = slot(for: message.parcel) else {
        return frames(MeshEnvelope.plain.wrap(message.head), message.parcel?.payload)
      }
      shared += 1
      lentCount += 1
      lent[lentCount] = slot
      let envelope = MeshEnvelope.inSlot(
        slot.number, count: message.parcel?.payload.count ?? 0, token: slot.region.offer.token,
        Loan.Number(link: number, count: lentCount))
      return frames(envelope.wrap(message.head), nil)
    }

    /// With the payload in it; nil: it goes through the socket.
    private func slot(for parcel: Parcel?) -> SharedSlots.Slot? {
      guard let slots, let parcel, !opened.isEmpty,
        Self.shared.contains(parcel.payload.count)
      else { return nil }
      if parcel.slot == nil {
        let bytes = unsafe parcel.payload.bytes
        parcel.slot = unsafe slots.slot(of: bytes) ?? slots.put(bytes)
      }
      offer()
      return parcel.slot.flatMap { opened.contains($0.region.offer.token) ? $0 : nil }
    }

    private func frames(_ head: [UInt8], _ payload: Payload?) -> [Frame]? {
      guard sealer != nil else {
        let name = Frame(Array((name ?? "").utf8))
        return [name, Frame(head)] + (payload.map { [Frame($0)] } ?? [])
      }
      return sealer?.seal(head, payload)
    }
  }

  /// A payload for one member or several: it is put into shared memory once.
  final class Parcel {
    let payload: Payload
    fileprivate var slot: SharedSlots.Slot?

    init(_ payload: Payload) { self.payload = payload }
  }
}
