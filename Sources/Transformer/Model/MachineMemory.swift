import Foundation

/// Bytes that a program may still take here: what the system has available, and what the limit of
/// its control group leaves. Nil where the system does not say.
public func availableMemoryBytes() -> Int? {
  [systemAvailableBytes(), controlGroupLeftBytes()].compactMap(\.self).min()
}

private func systemAvailableBytes() -> Int? {
  let lines = text("/proc/meminfo")?.split(separator: "\n") ?? []
  let words = lines.first { $0.hasPrefix("MemAvailable:") }?.split(separator: " ")
  return words?.dropFirst().first.flatMap { Int($0) }.map { $0 << 10 }
}

/// Of control groups of version 2, in which limits of the groups above hold as well.
private func controlGroupLeftBytes() -> Int? {
  let own = text("/proc/self/cgroup")?.split(separator: "\n").first { $0.hasPrefix("0::") }
  guard let own else { return nil }
  var group = String(own.dropFirst(3))
  var left: Int?
  while true {
    let folder = "/sys/fs/cgroup" + group
    if let most = number(folder + "/memory.max"), let taken = number(folder + "/memory.current") {
      left = min(left ?? .max, max(0, most - taken))
    }
    guard let end = group.lastIndex(of: "/"), group != "/" else { return left }
    group = String(group[..<end])
  }
}

private func text(_ path: String) -> String? { try? String(contentsOfFile: path, encoding: .utf8) }

/// Nil for `max` too.
private func number(_ path: String) -> Int? {
  text(path).flatMap { Int($0.trimmingCharacters(in: .whitespacesAndNewlines)) }
}
