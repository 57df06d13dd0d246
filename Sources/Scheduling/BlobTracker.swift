public import Domain

/// Which workers have which blobs, as far as they have said so or asked for them, and who is named
/// to one that wants a blob.
///
/// What it knows may be out of date: who is named and does not have it says so, and the coordinator
/// itself always does.
public struct BlobTracker: Sendable {
  /// How a blob reaches the worker that asked.
  public enum Way: Hashable, Sendable {
    /// The coordinator sends it.
    case coordinator
    /// From these workers, and from the coordinator what none of them has.
    case members([String])
  }

  /// Blobs that are remembered; beyond, the half that was asked for least recently is forgotten.
  public static let blobsMax = 65_536
  /// Workers that are remembered for one blob: the newest.
  static let holdersMax = 32
  /// Workers that are named to one that asks.
  public static let namedMax = 4
  /// A small blob is sent so often by the coordinator; then those who have it send it.
  public static let copiesOfSmall = 2

  private struct Entry {
    /// Those that were named last stand last.
    var holders: [String] = []
    var copies = 0
    var touched: UInt64 = 0
  }

  private var entries: [Digest: Entry] = [:]
  private var turn: UInt64 = 0

  public init() {}

  /// A worker asks for a blob; from now on it is thought to have it.
  public mutating func want(_ blob: Digest, isSmall: Bool, by name: String) -> Way {
    var entry = touch(blob)
    let others = entry.holders.filter { $0 != name }
    let named = Array(others.prefix(Self.namedMax))
    if isSmall, entry.copies < Self.copiesOfSmall || named.isEmpty {
      entry.copies += 1
      add(name, to: &entry)
      entries[blob] = entry
      return .coordinator
    }
    entry.holders = others.dropFirst(Self.namedMax) + named
    add(name, to: &entry)
    entries[blob] = entry
    return .members(named)
  }

  /// A worker says what it has.
  public mutating func announced(_ blobs: [Digest], by name: String) {
    for blob in blobs {
      var entry = touch(blob)
      if !entry.holders.contains(name) { add(name, to: &entry) }
      entries[blob] = entry
    }
  }

  /// It is not thought to have this blob any more.
  public mutating func disproved(_ blob: Digest, of name: String) {
    entries[blob]?.holders.removeAll { $0 == name }
  }

  public mutating func left(_ name: String) {
    for blob in entries.keys { disproved(blob, of: name) }
  }

  private func add(_ name: String, to entry: inout Entry) {
    entry.holders.removeAll { $0 == name }
    entry.holders.append(name)
    if entry.holders.count > Self.holdersMax { entry.holders.removeFirst() }
  }

  private mutating func touch(_ blob: Digest) -> Entry {
    turn += 1
    if entries[blob] == nil, entries.count >= Self.blobsMax {
      let middle = entries.values.map(\.touched).sorted()[entries.count / 2]
      entries = entries.filter { $0.value.touched >= middle }
    }
    var entry = entries[blob] ?? Entry()
    entry.touched = turn
    return entry
  }
}
