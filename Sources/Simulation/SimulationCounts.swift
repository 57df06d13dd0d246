import Scheduling

/// What a history went through: a checker that nothing ever reaches proves nothing.
public struct SimulationCounts: Hashable, Sendable {
  public var coordinatorCrashes = 0
  public var workerCrashes = 0
  /// The coordinator noticed that it had stood still.
  public var stalls = 0
  public var workersLost = 0
  public var restartsNoticed = 0
  public var failures = 0
  public var quarantined = 0
  public var twins = 0
  public var stepsFenced = 0
  public var stepTimeouts = 0
  /// A training went back to an older state.
  public var stepsBack = 0
  /// A worker loaded a checkpoint.
  public var statesLoaded = 0

  public init() {}

  public var named: [(name: String, count: Int)] {
    [
      ("coordinator crashes", coordinatorCrashes), ("worker crashes", workerCrashes),
      ("stalls", stalls), ("workers lost", workersLost), ("restarts noticed", restartsNoticed),
      ("failures", failures), ("quarantined", quarantined), ("twins", twins),
      ("steps fenced", stepsFenced), ("step time-outs", stepTimeouts),
      ("steps back", stepsBack), ("states loaded", statesLoaded),
    ]
  }

  public static func += (a: inout SimulationCounts, b: SimulationCounts) {
    a.coordinatorCrashes += b.coordinatorCrashes
    a.workerCrashes += b.workerCrashes
    a.stalls += b.stalls
    a.workersLost += b.workersLost
    a.restartsNoticed += b.restartsNoticed
    a.failures += b.failures
    a.quarantined += b.quarantined
    a.twins += b.twins
    a.stepsFenced += b.stepsFenced
    a.stepTimeouts += b.stepTimeouts
    a.stepsBack += b.stepsBack
    a.statesLoaded += b.statesLoaded
  }

  mutating func count(_ note: Note) {
    switch note {
    case .observerStalled: stalls += 1
    case .left(_, .silent): workersLost += 1
    case .left(_, .restarted): restartsNoticed += 1
    case .failed: failures += 1
    case .quarantined: quarantined += 1
    case .stepFenced(_, _, _, .timedOut): stepTimeouts += 1
    case .stepFenced: stepsFenced += 1
    case .steppedBack: stepsBack += 1
    case .joined, .refused, .suspected, .recovered, .left, .twinDiffers, .nonsense,
      .gradientsDiffer, .weightsDiffer, .trainingFailed, .phase:
      break
    }
  }
}
