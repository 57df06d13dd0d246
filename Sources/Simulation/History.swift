import Domain
import Scheduling

/// The newest happenings, kept as they are and written out only when somebody has to read them.
struct History {
  private var ring: [(at: Moment, happening: Happening)] = []
  private var next = 0
  private static let kept = 80
  /// A hash over everything that was ever added, in its order: kept on demand, as it takes longer
  /// than the history itself.
  private(set) var fingerprint: UInt64?

  init(fingerprinted: Bool) { fingerprint = fingerprinted ? fnv1aBasis : nil }

  mutating func add(_ at: Moment, _ happening: Happening) {
    if let before = fingerprint {
      fingerprint = fnv1a("\(at.sinceStart) \(text(of: happening))".utf8, after: before)
    }
    if case .tick = happening { return }
    if ring.count < History.kept {
      ring.append((at, happening))
    } else {
      ring[next] = (at, happening)
      next = (next + 1) % History.kept
    }
  }

  /// Oldest first, one line each.
  var lines: [String] {
    (ring[next...] + ring[..<next]).map { entry in
      "\(entry.at.sinceStart): " + String(text(of: entry.happening).prefix(220))
    }
  }
}

private func text(of happening: Happening) -> String {
  switch happening {
  case .toCoordinator(let message, let worker, _): "\(worker) → coordinator: \(message)"
  case .closed(let worker, _): "\(worker)'s connection ended"
  case .toWorker(let message, let worker): "coordinator → \(worker): \(message)"
  case .toPeer(let message, let sender, let worker): "\(sender) → \(worker): \(message)"
  case .tick: "tick"
  case .synced: "synced"
  case .answered(let event, _): "answered: \(event)"
  case .worker(let worker, let timer): "\(worker): \(timer)"
  case .fault(let action): "fault: \(action)"
  case .restart(let machine): "restart: \(machine)"
  }
}
