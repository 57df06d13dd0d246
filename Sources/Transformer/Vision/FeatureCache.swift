import Kernels

/// Features of pictures by key, up to a limit of memory; the one not used for longest goes first.
struct FeatureCache {
  private struct Entry {
    var features: Floats
    var lines: PictureLines
    var usedAt: UInt64
  }

  private let bytesMax: Int
  private var bytes = 0
  private var uses: UInt64 = 0
  private var entries: [String: Entry] = [:]

  init(bytesMax: Int) { self.bytesMax = bytesMax }

  mutating func features(of key: String) -> (features: Floats, lines: PictureLines)? {
    guard var entry = entries[key] else { return nil }
    uses += 1
    entry.usedAt = uses
    entries[key] = entry
    return (entry.features, entry.lines)
  }

  /// Keeps a copy, unless it alone is over the limit.
  mutating func keep(_ features: Floats, _ lines: PictureLines, of key: String) {
    let size = 4 * features.count
    guard size <= bytesMax, entries[key] == nil else { return }
    while bytes + size > bytesMax { removeOldest() }
    let own = Floats(zeros: features.count)
    own.copy(from: features)
    uses += 1
    entries[key] = Entry(features: own, lines: lines, usedAt: uses)
    bytes += size
  }

  private mutating func removeOldest() {
    guard let oldest = entries.min(by: { $0.value.usedAt < $1.value.usedAt }) else { return }
    bytes -= 4 * oldest.value.features.count
    entries[oldest.key] = nil
  }
}
