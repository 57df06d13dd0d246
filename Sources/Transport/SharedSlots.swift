import Synchronization

/// The slots that this process has for payloads to members on its machine: as many as they have not
/// given back, and some more.
///
/// Used by the mesh's thread alone; a slot may be let go of on any.
final class SharedSlots {
  /// A slot with something in it. It is free again when nobody has this any more.
  @safe final class Slot: Sendable {
    let region: SharedRegion
    let number: Int
    private let freed: Freed

    fileprivate init(_ region: SharedRegion, _ number: Int, _ freed: Freed) {
      self.region = region
      self.number = number
      self.freed = freed
    }

    deinit { freed.slots.withLock { $0.append((region, number)) } }
  }

  /// Slots that nobody has any more, for the mesh's thread to take back.
  fileprivate final class Freed: Sendable {
    let slots = Guarded<[(region: SharedRegion, number: Int)]>([])
  }

  /// What was made in a slot.
  private struct Made { weak var slot: Slot? }

  /// So much memory stays for the next payloads; who clears it costs more than who keeps it.
  static let freeMax = (256 << 20) / SharedRegion.slotBytes

  /// Each takes a descriptor, of which a process may have no more than a thousand.
  static let regionsMax = 256

  private(set) var regions: [SharedRegion] = []
  /// Rises with every change of `regions`.
  private(set) var version = 0
  /// What was freed last is taken first: it is in the cache.
  private var free: [(region: SharedRegion, number: Int)] = []
  /// Slots in use, by the region's token.
  private var used: [UInt64: Int] = [:]
  /// By address.
  private var made: [UInt: Made] = [:]
  private let freed = Freed()

  /// Slots that somebody has.
  var usedCount: Int {
    collect()
    return used.values.reduce(0, +)
  }

  /// Adds a region, if there may be one more and the system has memory for it.
  func grow() {
    guard regions.count < Self.regionsMax, let region = SharedRegion() else { return }
    regions.append(region)
    version += 1
    free += (0..<SharedRegion.slots).reversed().map { (region, $0) }
  }

  /// Copies bytes into a slot; nil when there is none: they go by the socket.
  /// - Precondition: no more bytes than a slot has.
  func put(_ bytes: UnsafeRawBufferPointer) -> Slot? {
    guard let slot = take() else { return nil }
    unsafe slot.region.fill(slot.number, bytes)
    return slot
  }

  /// A slot in which a payload is to be made; nil when there is none.
  func room() -> Slot? {
    guard let slot = take() else { return nil }
    made[address(of: slot.number, in: slot.region)] = Made(slot: slot)
    return slot
  }

  /// The slot in which these bytes were made; nil when they lie elsewhere.
  /// - Precondition: somebody keeps them.
  func slot(of bytes: UnsafeRawBufferPointer) -> Slot? {
    made[UInt(bitPattern: bytes.baseAddress)]?.slot
  }

  /// Nothing is put into this region any more: somebody may read what is in it, and will not say
  /// when that is over. It is gone with its last reader.
  func retire(_ region: SharedRegion) {
    regions.removeAll { $0 === region }
    free.removeAll { $0.region === region }
    used[region.offer.token] = nil
    version += 1
  }

  /// Takes back what nobody has any more.
  func collect() {
    let back = freed.slots.withLock { slots in
      defer { slots = [] }
      return slots
    }
    for (region, number) in back {
      made[address(of: number, in: region)] = nil
      let token = region.offer.token
      guard let count = used[token] else { continue }
      used[token] = count - 1
      free.append((region, number))
      if count == 1, free.count > Self.freeMax { retire(region) }
    }
  }

  private func take() -> Slot? {
    collect()
    if free.isEmpty { grow() }
    guard let (region, number) = free.popLast() else { return nil }
    used[region.offer.token, default: 0] += 1
    return Slot(region, number, freed)
  }

  private func address(of slot: Int, in region: SharedRegion) -> UInt {
    unsafe UInt(bitPattern: region.room(slot).baseAddress)
  }
}
