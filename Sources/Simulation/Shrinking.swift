import Domain

/// A history that breaks a promise with as few faults as were found to do.
public struct ShrunkHistory: Sendable {
  /// Of the run with these faults alone.
  public var outcome: SimulationOutcome
  /// Faults of the whole history.
  public var faultsBefore: Int
  /// Histories that were gone through on the way.
  public var tries: Int
}

/// Leaves out faults of a history, half of them, a quarter, one, as long as what is left breaks the
/// same promise.
///
/// - Returns: nil when the seed breaks none.
/// - Source: Zeller & Hildebrandt 2002, "Simplifying and Isolating Failure-Inducing Input" (ddmin).
public func shrink(seed: UInt64, faults: FaultSet, bug: PlantedBug? = nil) -> ShrunkHistory? {
  var tries = 0
  func attempt(_ parts: [FaultPlan.Part]) -> SimulationOutcome {
    tries += 1
    return simulate(seed: seed, faults: faults, bug: bug) { $0.keeping(parts) }
  }
  var parts: [FaultPlan.Part] = []
  var outcome = simulate(seed: seed, faults: faults, bug: bug) { plan in
    parts = plan.parts
    return plan
  }
  guard let kind = outcome.violations.first?.kind else { return nil }
  let before = parts.count
  var chunk = max(1, parts.count / 2)
  while !parts.isEmpty, tries < shrinkingTriesMax {
    var start = 0
    var hasShrunk = false
    while start < parts.count, tries < shrinkingTriesMax {
      let fewer = Array(parts[..<start] + parts[min(start + chunk, parts.count)...])
      let its = attempt(fewer)
      if its.violations.contains(where: { $0.kind == kind }) {
        (parts, outcome, hasShrunk) = (fewer, its, true)
      } else {
        start += chunk
      }
    }
    if chunk == 1, !hasShrunk { break }
    chunk = max(1, chunk / 2)
  }
  return ShrunkHistory(outcome: outcome, faultsBefore: before, tries: tries)
}

private let shrinkingTriesMax = 500

extension FaultPlan {
  /// Something that a history can go without.
  enum Part: Hashable, Sendable {
    case action(Int)
    case loss, duplication, delay
    case slowness(worker: Int)
  }

  var parts: [Part] {
    var parts = actions.indices.filter { !isNeeded(actions[$0].action) }.map { Part.action($0) }
    if lossShare > 0 { parts.append(.loss) }
    if duplicateShare > 0 { parts.append(.duplication) }
    if delayShare > 0 { parts.append(.delay) }
    return parts + slowness.indices.filter { slowness[$0] > 1 }.map { .slowness(worker: $0) }
  }

  func keeping(_ parts: [Part]) -> FaultPlan {
    let kept = Set(parts)
    var plan = self
    plan.actions = actions.indices
      .filter { kept.contains(.action($0)) || isNeeded(actions[$0].action) }
      .map { actions[$0] }
    if !kept.contains(.loss) { plan.lossShare = 0 }
    if !kept.contains(.duplication) { plan.duplicateShare = 0 }
    if !kept.contains(.delay) { plan.delayShare = 0 }
    for worker in slowness.indices where !kept.contains(.slowness(worker: worker)) {
      plan.slowness[worker] = 1
    }
    return plan
  }

  /// Without these a history has no end, or no workers.
  private func isNeeded(_ action: FaultAction) -> Bool {
    switch action {
    case .heal, .start: true
    case .crash, .stop, .breakLine, .stall, .cut, .slowDisk, .drain: false
    }
  }

  /// What goes wrong, in the order of time.
  var words: [String] {
    var words: [String] = []
    func share(_ share: Double) -> String { "\(Int((share * 1000).rounded())) in 1000 messages" }
    if lossShare > 0 { words.append("\(share(lossShare)) vanish") }
    if duplicateShare > 0 { words.append("\(share(duplicateShare)) arrive twice") }
    if delayShare > 0 { words.append("\(share(delayShare)) take up to \(delayMax) longer") }
    for (worker, factor) in slowness.enumerated() where factor > 1 {
      words.append("w\(worker) computes \(Int((factor * 10).rounded())) tenths as long")
    }
    return words + actions.sorted { $0.at < $1.at }.map { "\($0.at): \($0.action)" }
  }
}
