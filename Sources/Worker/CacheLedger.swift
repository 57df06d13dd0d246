import Domain
import Hashing

/// What lies in a worker's cache, and what is to go when room is needed: what was used longest ago.
/// Decides only.
struct CacheLedger {
  private struct Entry {
    var bytes: Int64
    var used: UInt64
    /// Who needs it now.
    var pins = 0
  }

  let bytesMax: Int64
  private(set) var bytes: Int64 = 0
  private var entries: [Digest: Entry] = [:]
  private var turn: UInt64 = 0
  /// When the bound is met, so much is made free at once: few files go often.
  private static let freeAtOnce = 0.1

  init(bytesMax: Int64) { self.bytesMax = bytesMax }

  /// A blob is here, or will be in a moment.
  mutating func note(_ blob: Digest, bytes size: Int64) {
    turn += 1
    bytes += size - (entries[blob]?.bytes ?? 0)
    entries[blob, default: Entry(bytes: size, used: turn)].bytes = size
    entries[blob]?.used = turn
  }

  /// Those of more than one piece, the last used first.
  func large(_ most: Int) -> [Digest] {
    entries.filter { $0.value.bytes > pieceBytes }.sorted { $0.value.used > $1.value.used }
      .prefix(most).map(\.key)
  }

  mutating func use(_ blob: Digest) {
    turn += 1
    entries[blob]?.used = turn
  }

  /// A blob is not here any more; who has pinned it wants it still.
  mutating func forget(_ blob: Digest) {
    bytes -= entries[blob]?.bytes ?? 0
    entries[blob]?.bytes = 0
    if entries[blob]?.pins == 0 { entries[blob] = nil }
  }

  /// Until it is unpinned as often, it does not go. One that is not here yet may be pinned.
  mutating func pin(_ blob: Digest) {
    turn += 1
    entries[blob, default: Entry(bytes: 0, used: turn)].pins += 1
  }

  mutating func unpin(_ blob: Digest) {
    entries[blob]?.pins -= 1
    if let entry = entries[blob], entry.pins == 0, entry.bytes == 0 { entries[blob] = nil }
  }

  /// Takes out what has to go so that so many bytes more fit in; without pins it would be enough.
  mutating func makeRoom(for more: Int64) -> [Digest] {
    guard bytes + more > bytesMax else { return [] }
    let goal = max(0, bytesMax - more - Int64(Double(bytesMax) * Self.freeAtOnce))
    var gone: [Digest] = []
    let oldest = entries.filter { $0.value.pins <= 0 && $0.value.bytes > 0 }
      .sorted { $0.value.used < $1.value.used }
    for (blob, _) in oldest where bytes > goal {
      forget(blob)
      gone.append(blob)
    }
    return gone
  }
}
