import Scheduling

/// What a history went through: a checker that nothing ever reaches proves nothing.
public struct SimulationCounts: Hashable, Sendable {
  public var coordinatorCrashes = 0
  public var workerCrashes = 0
  /// The coordinator noticed that it had stood still.
  public var stalls = 0
  /// A question killed the process that answered it.
  public var deaths = 0
  public var workersLost = 0
  public var linesBroken = 0
  /// A worker was given up because its connection ended.
  public var disconnected = 0
  public var restartsNoticed = 0
  public var failures = 0
  public var quarantined = 0
  public var twins = 0
  /// A second worker was given a late job.
  public var speculated = 0
  /// A job was taken from a worker that was stuck in it.
  public var stuck = 0
  public var stepsFenced = 0
  public var stepTimeouts = 0
  /// A training went back to an older state.
  public var stepsBack = 0
  /// A worker loaded a checkpoint.
  public var statesLoaded = 0
  /// Cells of weights, and of moments, that a worker took from another one.
  public var weightsSent = 0
  public var momentsSent = 0
  /// Cells of changes of weights that a worker added to its own.
  public var changesSent = 0
  /// Members that were told to go on with a state that they do not have: none should be.
  public var membersFailed = 0

  public init() {}

  public var named: [(name: String, count: Int)] {
    [
      ("coordinator crashes", coordinatorCrashes), ("worker crashes", workerCrashes),
      ("stalls", stalls), ("deaths", deaths), ("workers lost", workersLost),
      ("lines broken", linesBroken), ("disconnected", disconnected),
      ("restarts noticed", restartsNoticed), ("failures", failures), ("quarantined", quarantined),
      ("twins", twins),
      ("speculated", speculated), ("stuck", stuck),
      ("steps fenced", stepsFenced), ("step time-outs", stepTimeouts),
      ("steps back", stepsBack), ("states loaded", statesLoaded),
      ("weights sent", weightsSent), ("moments sent", momentsSent),
      ("changes sent", changesSent),
    ]
  }

  public static func += (a: inout SimulationCounts, b: SimulationCounts) {
    a.coordinatorCrashes += b.coordinatorCrashes
    a.membersFailed += b.membersFailed
    a.workerCrashes += b.workerCrashes
    a.stalls += b.stalls
    a.deaths += b.deaths
    a.workersLost += b.workersLost
    a.linesBroken += b.linesBroken
    a.disconnected += b.disconnected
    a.restartsNoticed += b.restartsNoticed
    a.failures += b.failures
    a.quarantined += b.quarantined
    a.twins += b.twins
    a.speculated += b.speculated
    a.stuck += b.stuck
    a.stepsFenced += b.stepsFenced
    a.stepTimeouts += b.stepTimeouts
    a.stepsBack += b.stepsBack
    a.statesLoaded += b.statesLoaded
    a.weightsSent += b.weightsSent
    a.momentsSent += b.momentsSent
    a.changesSent += b.changesSent
  }

  mutating func count(_ note: Note) {
    switch note {
    case .observerStalled: stalls += 1
    case .left(_, .silent): workersLost += 1
    case .left(_, .disconnected): disconnected += 1
    case .left(_, .restarted): restartsNoticed += 1
    case .failed: failures += 1
    case .quarantined: quarantined += 1
    case .speculated: speculated += 1
    case .stuck: stuck += 1
    case .stepFenced(_, _, _, .timedOut): stepTimeouts += 1
    case .stepFenced: stepsFenced += 1
    case .steppedBack: stepsBack += 1
    case .joined, .refused, .suspected, .disconnected, .recovered, .left, .twinDiffers, .nonsense,
      .sumsDiffer, .weightsDiffer, .trainingFailed, .membersChanged, .phase:
      break
    }
  }
}
