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
  /// Some of the state of the committed step is with nobody who is here; who has it may return.
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
      "the state after step \(committed) is with workers that are away; "
        + "stored is that after \(best)"
    }
  }
}

/// Who could take part in the next step, in id order.
struct Quorum: Hashable, Sendable {
  /// All who are there.
  var there: [WorkerID] = []
  /// Still fetching model or samples.
  var preparing: [WorkerID] = []
  /// Have those.
  var members: [WorkerID] = []
  /// Have the weights of the step, too.
  var whole: [WorkerID] = []
  /// Whether the moments of every segment are with somebody who is there, or can be had otherwise.
  var isCovered = false
}

/// Who takes part in the next step, or why it does not begin.
enum QuorumDecision: Hashable, Sendable {
  case go([WorkerID])
  case wait(QuorumWait)
  /// Back to the stored state.
  case stepBack
}

/// Decides on the members of the next step.
///
/// - Parameters:
///   - position: the step at which the training stands.
///   - best: committed steps in the stored state.
///   - isReconnecting: a restart is so recent that most workers may not have been heard.
///   - mayWaitForOthers: workers without a state are given time.
///   - mayStepBack: who holds the state at `position` has been waited for long enough.
/// - Source: the form of torchft's lighthouse: a pure function that returns its reason.
func decideQuorum(
  _ quorum: Quorum, position: Int, best: Int, isPaused: Bool, isReconnecting: Bool,
  mayWaitForOthers: Bool, mayStepBack: Bool
) -> QuorumDecision {
  if isPaused { return .wait(.paused) }
  if isReconnecting { return .wait(.reconnecting) }
  if quorum.there.isEmpty { return .wait(.noWorkers) }
  if !quorum.isCovered || quorum.whole.isEmpty {
    if quorum.members.isEmpty { return .wait(.nobodyReady(preparing: quorum.preparing)) }
    return mayStepBack ? .stepBack : .wait(.stateMissing(committed: position, best: best))
  }
  if mayWaitForOthers, !quorum.preparing.isEmpty {
    return .wait(.gathering(missing: quorum.preparing))
  }
  return .go(quorum.members)
}
