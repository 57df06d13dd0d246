public import Domain

/// Why the next step of a training is not open.
public enum QuorumWait: Hashable, Sendable, CustomStringConvertible {
  case paused
  /// The coordinator has just started again; its workers are coming back.
  case reconnecting
  case noWorkers
  /// Nobody holds a state from which to go on.
  case nobodyReady(preparing: [WorkerID])
  /// Some workers are ready; these are given time to become so, too.
  case gathering(missing: [WorkerID])
  /// The newest state anybody here holds is older than the committed step; its holders may return.
  case stateMissing(committed: Int, best: Int)

  public var description: String {
    switch self {
    case .paused: "the run is paused"
    case .reconnecting: "workers are coming back after the coordinator's restart"
    case .noWorkers: "no worker is there that could train"
    case .nobodyReady(let preparing):
      "nobody is ready; fetching model, samples or state: "
        + (preparing.isEmpty ? "nobody" : preparing.map(\.description).joined(separator: ", "))
    case .gathering(let missing):
      "waiting for " + missing.map(\.description).joined(separator: ", ")
    case .stateMissing(let committed, let best):
      "the state after step \(committed) is with workers that are away; the newest here is \(best)"
    }
  }
}

/// Who takes part in the next step, or why it does not begin.
enum QuorumDecision: Hashable, Sendable {
  /// Step `step` with these members, in id order.
  case go(step: Int, members: [WorkerID])
  case wait(QuorumWait)
}

/// A worker as the quorum sees it.
struct QuorumCandidate: Hashable, Sendable {
  var worker: WorkerID
  /// Committed steps in the state that it holds; nil while it has none.
  var step: Int?
}

/// Decides on the members of the next step.
///
/// - Parameters:
///   - candidates: workers that may take part, in id order.
///   - position: the step at which the training stands.
///   - isReconnecting: a restart is so recent that most workers may not have been heard.
///   - mayWaitForOthers: workers without a state are given time.
///   - mayStepBack: the holders of the state at `position` have been waited for long enough.
/// - Source: the form of torchft's lighthouse: a pure function that returns its reason.
func decideQuorum(
  _ candidates: [QuorumCandidate], position: Int, isPaused: Bool, isReconnecting: Bool,
  mayWaitForOthers: Bool, mayStepBack: Bool
) -> QuorumDecision {
  if isPaused { return .wait(.paused) }
  if isReconnecting { return .wait(.reconnecting) }
  if candidates.isEmpty { return .wait(.noWorkers) }
  let missing = candidates.filter { $0.step == nil }.map(\.worker)
  guard let best = candidates.compactMap(\.step).max() else {
    return .wait(.nobodyReady(preparing: missing))
  }
  if best < position, !mayStepBack {
    return .wait(.stateMissing(committed: position, best: best))
  }
  if mayWaitForOthers, !missing.isEmpty { return .wait(.gathering(missing: missing)) }
  // Somebody may be ahead of a group that had stepped back; whoever holds the state of the step at
  // hand goes on with it, and those ahead wait until it is reached.
  let atPosition = candidates.filter { $0.step == position }.map(\.worker)
  if !atPosition.isEmpty { return .go(step: position, members: atPosition) }
  return .go(step: best, members: candidates.filter { $0.step == best }.map(\.worker))
}
