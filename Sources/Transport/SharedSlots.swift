/// The slots that this process has for payloads to members on its machine: as many as they have not
/// given back, and some more.
///
/// Used by the mesh's thread alone.
final class SharedSlots {
  /// A slot with something in it. It is free again when nobody has this any more.
  final class Slot {
    let region: SharedRegion
    let number: Int
    private let pool: SharedSlots

    fileprivate init(_ region: SharedRegion, _ number: Int, of pool: SharedSlots) {
      self.region = region
      self.number = number
      self.pool = pool
    }

    deinit { pool.freed(number, of: region) }
  }

  /// So much memory stays for the next payloads; who clears it costs more than who keeps it.
  static let freeMax = (256 << 20) / SharedRegion.slotBytes

  /// Each takes a descriptor, of which a process may have no more than a thousand.
  static let regionsMax = 256

  /// Slots that somebody has.
  var usedCount: Int { used.values.reduce(0, +) }
  private(set) var regions: [SharedRegion] = []
  /// Rises with every change of `regions`.
  private(set) var version = 0
  /// What was freed last is taken first: it is in the cache.
  private var free: [(region: SharedRegion, number: Int)] = []
  /// Slots in use, by the region's token.
  private var used: [UInt64: Int] = [:]

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
    if free.isEmpty { grow() }
    guard !free.isEmpty else { return nil }
    let (region, number) = free.removeLast()
    used[region.offer.token, default: 0] += 1
    unsafe region.fill(number, bytes)
    return Slot(region, number, of: self)
  }

  /// Nothing is put into this region any more: somebody may read what is in it, and will not say
  /// when that is over. It is gone with its last reader.
  func retire(_ region: SharedRegion) {
    regions.removeAll { $0 === region }
    free.removeAll { $0.region === region }
    used[region.offer.token] = nil
    version += 1
  }

  private func freed(_ number: Int, of region: SharedRegion) {
    let token = region.offer.token
    guard let count = used[token] else { return }
    used[token] = count - 1
    free.append((region, number))
    if count == 1, free.count > Self.freeMax { retire(region) }
  }
}
